/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import java.net.IDN;
import java.security.GeneralSecurityException;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;

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
import dev.mailflow.delivery.dane.TlsaRecord;
import dev.mailflow.delivery.dane.TlsaRecords;
import dev.mailflow.policy.certificate.Revocation;
import dev.mailflow.policy.certificate.TrustAnchors;
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
    /** A service that answers may have others in line. */
    private static final int TURNS = 3;

    private final Cache<Demands, SSLContext> contexts =
            CacheBuilder.newBuilder().maximumSize(1000).build();
    /** To read the JDK's authorities takes long, and those who ask for a context must not wait. */
    private final Cache<TrustAnchors, CertificateTrust> trusts =
            CacheBuilder.newBuilder().maximumSize(100).build();

    private final List<String> protocols;
    private final Revocation revocation;
    private final TrustAnchors webAuthorities;
    private final Clock clock;

    /** What is asked of a peer; sessions are resumed only among equal ones. */
    private record Demands(TlsRequirement requirement, Optional<PublishedTrust> published) {}

    /**
     * @param protocols the only protocol versions used, e.g. {@code TLSv1.3}
     * @param executor runs questions to revocation services
     * @param revocationLimit such a question is given up this time after it was put, and the certificate taken as not
     *     revoked unless it is known to be
     * @param webAuthorities whom MTA-STS trusts
     */
    public TlsClients(
            List<String> protocols,
            Executor executor,
            Duration revocationLimit,
            TrustAnchors webAuthorities,
            Clock clock) {
        this.webAuthorities = webAuthorities;
        this.protocols = List.copyOf(protocols);
        this.revocation = new Revocation(executor, revocationLimit, revocationLimit.multipliedBy(TURNS));
        this.clock = clock;
    }

    /**
     * An engine for one connection.
     *
     * @param host for SNI, if it is a name, and for session resumption
     * @throws GeneralSecurityException when the requirement cannot be set up: the mail must be deferred
     */
    public SSLEngine engine(TlsRequirement requirement, Optional<PublishedTrust> published, String host, int port)
            throws GeneralSecurityException {
        Demands demands = new Demands(requirement, published);
        SSLContext context;
        try {
            context = contexts.get(demands, () -> context(demands));
        } catch (ExecutionException e) {
            throw new GeneralSecurityException(
                    "TLS cannot be set up: " + e.getCause().getMessage(), e.getCause());
        }
        String name = published.map(PublishedTrust::serverName).orElse(host);
        SSLEngine engine = context.createSSLEngine(name, port);
        engine.setUseClientMode(true);
        SSLParameters parameters = engine.getSSLParameters();
        parameters.setProtocols(protocols.toArray(String[]::new));
        serverName(name).ifPresent(shown -> parameters.setServerNames(List.of(shown)));
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

    private SSLContext context(Demands demands) throws GeneralSecurityException {
        KeyManager[] keys = demands.requirement()
                .clientCertificate()
                .map(key -> new KeyManager[] {new PresentedKey(key)})
                .orElseGet(() -> new KeyManager[0]);
        RequiredTrust trust = floor(demands.requirement());
        if (demands.published().isPresent()) {
            trust = trust.and(published(demands.published().get()));
        } else if (demands.requirement().level() == TlsLevel.DANE) {
            throw new GeneralSecurityException("TLS level 'dane' without TLSA records makes no TLS connection");
        }
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys, new TrustManager[] {trust}, null);
        context.getClientSessionContext().setSessionTimeout(SESSION_LIFE_SECONDS);
        return context;
    }

    private RequiredTrust floor(TlsRequirement requirement) throws GeneralSecurityException {
        return switch (requirement.level()) {
            case OPPORTUNISTIC, ENCRYPT, DANE -> RequiredTrust.unchecked();
            case CA, DOMAIN -> RequiredTrust.pkix(trust(requirement.trustAnchors()));
            case PINNED -> RequiredTrust.pinned(requirement.pins());
            case NONE -> throw new GeneralSecurityException("TLS level 'none' makes no TLS connection");
        };
    }

    /** The same for the same authorities, which are read once. */
    CertificateTrust trust(TrustAnchors anchors) throws GeneralSecurityException {
        try {
            return trusts.get(anchors, () -> new CertificateTrust(anchors, revocation, clock));
        } catch (ExecutionException e) {
            throw new GeneralSecurityException(e.getCause().getMessage(), e.getCause());
        }
    }

    private RequiredTrust.PublishedCheck published(PublishedTrust trust) throws GeneralSecurityException {
        if (trust instanceof PublishedTrust.Dane dane) {
            return (chain, stapled) -> {
                if (!dane.usable().isEmpty()) {
                    TlsaRecords.check(dane.usable(), chain, dane.names(), clock.instant());
                }
            };
        }
        // testing mode is judged after the handshake, which it must not disturb
        CertificateTrust pkix = trust(webAuthorities);
        return trust.enforced() ? pkix::check : (chain, stapled) -> {};
    }

    /**
     * Judges a finished handshake; does not block.
     *
     * @param identity whom the certificate must speak for; only looked at under level {@code domain}, where its absence
     *     refuses
     */
    public TlsUsed verify(
            SSLSession session,
            TlsRequirement requirement,
            Optional<PeerIdentity> identity,
            Optional<PublishedTrust> published)
            throws CertificateRefusedException {
        TlsLevel level = requirement.level();
        String verification = level == TlsLevel.DANE ? "" : level.toString();
        if (level == TlsLevel.CA || level == TlsLevel.DOMAIN) {
            CertificateTrust.checkDates(leaf(session), clock.instant());
        }
        if (level == TlsLevel.DOMAIN) {
            PeerIdentity expected = identity.orElseThrow(() -> new CertificateRefusedException(
                    "the connector demands a certificate name but none is known; give its tls element a name"));
            expected.check(leaf(session));
            verification += ": " + expected;
        }
        if (published.isPresent() && published.get().enforced()) {
            String more = verifyPublished(session, published.get());
            verification =
                    level == TlsLevel.OPPORTUNISTIC || verification.isEmpty() ? more : verification + "; " + more;
        }
        return new TlsUsed(session.getProtocol(), session.getCipherSuite(), verification);
    }

    private String verifyPublished(SSLSession session, PublishedTrust published) throws CertificateRefusedException {
        if (published instanceof PublishedTrust.Dane dane) {
            if (dane.usable().isEmpty()) {
                return "dane: no usable TLSA record at " + dane.owner() + ", certificate unchecked";
            }
            if (dane.usable().stream().allMatch(each -> each.usage() == TlsaRecord.DANE_TA)) {
                // a resumed session has not seen the trust manager again
                CertificateTrust.checkDates(leaf(session), clock.instant());
            }
            return "dane: " + dane.owner();
        }
        CertificateTrust.checkDates(leaf(session), clock.instant());
        name((PublishedTrust.MtaSts) published).check(leaf(session));
        return "mta-sts: " + published.serverName();
    }

    private static PeerIdentity name(PublishedTrust.MtaSts published) throws CertificateRefusedException {
        return PeerIdentity.alternativeName(published.host())
                .orElseThrow(() -> new CertificateRefusedException(
                        TlsFault.CERTIFICATE_HOST_MISMATCH, "no certificate can be named '" + published.host() + "'"));
    }

    /**
     * What would have been wrong with a peer had its owner's wish been enforced (MTA-STS mode {@code testing}); may
     * block.
     */
    public Optional<CertificateRefusedException> judge(SSLSession session, PublishedTrust.MtaSts published) {
        try {
            List<X509Certificate> chain = new ArrayList<>();
            for (Certificate each : session.getPeerCertificates()) {
                chain.add((X509Certificate) each);
            }
            trust(webAuthorities).check(chain, Map.of());
            name(published).check(chain.get(0));
            return Optional.empty();
        } catch (CertificateRefusedException e) {
            return Optional.of(e);
        } catch (GeneralSecurityException | SSLPeerUnverifiedException | ClassCastException e) {
            return Optional.of(new CertificateRefusedException("certificate cannot be checked: " + e.getMessage(), e));
        }
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
