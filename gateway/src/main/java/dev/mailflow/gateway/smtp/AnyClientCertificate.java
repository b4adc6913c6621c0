/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import java.net.Socket;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;

import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedTrustManager;

/**
 * Lets every client certificate pass the handshake of an SMTP port, because the handshake is not where it is judged.
 *
 * <p>Why that is right here: SMTP is open to strangers, so refusing a stranger's certificate would only refuse mail that
 * the same stranger may send without one; and which authorities, names and pins count depends on the inbound connector,
 * which depends on the envelope sender and on a policy that can be reloaded. The handshake still proves that the client
 * holds the private key. The chain is then validated by
 * {@link dev.mailflow.policy.connector.ClientCertificateRule#objectionTo} before anything is granted for it, and a
 * certificate no connector asks for grants nothing.
 *
 * <p>It vouches for no server: used as a client, it refuses.
 */
final class AnyClientCertificate extends X509ExtendedTrustManager {

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType) {}

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType, Socket socket) {}

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType, SSLEngine engine) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType) throws CertificateException {
        throw refusal();
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType, Socket socket)
            throws CertificateException {
        throw refusal();
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType, SSLEngine engine)
            throws CertificateException {
        throw refusal();
    }

    private static CertificateException refusal() {
        return new CertificateException("this trust manager is for the server's side only");
    }

    /** None, so that the client is not told to choose among certificates of particular authorities. */
    @Override
    public X509Certificate[] getAcceptedIssuers() {
        return new X509Certificate[0];
    }
}
