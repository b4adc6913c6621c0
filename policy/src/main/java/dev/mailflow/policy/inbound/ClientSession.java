/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.inbound;

import java.util.Optional;

import dev.mailflow.policy.certificate.PeerCertificate;
import dev.mailflow.policy.connection.IpAddress;

/**
 * What an SMTP session knows of its client when mail is judged.
 *
 * @param clientIp the address the PROXY header names when the peer is a configured proxy, else the peer's
 * @param helo the argument of EHLO or HELO; unverified
 * @param tls empty: plaintext
 * @param peerCertificate what the client presented; judged by nobody yet
 * @param authenticatedUser the user of a successful AUTH
 * @param xoorg the value of the XOORG parameter of MAIL FROM; means something only where internal headers are preserved
 */
public record ClientSession(
        IpAddress clientIp,
        Optional<String> helo,
        Optional<TlsSession> tls,
        Optional<PeerCertificate> peerCertificate,
        Optional<String> authenticatedUser,
        Optional<String> xoorg) {

    /** A plaintext session of which nothing but the address is known. */
    public static ClientSession from(IpAddress clientIp) {
        return new ClientSession(
                clientIp, Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty());
    }

    public ClientSession withHelo(String value) {
        return new ClientSession(clientIp, Optional.of(value), tls, peerCertificate, authenticatedUser, xoorg);
    }

    public ClientSession withTls(TlsSession value) {
        return new ClientSession(clientIp, helo, Optional.of(value), peerCertificate, authenticatedUser, xoorg);
    }

    public ClientSession withPeerCertificate(PeerCertificate value) {
        return new ClientSession(clientIp, helo, tls, Optional.of(value), authenticatedUser, xoorg);
    }

    public ClientSession withAuthenticatedUser(String value) {
        return new ClientSession(clientIp, helo, tls, peerCertificate, Optional.of(value), xoorg);
    }

    public ClientSession withXoorg(String value) {
        return new ClientSession(clientIp, helo, tls, peerCertificate, authenticatedUser, Optional.of(value));
    }
}
