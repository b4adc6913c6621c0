/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import java.net.Socket;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.cert.CertificateEncodingException;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

import javax.net.ssl.ExtendedSSLSession;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedTrustManager;

import dev.mailflow.policy.certificate.CertificatePin;

/**
 * What a TLS level asks of the certificate, save its name, which is checked after the handshake because one TLS session
 * may be resumed for several recipient domains.
 *
 * <p>Levels {@code opportunistic} and {@code encrypt} promise secrecy from those who only listen, not the identity of
 * the peer (RFC 7435): they have neither PKIX nor pins, and every certificate is accepted, self-signed ones and
 * anonymous names included. Refusing there would protect nobody: {@code opportunistic} would fall back to plaintext.
 */
final class RequiredTrust extends X509ExtendedTrustManager {
    private final Optional<CertificateTrust> pkix;
    private final Optional<Set<CertificatePin>> pins;
    private final List<PublishedCheck> published;

    private RequiredTrust(
            Optional<CertificateTrust> pkix, Optional<Set<CertificatePin>> pins, List<PublishedCheck> published) {
        this.pkix = pkix;
        this.pins = pins;
        this.published = published;
    }

    /** What the peer's owner has published, and how a chain is held against it; may block. */
    @FunctionalInterface
    interface PublishedCheck {
        void check(List<X509Certificate> chain, Map<X509Certificate, byte[]> stapled)
                throws CertificateRefusedException;
    }

    static RequiredTrust unchecked() {
        return new RequiredTrust(Optional.empty(), Optional.empty(), List.of());
    }

    static RequiredTrust pkix(CertificateTrust trust) {
        return new RequiredTrust(Optional.of(trust), Optional.empty(), List.of());
    }

    static RequiredTrust pinned(Set<CertificatePin> pins) {
        return new RequiredTrust(Optional.empty(), Optional.of(pins), List.of());
    }

    /** This, and what was published besides. */
    RequiredTrust and(PublishedCheck check) {
        return new RequiredTrust(pkix, pins, List.of(check));
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType, SSLEngine engine)
            throws CertificateException {
        check(List.of(chain), stapled(chain, engine));
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType, Socket socket)
            throws CertificateException {
        check(List.of(chain), Map.of());
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType) throws CertificateException {
        check(List.of(chain), Map.of());
    }

    private void check(List<X509Certificate> chain, Map<X509Certificate, byte[]> stapled)
            throws CertificateRefusedException {
        if (pkix.isPresent()) {
            pkix.get().check(chain, stapled);
        }
        if (pins.isPresent()) {
            checkPins(chain.get(0), pins.get());
        }
        for (PublishedCheck each : published) {
            each.check(chain, stapled);
        }
    }

    private static void checkPins(X509Certificate leaf, Set<CertificatePin> pins) throws CertificateRefusedException {
        try {
            String certificate = sha256(leaf.getEncoded());
            String key = sha256(leaf.getPublicKey().getEncoded());
            if (!pins.contains(new CertificatePin(certificate)) && !pins.contains(new CertificatePin(key))) {
                throw new CertificateRefusedException(
                        TlsFault.CERTIFICATE_NOT_TRUSTED,
                        "certificate SHA-256 " + certificate + " (public key " + key + ") is none of the " + pins.size()
                                + " pinned");
            }
        } catch (CertificateEncodingException e) {
            throw new CertificateRefusedException("certificate cannot be read", e);
        }
    }

    private static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    private static Map<X509Certificate, byte[]> stapled(X509Certificate[] chain, SSLEngine engine) {
        Map<X509Certificate, byte[]> responses = new HashMap<>();
        if (engine.getHandshakeSession() instanceof ExtendedSSLSession session) {
            List<byte[]> found = session.getStatusResponses();
            for (int i = 0; i < Math.min(found.size(), chain.length); i++) {
                if (found.get(i).length > 0) {
                    responses.put(chain[i], found.get(i));
                }
            }
        }
        return responses;
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType, SSLEngine engine)
            throws CertificateException {
        throw clientSideOnly();
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType, Socket socket)
            throws CertificateException {
        throw clientSideOnly();
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType) throws CertificateException {
        throw clientSideOnly();
    }

    private static CertificateException clientSideOnly() {
        return new CertificateException("outbound delivery is never a TLS server");
    }

    @Override
    public X509Certificate[] getAcceptedIssuers() {
        return new X509Certificate[0];
    }
}
