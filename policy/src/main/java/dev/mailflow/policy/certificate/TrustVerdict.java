/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

/** Whether a certificate is trusted, and why not. */
public sealed interface TrustVerdict {

    /** A PKIX path ends in a trust anchor. */
    record Trusted() implements TrustVerdict {}

    /** @param reason one clause for people, e.g. {@code certificate expired at 2026-01-01T00:00:00Z} */
    record Untrusted(String reason) implements TrustVerdict {}

    default boolean isTrusted() {
        return this instanceof Trusted;
    }
}
