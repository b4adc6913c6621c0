/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import java.time.Instant;
import java.util.List;
import java.util.Optional;

import dev.mailflow.policy.domain.DomainPattern;

/**
 * A certificate that is only supposed, for {@code explain --client-cert NAME}: it bears that one name, every authority
 * vouches for it, and no pin matches it. Never made from anything a client sent.
 *
 * @param name may begin with {@code *.}
 */
public record HypotheticalCertificate(String name) implements PeerCertificate {

    @Override
    public CertificateNames names() {
        return new CertificateNames(List.of(DomainPattern.normalize(name)));
    }

    @Override
    public String subject() {
        return "CN=" + name;
    }

    @Override
    public Optional<CertificatePin> certificatePin() {
        return Optional.empty();
    }

    @Override
    public Optional<CertificatePin> publicKeyPin() {
        return Optional.empty();
    }

    @Override
    public TrustVerdict trustedBy(TrustAnchors anchors, Instant now) {
        return new TrustVerdict.Trusted();
    }

    @Override
    public Optional<String> revokedUnder(TrustAnchors anchors, Instant now) {
        return Optional.empty();
    }
}
