/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.envelope;

import java.util.Optional;

/** What a message itself says of the TLS under which it travels (RFC 8689). */
public enum RequestedTls {
    /** Nothing: the connector decides. */
    UNSPECIFIED,
    /** The option REQUIRETLS of its envelope: authenticated TLS all the way, or a bounce. */
    REQUIRED,
    /** The header field {@code TLS-Required: No}: delivery before TLS, whatever the recipient's domain publishes. */
    OPTIONAL;

    /** Attribute of a mail that came with REQUIRETLS: true. */
    public static final String ATTRIBUTE = "mailflow.requiretlsOption";

    /** The header field by which an author waives TLS. */
    public static final String HEADER = "TLS-Required";

    /**
     * The request of a message; the envelope beats the header (RFC 8689 section 3).
     *
     * @param option whether its envelope bears REQUIRETLS
     * @param header the value of its {@link #HEADER} field; empty: it has none, or several, which mean nothing
     */
    public static RequestedTls of(boolean option, Optional<String> header) {
        if (option) {
            return REQUIRED;
        }
        return header.map(String::trim).filter("No"::equalsIgnoreCase).isPresent() ? OPTIONAL : UNSPECIFIED;
    }
}
