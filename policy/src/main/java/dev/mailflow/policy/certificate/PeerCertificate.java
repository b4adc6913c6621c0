/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import java.time.Instant;
import java.util.Optional;

/** The certificate a client presented, before anybody judged it. */
public interface PeerCertificate {

    /** The DNS names it speaks for. */
    CertificateNames names();

    /** The subject's distinguished name (RFC 2253); for people, never for decisions. */
    String subject();

    /** SHA-256 of the certificate; empty when there is no real certificate. */
    Optional<CertificatePin> certificatePin();

    /** SHA-256 of its SubjectPublicKeyInfo; empty when there is no real certificate. */
    Optional<CertificatePin> publicKeyPin();

    /** Whether a PKIX path leads from it to one of the anchors at that time. */
    TrustVerdict trustedBy(TrustAnchors anchors, Instant now);

    /**
     * Why a certificate that these anchors vouch for must not be believed any more; empty when it may, or when nobody can
     * be asked. May wait for an answer from the network.
     */
    Optional<String> revokedUnder(TrustAnchors anchors, Instant now);
}
