/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.util.List;

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

    /** A DNS name. */
    record Named(DomainPattern name) implements PeerIdentity {
        @Override
        public void check(X509Certificate certificate) throws CertificateRefusedException {
            CertificateNames names = CertificateNames.of(certificate);
            if (!names.satisfy(name)) {
                throw new CertificateRefusedException("certificate names " + names + " do not match '" + name + "'");
            }
        }

        @Override
        public String toString() {
            return name.toString();
        }
    }

    /** An IP address, for a smart host that is configured by address. */
    record Addressed(InetAddress address) implements PeerIdentity {
        private static final int SAN_IP = 7;

        @Override
        public void check(X509Certificate certificate) throws CertificateRefusedException {
            try {
                var alternatives = certificate.getSubjectAlternativeNames();
                if (alternatives != null) {
                    for (List<?> alternative : alternatives) {
                        if (alternative.get(0).equals(SAN_IP)
                                && alternative.get(1) instanceof String literal
                                && InetAddress.getByName(literal).equals(address)) {
                            return;
                        }
                    }
                }
            } catch (CertificateParsingException | UnknownHostException e) {
                throw new CertificateRefusedException(
                        "certificate has unreadable alternative names: " + e.getMessage(), e);
            }
            throw new CertificateRefusedException("certificate names " + CertificateNames.of(certificate)
                    + " and no matching address, expected '" + address.getHostAddress()
                    + "'; give the connector's tls element a name");
        }

        @Override
        public String toString() {
            return address.getHostAddress();
        }
    }
}
