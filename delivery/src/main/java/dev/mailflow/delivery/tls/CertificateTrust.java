/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import java.security.GeneralSecurityException;
import java.security.InvalidAlgorithmParameterException;
import java.security.KeyStore;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertPathBuilderException;
import java.security.cert.CertStore;
import java.security.cert.CertificateParsingException;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.PKIXCertPathBuilderResult;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

import dev.mailflow.policy.certificate.Revocation;
import dev.mailflow.policy.certificate.TrustAnchors;

/** PKIX: whether a chain leads to a trusted authority, is in its time, and is not revoked as far as can be told. */
final class CertificateTrust {
    private static final String ANY_USAGE = "2.5.29.37.0";
    private static final String SERVER_AUTH = "1.3.6.1.5.5.7.3.1";

    private final Set<X509Certificate> anchors;
    private final Set<TrustAnchor> ends;
    private final String anchorsShown;
    private final Revocation revocation;
    private final Clock clock;

    CertificateTrust(TrustAnchors anchors, Revocation revocation, Clock clock) throws GeneralSecurityException {
        this.anchors = Set.copyOf(anchors.isJdk() ? jdkAnchors() : anchors.certificates());
        this.ends = this.anchors.stream()
                .map(anchor -> new TrustAnchor(anchor, null))
                .collect(Collectors.toUnmodifiableSet());
        this.anchorsShown = anchors.toString();
        this.revocation = revocation;
        this.clock = clock;
    }

    private static List<X509Certificate> jdkAnchors() throws GeneralSecurityException {
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init((KeyStore) null);
        return Arrays.stream(factory.getTrustManagers())
                .filter(X509TrustManager.class::isInstance)
                .flatMap(manager -> Arrays.stream(((X509TrustManager) manager).getAcceptedIssuers()))
                .toList();
    }

    /**
     * Checks a chain; may block on revocation services, in bounded time.
     *
     * @param chain leaf first, in whatever order after it
     * @param stapled OCSP responses by certificate, from the handshake
     */
    void check(List<X509Certificate> chain, Map<X509Certificate, byte[]> stapled) throws CertificateRefusedException {
        X509Certificate leaf = chain.get(0);
        checkDates(leaf, clock.instant());
        checkUsage(leaf);
        if (anchors.contains(leaf)) {
            return;
        }
        if (anchors.isEmpty()) {
            throw new CertificateRefusedException(
                    TlsFault.CERTIFICATE_NOT_TRUSTED,
                    "no certificate authority is trusted: " + anchorsShown + " is empty");
        }
        PKIXCertPathBuilderResult path = build(chain, leaf);
        Optional<String> revoked = revocation.objectionTo(path, stapled, clock.instant());
        if (Thread.currentThread().isInterrupted()) {
            throw CertificateRefusedException.notJudged(
                    "interrupted while checking revocation", new InterruptedException());
        }
        if (revoked.isPresent()) {
            throw new CertificateRefusedException("certificate was " + revoked.get());
        }
    }

    private PKIXCertPathBuilderResult build(List<X509Certificate> chain, X509Certificate leaf)
            throws CertificateRefusedException {
        try {
            X509CertSelector target = new X509CertSelector();
            target.setCertificate(leaf);
            PKIXBuilderParameters parameters = new PKIXBuilderParameters(ends, target);
            parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(chain)));
            parameters.setDate(Date.from(clock.instant()));
            // revocation is asked separately, because it needs the network and a time limit
            parameters.setRevocationEnabled(false);
            return (PKIXCertPathBuilderResult)
                    CertPathBuilder.getInstance("PKIX").build(parameters);
        } catch (CertPathBuilderException e) {
            throw refusal(chain, leaf, e);
        } catch (InvalidAlgorithmParameterException e) {
            throw CertificateRefusedException.notJudged("trust anchors cannot be used: " + e.getMessage(), e);
        } catch (GeneralSecurityException e) {
            throw CertificateRefusedException.notJudged("certificate cannot be checked: " + e.getMessage(), e);
        }
    }

    private CertificateRefusedException refusal(
            List<X509Certificate> chain, X509Certificate leaf, CertPathBuilderException e) {
        if (leaf.getIssuerX500Principal().equals(leaf.getSubjectX500Principal())) {
            return notTrusted(
                    "certificate of '" + leaf.getSubjectX500Principal() + "' is self-signed and not among "
                            + anchorsShown,
                    e);
        }
        Instant now = clock.instant();
        for (X509Certificate above : chain.subList(1, chain.size())) {
            try {
                checkDates(above, now);
            } catch (CertificateRefusedException dates) {
                return new CertificateRefusedException(
                        dates.fault(),
                        "issuing " + dates.getMessage() + " ('" + above.getSubjectX500Principal() + "')",
                        e);
            }
        }
        X509Certificate last = chain.get(chain.size() - 1);
        return notTrusted(
                "certificate chain ends with issuer '" + last.getIssuerX500Principal() + "', which does not lead to "
                        + anchorsShown + " (" + e.getMessage() + ")",
                e);
    }

    private static CertificateRefusedException notTrusted(String reason, CertPathBuilderException cause) {
        return new CertificateRefusedException(TlsFault.CERTIFICATE_NOT_TRUSTED, reason, cause);
    }

    /** Whether the certificate is in its time. */
    static void checkDates(X509Certificate certificate, Instant now) throws CertificateRefusedException {
        Instant from = certificate.getNotBefore().toInstant();
        Instant until = certificate.getNotAfter().toInstant();
        if (now.isAfter(until)) {
            throw new CertificateRefusedException(
                    TlsFault.CERTIFICATE_EXPIRED, "certificate expired on " + show(until));
        }
        if (now.isBefore(from)) {
            throw new CertificateRefusedException(
                    TlsFault.CERTIFICATE_EXPIRED, "certificate is not valid before " + show(from));
        }
    }

    private static void checkUsage(X509Certificate leaf) throws CertificateRefusedException {
        try {
            List<String> usages = leaf.getExtendedKeyUsage();
            if (usages != null && !usages.contains(SERVER_AUTH) && !usages.contains(ANY_USAGE)) {
                throw new CertificateRefusedException("certificate is not for servers: its extended key usage is "
                        + String.join(", ", usages) + ", expected " + SERVER_AUTH + " (serverAuth)");
            }
        } catch (CertificateParsingException e) {
            throw new CertificateRefusedException("certificate has an unreadable extended key usage", e);
        }
    }

    private static String show(Instant instant) {
        return DateTimeFormatter.ISO_INSTANT.format(instant.atOffset(ZoneOffset.UTC));
    }
}
