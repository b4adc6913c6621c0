/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Optional;

/**
 * The certificate authorities that a PKIX path may end in.
 *
 * @param source the configured URL; empty: the JDK's own
 * @param certificates the configured anchors; empty means the JDK's own
 */
public record TrustAnchors(Optional<String> source, List<X509Certificate> certificates) {

    public TrustAnchors {
        certificates = List.copyOf(certificates);
    }

    public static TrustAnchors jdk() {
        return new TrustAnchors(Optional.empty(), List.of());
    }

    public boolean isJdk() {
        return certificates.isEmpty();
    }

    @Override
    public String toString() {
        return source.orElse("the JDK's trust anchors");
    }
}
