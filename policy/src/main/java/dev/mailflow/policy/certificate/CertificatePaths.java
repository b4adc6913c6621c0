/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertPathBuilderException;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertStore;
import java.security.cert.CertificateParsingException;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.PKIXCertPathBuilderResult;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.security.interfaces.RSAPublicKey;
import java.time.Instant;
import java.util.Arrays;
import java.util.Date;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

import com.google.common.collect.ImmutableSet;

/**
 * PKIX validation (RFC 5280 section 6) of a presented chain, the same for what clients present to us and what next
 * hops do. The chain may be in any order after its leaf and hold certificates that are not needed, as real servers'
 * chains do. Names are not its business: see {@link CertificateNames}. Revocation is
 * another question: see {@link Revocation}.
 *
 * <p>When it says no, the reason tells an administrator which certificate is at fault and how: expired, not yet valid,
 * self-signed, of an unknown authority, too weak, or not made for TLS.
 */
public final class CertificatePaths {
    private static final String ANY_EXTENDED_USAGE = "2.5.29.37.0";
    private static final String SERVER_AUTHENTICATION = "1.3.6.1.5.5.7.3.1";
    private static final ImmutableSet<String> WEAK_SIGNATURES = ImmutableSet.of("MD2WITH", "MD5WITH", "SHA1WITH");
    private static final int LEAST_RSA_BITS = 2048;
    private static final String CLIENT_AUTHENTICATION = "1.3.6.1.5.5.7.3.2";

    /** Which side of TLS the certificate was presented by. */
    public enum Side {
        SERVER(ImmutableSet.of(SERVER_AUTHENTICATION, ANY_EXTENDED_USAGE)),
        /**
         * A mail server shows the certificate of its server side when it is a client, and public authorities no longer
         * put client authentication into those: server authentication is good enough for a client.
         */
        CLIENT(ImmutableSet.of(CLIENT_AUTHENTICATION, SERVER_AUTHENTICATION, ANY_EXTENDED_USAGE));

        private final ImmutableSet<String> extendedKeyUsages;

        Side(ImmutableSet<String> extendedKeyUsages) {
            this.extendedKeyUsages = extendedKeyUsages;
        }
    }

    private CertificatePaths() {}

    /**
     * Looks for a path from the leaf to one of the anchors, valid at {@code now}.
     *
     * @param chain as presented, leaf first; an empty one is untrusted
     */
    public static TrustVerdict validate(List<X509Certificate> chain, TrustAnchors anchors, Side side, Instant now) {
        if (chain.isEmpty()) {
            return new TrustVerdict.Untrusted("no certificate was presented");
        }
        X509Certificate leaf = chain.get(0);
        Optional<String> flaw = validityFlaw(leaf, now).or(() -> usageFlaw(leaf, side));
        if (flaw.isPresent()) {
            return new TrustVerdict.Untrusted(flaw.get());
        }
        Set<X509Certificate> trusted = certificates(anchors);
        if (trusted.contains(leaf)) {
            // a certificate that is itself configured as an anchor needs no path
            return new TrustVerdict.Trusted();
        }
        if (trusted.isEmpty()) {
            return new TrustVerdict.Untrusted("there is no trust anchor in " + anchors);
        }
        try {
            return CertPathBuilder.getInstance("PKIX")
                    .build(parameters(chain, trusted, now))
                    .getCertPath()
                    .getCertificates()
                    .stream()
                    .flatMap(certificate -> weakness((X509Certificate) certificate).stream())
                    .findFirst()
                    .<TrustVerdict>map(TrustVerdict.Untrusted::new)
                    .orElseGet(TrustVerdict.Trusted::new);
        } catch (CertPathBuilderException e) {
            return new TrustVerdict.Untrusted(explain(e, chain, anchors, now));
        } catch (GeneralSecurityException e) {
            return new TrustVerdict.Untrusted("the chain cannot be validated: " + e.getMessage());
        }
    }

    /** The path by which {@link #validate} trusts a chain; empty when it does not, or needs none. */
    static Optional<PKIXCertPathBuilderResult> path(List<X509Certificate> chain, TrustAnchors anchors, Instant now) {
        Set<X509Certificate> trusted = certificates(anchors);
        if (chain.isEmpty() || trusted.isEmpty() || trusted.contains(chain.get(0))) {
            return Optional.empty();
        }
        try {
            return Optional.of((PKIXCertPathBuilderResult)
                    CertPathBuilder.getInstance("PKIX").build(parameters(chain, trusted, now)));
        } catch (GeneralSecurityException e) {
            return Optional.empty();
        }
    }

    /** Configured anchors that turned out to be none must not become the JDK's hundred. */
    private static Set<X509Certificate> certificates(TrustAnchors anchors) {
        return anchors.source().isEmpty() && anchors.isJdk()
                ? JdkAnchors.CERTIFICATES
                : Set.copyOf(anchors.certificates());
    }

    private static PKIXBuilderParameters parameters(
            List<X509Certificate> chain, Set<X509Certificate> trusted, Instant now) throws GeneralSecurityException {
        X509CertSelector leaf = new X509CertSelector();
        leaf.setCertificate(chain.get(0));
        Set<TrustAnchor> anchors = trusted.stream()
                .map(certificate -> new TrustAnchor(certificate, null))
                .collect(Collectors.toSet());
        PKIXBuilderParameters parameters = new PKIXBuilderParameters(anchors, leaf);
        parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(chain)));
        parameters.setDate(Date.from(now));
        // the default asks for revocation through CRLs and fails hard without any; who wants to know asks Revocation
        parameters.setRevocationEnabled(false);
        return parameters;
    }

    private static Optional<String> validityFlaw(X509Certificate certificate, Instant now) {
        Instant notBefore = certificate.getNotBefore().toInstant();
        Instant notAfter = certificate.getNotAfter().toInstant();
        if (now.isAfter(notAfter)) {
            return Optional.of("certificate of " + subject(certificate) + " expired at " + notAfter);
        }
        return now.isBefore(notBefore)
                ? Optional.of("certificate of " + subject(certificate) + " is not valid before " + notBefore)
                : Optional.empty();
    }

    private static Optional<String> usageFlaw(X509Certificate leaf, Side side) {
        try {
            List<String> usages = leaf.getExtendedKeyUsage();
            return usages == null || usages.stream().anyMatch(side.extendedKeyUsages::contains)
                    ? Optional.empty()
                    : Optional.of("certificate of " + subject(leaf) + " is not made for TLS (extended key usage "
                            + String.join(", ", usages) + ")");
        } catch (CertificateParsingException e) {
            return Optional.of("certificate of " + subject(leaf) + " cannot be read: " + e.getMessage());
        }
    }

    /**
     * The JDK refuses weak algorithms in paths to its own authorities only. Whoever can forge a SHA-1 signature or factor
     * a short key needs no authority of ours, so they are refused everywhere but in the anchor itself.
     */
    private static Optional<String> weakness(X509Certificate certificate) {
        String signature = certificate.getSigAlgName().toUpperCase(Locale.ROOT);
        if (WEAK_SIGNATURES.stream().anyMatch(signature::startsWith)) {
            return Optional.of(
                    "certificate of " + subject(certificate) + " has a weak signature: " + certificate.getSigAlgName());
        }
        return certificate.getPublicKey() instanceof RSAPublicKey key
                        && key.getModulus().bitLength() < LEAST_RSA_BITS
                ? Optional.of("certificate of " + subject(certificate) + " has a weak key: RSA of "
                        + key.getModulus().bitLength() + " bits")
                : Optional.empty();
    }

    /** The builder says little more than "no path": what is wrong is mostly plain from the chain itself. */
    private static String explain(
            CertPathBuilderException failure, List<X509Certificate> chain, TrustAnchors anchors, Instant now) {
        Optional<String> lapsed = chain.stream()
                .skip(1)
                .flatMap(certificate -> validityFlaw(certificate, now).stream())
                .findFirst();
        if (lapsed.isPresent()) {
            return lapsed.get();
        }
        Optional<CertPathValidatorException> step = Stream.iterate(
                        failure.getCause(), cause -> cause != null, Throwable::getCause)
                .filter(CertPathValidatorException.class::isInstance)
                .map(CertPathValidatorException.class::cast)
                .reduce((outer, inner) -> inner);
        if (step.isPresent()) {
            return "no valid path from certificate of " + subject(chain.get(0)) + " to " + anchors + ": "
                    + step.get().getMessage();
        }
        X509Certificate leaf = chain.get(0);
        if (leaf.getSubjectX500Principal().equals(leaf.getIssuerX500Principal())) {
            return "certificate of " + subject(leaf) + " is self-signed and not among " + anchors;
        }
        return "certificate of " + subject(leaf) + ", issued by "
                + leaf.getIssuerX500Principal().getName() + ", does not lead to " + anchors;
    }

    private static String subject(X509Certificate certificate) {
        return "'" + certificate.getSubjectX500Principal().getName() + "'";
    }

    /** Read once: the JDK's store has some 150 certificates and does not change while we run. */
    private static final class JdkAnchors {
        static final Set<X509Certificate> CERTIFICATES = load();

        private static Set<X509Certificate> load() {
            try {
                TrustManagerFactory factory =
                        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
                factory.init((KeyStore) null);
                for (TrustManager manager : factory.getTrustManagers()) {
                    if (manager instanceof X509TrustManager x509) {
                        return Arrays.stream(x509.getAcceptedIssuers()).collect(Collectors.toUnmodifiableSet());
                    }
                }
                return Set.of();
            } catch (GeneralSecurityException e) {
                throw new IllegalStateException("the JDK's trust anchors cannot be read", e);
            }
        }
    }
}
