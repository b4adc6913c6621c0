/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import java.net.InetAddress;
import java.security.cert.X509Certificate;

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

    /**
     * No name: the smart host is configured by address. Certificates are matched by dNSName only (mail-flow behaviour,
     * section 3), so none will do; {@code check} says so beforehand.
     */
    record Addressed(InetAddress address) implements PeerIdentity {
        @Override
        public void check(X509Certificate certificate) throws CertificateRefusedException {
            throw new CertificateRefusedException("certificate names " + CertificateNames.of(certificate)
                    + " cannot match the address '" + address.getHostAddress()
                    + "'; give the connector's tls element a name");
        }

        @Override
        public String toString() {
            return address.getHostAddress();
        }
    }
}
