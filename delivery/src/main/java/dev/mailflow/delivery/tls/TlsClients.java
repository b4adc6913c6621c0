/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import java.net.IDN;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;

import javax.net.ssl.KeyManager;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;
import javax.net.ssl.TrustManager;

import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;

import dev.mailflow.delivery.TlsUsed;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;

/**
 * Makes TLS engines that keep a requirement, and judges finished handshakes.
 *
 * <p>There is one {@link SSLContext} per distinct requirement, so that TLS sessions are resumed only among connections
 * that checked the same things: a session that {@code encrypt} accepted can never serve {@code ca}. Names and dates are
 * judged after every handshake, resumed or not.
 */
public final class TlsClients {
    private static final int SESSION_LIFE_SECONDS = 3600;

    private final Cache<TlsRequirement, SSLContext> contexts =
            CacheBuilder.newBuilder().maximumSize(1000).build();
    private final List<String> protocols;
    private final RevocationCheck revocation;
    private final Clock clock;

    /**
     * @param protocols the only protocol versions used, e.g. {@code TLSv1.3}
     * @param executor runs questions to revocation services
     * @param revocationLimit such a question is given up after this time, and the certificate taken as not revoked
     */
    public TlsClients(List<String> protocols, ExecutorService executor, Duration revocationLimit, Clock clock) {
        this.protocols = List.copyOf(protocols);
        this.revocation = new RevocationCheck(executor, revocationLimit, clock);
        this.clock = clock;
    }

    /**
     * An engine for one connection.
     *
     * @param host for SNI, if it is a name, and for session resumption
     * @throws GeneralSecurityException when the requirement cannot be set up: the mail must be deferred
     */
    public SSLEngine engine(TlsRequirement requirement, String host, int port) throws GeneralSecurityException {
        SSLContext context;
        try {
            context = contexts.get(requirement, () -> context(requirement));
        } catch (ExecutionException e) {
            throw new GeneralSecurityException(
                    "TLS cannot be set up: " + e.getCause().getMessage(), e.getCause());
        }
        SSLEngine engine = context.createSSLEngine(host, port);
        engine.setUseClientMode(true);
        SSLParameters parameters = engine.getSSLParameters();
        parameters.setProtocols(protocols.toArray(String[]::new));
        serverName(host).ifPresent(name -> parameters.setServerNames(List.of(name)));
        engine.setSSLParameters(parameters);
        return engine;
    }

    private static Optional<SNIHostName> serverName(String host) {
        if (host.indexOf(':') >= 0 || host.matches("[0-9.]+") || host.indexOf('.') < 0) {
            // RFC 6066 section 3: no literals; and SNI of a bare host name breaks some servers
            return Optional.empty();
        }
        try {
            String ascii = IDN.toASCII(host);
            return Optional.of(new SNIHostName(ascii.endsWith(".") ? ascii.substring(0, ascii.length() - 1) : ascii));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    private SSLContext context(TlsRequirement requirement) throws GeneralSecurityException {
        KeyManager[] keys = requirement
                .clientCertificate()
                .map(key -> new KeyManager[] {new PresentedKey(key)})
                .orElseGet(() -> new KeyManager[0]);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys, new TrustManager[] {trust(requirement)}, null);
        context.getClientSessionContext().setSessionTimeout(SESSION_LIFE_SECONDS);
        return context;
    }

    private RequiredTrust trust(TlsRequirement requirement) throws GeneralSecurityException {
        return switch (requirement.level()) {
            case OPPORTUNISTIC, ENCRYPT -> RequiredTrust.unchecked();
            case CA, DOMAIN -> RequiredTrust.pkix(new CertificateTrust(requirement.trustAnchors(), revocation, clock));
            case PINNED -> RequiredTrust.pinned(requirement.pins());
            case NONE, DANE -> throw new GeneralSecurityException(
                    "TLS level '" + requirement.level() + "' makes no TLS connection");
        };
    }

    /**
     * Judges a finished handshake; does not block.
     *
     * @param identity whom the certificate must speak for; only looked at under level {@code domain}, where its absence
     *     refuses
     */
    public TlsUsed verify(SSLSession session, TlsRequirement requirement, Optional<PeerIdentity> identity)
            throws CertificateRefusedException {
        TlsLevel level = requirement.level();
        if (level == TlsLevel.CA || level == TlsLevel.DOMAIN) {
            CertificateTrust.checkDates(leaf(session), clock.instant());
        }
        String verification = level.toString();
        if (level == TlsLevel.DOMAIN) {
            PeerIdentity expected = identity.orElseThrow(() -> new CertificateRefusedException(
                    "the connector demands a certificate name but none is known; give its tls element a name"));
            expected.check(leaf(session));
            verification += ": " + expected;
        }
        return new TlsUsed(session.getProtocol(), session.getCipherSuite(), verification);
    }

    private static X509Certificate leaf(SSLSession session) throws CertificateRefusedException {
        try {
            if (session.getPeerCertificates()[0] instanceof X509Certificate leaf) {
                return leaf;
            }
        } catch (SSLPeerUnverifiedException e) {
            throw new CertificateRefusedException("the peer showed no certificate", e);
        }
        throw new CertificateRefusedException("the peer's certificate is not X.509");
    }
}
