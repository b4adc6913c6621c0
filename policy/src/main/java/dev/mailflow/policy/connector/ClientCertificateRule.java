/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

import java.time.Instant;
import java.util.Optional;
import java.util.Set;

import dev.mailflow.policy.certificate.CertificatePin;
import dev.mailflow.policy.certificate.PeerCertificate;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.certificate.TrustVerdict;
import dev.mailflow.policy.domain.DomainPattern;

/**
 * Which client certificates an inbound connector accepts. Everything given must hold: the name, and either a PKIX path
 * or a pin.
 *
 * @param name one of the certificate's names must satisfy it; empty: any name, which only pins or private anchors make
 *     safe
 * @param trustAnchors for {@link Trust#CA}
 * @param pins for {@link Trust#PINNED}, where there is at least one; a pin may be of the certificate or of its key
 */
public record ClientCertificateRule(
        Optional<DomainPattern> name, Trust trust, TrustAnchors trustAnchors, Set<CertificatePin> pins) {

    /** What makes a certificate believable. */
    public enum Trust {
        CA("ca"),
        PINNED("pinned");

        private final String xmlName;

        Trust(String xmlName) {
            this.xmlName = xmlName;
        }

        /** The word the policy file uses. */
        @Override
        public String toString() {
            return xmlName;
        }
    }

    /**
     * @throws IllegalArgumentException when the rule would accept certificates that just anybody can get, or none
     */
    public ClientCertificateRule {
        pins = Set.copyOf(pins);
        if (trust == Trust.PINNED && pins.isEmpty()) {
            throw new IllegalArgumentException("trust=\"pinned\" without a sha256, expected at least one");
        }
        if (trust == Trust.CA
                && trustAnchors.isJdk()
                && name.map(DomainPattern.ANY::equals).orElse(true)) {
            throw new IllegalArgumentException("trust=\"ca\" without a name accepts every public certificate, "
                    + "expected a name ('mail.fabrikam.com', '*.fabrikam.com') or private trustAnchors");
        }
    }

    /** Any certificate that bears the name and that the anchors vouch for. */
    public static ClientCertificateRule ca(DomainPattern name, TrustAnchors trustAnchors) {
        return new ClientCertificateRule(Optional.of(name), Trust.CA, trustAnchors, Set.of());
    }

    /** The certificates, or certificates with the keys, that have these digests. */
    public static ClientCertificateRule pinned(Set<CertificatePin> pins) {
        return new ClientCertificateRule(Optional.empty(), Trust.PINNED, TrustAnchors.jdk(), pins);
    }

    /** Why the certificate is not acceptable; empty when it is. Costs a PKIX validation, and
     * perhaps a question to its authority whether it was revoked, only when the name is right. */
    public Optional<String> objectionTo(PeerCertificate certificate, Instant now) {
        if (name.isPresent() && !certificate.names().satisfy(name.get())) {
            return Optional.of("the client's certificate is for " + certificate.names() + ", not for " + name.get());
        }
        return switch (trust) {
            case PINNED -> isPinned(certificate)
                    ? Optional.empty()
                    : Optional.of("the client's certificate ("
                            + certificate
                                    .certificatePin()
                                    .map(pin -> "sha256 " + pin)
                                    .orElse("hypothetical")
                            + ") is not pinned");
            case CA -> certificate.trustedBy(trustAnchors, now) instanceof TrustVerdict.Untrusted untrusted
                    ? Optional.of("the client's certificate is not trusted: " + untrusted.reason())
                    : certificate
                            .revokedUnder(trustAnchors, now)
                            .map(reason -> "the client's certificate is not trusted: " + reason);
        };
    }

    private boolean isPinned(PeerCertificate certificate) {
        return certificate.certificatePin().filter(pins::contains).isPresent()
                || certificate.publicKeyPin().filter(pins::contains).isPresent();
    }

    /** What to call the certificate in a reply: its configured name, else its pin. */
    public String describe() {
        return name.map(DomainPattern::toString).orElseGet(() -> switch (trust) {
            case PINNED -> pins.stream()
                    .map(CertificatePin::sha256)
                    .sorted()
                    .findFirst()
                    .map(pin -> "sha256 " + pin)
                    .orElseThrow();
            case CA -> DomainPattern.ANY.toString();
        });
    }
}
