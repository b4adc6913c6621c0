/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import java.net.InetAddress;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

import dev.mailflow.policy.certificate.CertificateNames;
import dev.mailflow.policy.domain.DomainPattern;

/** Whom a certificate must speak for under level {@code domain}. */
public sealed interface PeerIdentity {

    /**
     * Whether the certificate speaks for this peer.
     *
     * @throws CertificateRefusedException naming what was found and what was expected
     */
    void check(X509Certificate certificate) throws CertificateRefusedException;

    /** Host names or domains, as from DNS; those that cannot stand in a certificate are left out; empty: all of them. */
    static Optional<PeerIdentity> of(Collection<String> hosts) {
        List<DomainPattern> names = new ArrayList<>();
        for (String host : hosts) {
            try {
                names.add(new DomainPattern(DomainPattern.Kind.EXACT, DomainPattern.normalize(host)));
            } catch (IllegalArgumentException e) {
                // underscores, for instance: no certificate bears such a name
            }
        }
        return names.isEmpty()
                ? Optional.empty()
                : Optional.of(new OneOf(names.stream().distinct().toList()));
    }

    /** A host name that must be among the subject alternative names (RFC 8461 section 4.2); empty: none can be it. */
    static Optional<PeerIdentity> alternativeName(String host) {
        try {
            return Optional.of(
                    new AlternativeName(new DomainPattern(DomainPattern.Kind.EXACT, DomainPattern.normalize(host))));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    /** A DNS name for which no CN will do. */
    record AlternativeName(DomainPattern name) implements PeerIdentity {
        @Override
        public void check(X509Certificate certificate) throws CertificateRefusedException {
            CertificateNames found = CertificateNames.withoutCommonName(certificate);
            if (!found.satisfy(name)) {
                throw new CertificateRefusedException(
                        TlsFault.CERTIFICATE_HOST_MISMATCH,
                        "subject alternative names " + found + " do not match '" + this + "'");
            }
        }

        @Override
        public String toString() {
            return name.toString();
        }
    }

    /** Any of some DNS names; never empty. */
    record OneOf(List<DomainPattern> names) implements PeerIdentity {
        public OneOf {
            names = List.copyOf(names);
        }

        /** A name as configured, which may be a pattern. */
        public static OneOf named(DomainPattern name) {
            return new OneOf(List.of(name));
        }

        @Override
        public void check(X509Certificate certificate) throws CertificateRefusedException {
            CertificateNames found = CertificateNames.of(certificate);
            if (names.stream().noneMatch(found::satisfy)) {
                throw new CertificateRefusedException(
                        TlsFault.CERTIFICATE_HOST_MISMATCH,
                        "certificate names " + found + " do not match '" + this + "'");
            }
        }

        @Override
        public String toString() {
            return names.stream().map(DomainPattern::toString).collect(Collectors.joining("' or '"));
        }
    }

    /**
     * No name: the smart host is configured by address. Certificates are matched by dNSName only (mail-flow behaviour,
     * section 3), so none will do; {@code check} says so beforehand.
     */
    record Addressed(InetAddress address) implements PeerIdentity {
        @Override
        public void check(X509Certificate certificate) throws CertificateRefusedException {
            throw new CertificateRefusedException(
                    TlsFault.CERTIFICATE_HOST_MISMATCH,
                    "certificate names " + CertificateNames.of(certificate)
                            + " cannot match the address '" + address.getHostAddress()
                            + "'; give the connector's tls element a name");
        }

        @Override
        public String toString() {
            return address.getHostAddress();
        }
    }
}
