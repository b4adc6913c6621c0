/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.cert.CertificateEncodingException;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A certificate that a client really presented, with its chain. A path verdict is kept for a minute, so that a session
 * that sends a thousand messages costs one PKIX validation and not a thousand. Thread-safe.
 */
public final class X509PeerCertificate implements PeerCertificate {
    private static final Duration VERDICT_LIFE = Duration.ofMinutes(1);

    private final List<X509Certificate> chain;
    private final CertificateNames names;
    private final CertificatePin certificatePin;
    private final CertificatePin publicKeyPin;
    private final Optional<Revocation> revocation;
    private final Map<TrustAnchors, DatedVerdict> verdicts = new ConcurrentHashMap<>();

    private record DatedVerdict(TrustVerdict verdict, Instant at) {
        boolean holdsAt(Instant now) {
            return !now.isBefore(at) && now.isBefore(at.plus(VERDICT_LIFE));
        }
    }

    private X509PeerCertificate(List<X509Certificate> chain, Optional<Revocation> revocation)
            throws CertificateEncodingException {
        this.chain = List.copyOf(chain);
        this.revocation = revocation;
        X509Certificate leaf = chain.get(0);
        this.names = CertificateNames.of(leaf);
        this.certificatePin = sha256(leaf.getEncoded());
        this.publicKeyPin = sha256(leaf.getPublicKey().getEncoded());
    }

    /**
     * The client certificate of a TLS session.
     *
     * @param chain as presented, leaf first
     * @throws IllegalArgumentException when the chain is empty or its leaf cannot be encoded
     */
    public static X509PeerCertificate of(List<X509Certificate> chain) {
        return of(chain, Optional.empty());
    }

    /**
     * As {@link #of(List)}, with somebody to ask whether it was revoked.
     *
     * @param chain as presented, leaf first
     * @throws IllegalArgumentException when the chain is empty or its leaf cannot be encoded
     */
    public static X509PeerCertificate of(List<X509Certificate> chain, Revocation revocation) {
        return of(chain, Optional.of(revocation));
    }

    private static X509PeerCertificate of(List<X509Certificate> chain, Optional<Revocation> revocation) {
        if (chain.isEmpty()) {
            throw new IllegalArgumentException("found no certificate, expected the leaf of a presented chain");
        }
        try {
            return new X509PeerCertificate(chain, revocation);
        } catch (CertificateEncodingException e) {
            throw new IllegalArgumentException("the presented certificate cannot be encoded", e);
        }
    }

    private static CertificatePin sha256(byte[] encoded) {
        try {
            return new CertificatePin(HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(encoded)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    @Override
    public CertificateNames names() {
        return names;
    }

    @Override
    public String subject() {
        return chain.get(0).getSubjectX500Principal().getName();
    }

    @Override
    public Optional<CertificatePin> certificatePin() {
        return Optional.of(certificatePin);
    }

    @Override
    public Optional<CertificatePin> publicKeyPin() {
        return Optional.of(publicKeyPin);
    }

    @Override
    public TrustVerdict trustedBy(TrustAnchors anchors, Instant now) {
        return verdicts.compute(
                        anchors,
                        (unused, known) -> known != null && known.holdsAt(now)
                                ? known
                                : new DatedVerdict(
                                        CertificatePaths.validate(chain, anchors, CertificatePaths.Side.CLIENT, now),
                                        now))
                .verdict();
    }

    @Override
    public Optional<String> revokedUnder(TrustAnchors anchors, Instant now) {
        return revocation.flatMap(asked -> asked.objectionTo(chain, anchors, now));
    }

    @Override
    public String toString() {
        return subject() + " (sha256 " + certificatePin + ")";
    }
}
