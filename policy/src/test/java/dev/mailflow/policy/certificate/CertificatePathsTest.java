/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import static org.assertj.core.api.Assertions.assertThat;

import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import dev.mailflow.policy.certificate.CertificatePaths.Side;
import dev.mailflow.policy.testing.TestCertificates;

class CertificatePathsTest {
    private static final Instant NOW = Instant.now();
    private static final TestCertificates.Authority ROOT = TestCertificates.authority("Test Root");
    private static final TestCertificates.Authority INTERMEDIATE = ROOT.intermediate("Test Intermediate");
    private static final TestCertificates.Authority STRANGER = TestCertificates.authority("Stranger");
    private static final TestCertificates.Issued LEAF =
            ROOT.leaf("mail.fabrikam.com").issue();
    private static final TrustAnchors ANCHORS = anchors(ROOT.certificate());

    private static TrustAnchors anchors(X509Certificate... certificates) {
        return new TrustAnchors(Optional.of("file://conf/ca.pem"), List.of(certificates));
    }

    private static String reason(TrustVerdict verdict) {
        return verdict instanceof TrustVerdict.Untrusted untrusted ? untrusted.reason() : "trusted";
    }

    @ParameterizedTest
    @EnumSource
    void chainToAnAnchorShouldBeTrusted(Side side) {
        assertThat(CertificatePaths.validate(LEAF.chain(), ANCHORS, side, NOW).isTrusted())
                .isTrue();
    }

    @Test
    void chainThroughAnIntermediateShouldBeTrustedInAnyOrderAndWithStrangers() {
        X509Certificate leaf = INTERMEDIATE.leaf("mail.fabrikam.com").issue().certificate();

        assertThat(reason(CertificatePaths.validate(
                        List.of(leaf, STRANGER.certificate(), ROOT.certificate(), INTERMEDIATE.certificate()),
                        ANCHORS,
                        Side.SERVER,
                        NOW)))
                .isEqualTo("trusted");
    }

    @Test
    void missingIntermediateShouldBeUntrustedAndNameTheIssuer() {
        X509Certificate leaf = INTERMEDIATE.leaf("mail.fabrikam.com").issue().certificate();

        assertThat(reason(CertificatePaths.validate(List.of(leaf), ANCHORS, Side.SERVER, NOW)))
                .contains("'CN=mail.fabrikam.com'", "CN=Test Intermediate", "file://conf/ca.pem");
    }

    @Test
    void unknownAuthorityShouldBeUntrustedAndNamed() {
        X509Certificate leaf = STRANGER.leaf("mail.fabrikam.com").issue().certificate();

        assertThat(reason(CertificatePaths.validate(List.of(leaf), ANCHORS, Side.SERVER, NOW)))
                .contains("CN=Stranger", "file://conf/ca.pem");
        assertThat(reason(CertificatePaths.validate(List.of(leaf), TrustAnchors.jdk(), Side.SERVER, NOW)))
                .contains("CN=Stranger", "the JDK's trust anchors");
    }

    @Test
    void authorityOfTheSameNameWithAnotherKeyShouldBeUntrusted() {
        TestCertificates.Authority impostor = TestCertificates.authority("Test Root");

        assertThat(CertificatePaths.validate(
                                impostor.leaf("mail.fabrikam.com").issue().chain(), ANCHORS, Side.SERVER, NOW)
                        .isTrusted())
                .isFalse();
    }

    @Test
    void leafOfALeafShouldBeUntrusted() {
        // a certificate that is no authority must not vouch for another
        TestCertificates.Issued leaf = TestCertificates.selfSigned("evil.example");

        assertThat(CertificatePaths.validate(List.of(leaf.certificate(), LEAF.certificate()), ANCHORS, Side.SERVER, NOW)
                        .isTrusted())
                .isFalse();
    }

    @Test
    void expiredCertificateShouldBeUntrusted() {
        assertThat(reason(CertificatePaths.validate(
                        ROOT.leaf("mail.fabrikam.com").expired().issue().chain(), ANCHORS, Side.CLIENT, NOW)))
                .startsWith("certificate of 'CN=mail.fabrikam.com' expired at ");
    }

    @Test
    void certificateOfTheFutureShouldBeUntrusted() {
        assertThat(reason(CertificatePaths.validate(
                        ROOT.leaf("mail.fabrikam.com").notYetValid().issue().chain(), ANCHORS, Side.CLIENT, NOW)))
                .startsWith("certificate of 'CN=mail.fabrikam.com' is not valid before ");
    }

    @Test
    void timeShouldBeTheOneGivenAndNotTheWallClock() {
        assertThat(reason(
                        CertificatePaths.validate(LEAF.chain(), ANCHORS, Side.CLIENT, NOW.plus(Duration.ofDays(400)))))
                .contains("expired at");
    }

    @Test
    void selfSignedCertificateShouldBeTrustedOnlyWhenItIsAnAnchor() {
        TestCertificates.Issued own = TestCertificates.selfSigned("mail.fabrikam.com");

        assertThat(reason(CertificatePaths.validate(own.chain(), ANCHORS, Side.SERVER, NOW)))
                .isEqualTo("certificate of 'CN=mail.fabrikam.com' is self-signed and not among file://conf/ca.pem");
        assertThat(CertificatePaths.validate(own.chain(), anchors(own.certificate()), Side.SERVER, NOW)
                        .isTrusted())
                .isTrue();
        assertThat(reason(CertificatePaths.validate(
                        own.chain(), anchors(own.certificate()), Side.SERVER, NOW.plus(Duration.ofDays(400)))))
                .contains("expired at");
    }

    @Test
    void weakSignatureShouldBeUntrusted() {
        assertThat(reason(CertificatePaths.validate(
                        ROOT.leaf("mail.fabrikam.com").weak().issue().chain(), ANCHORS, Side.SERVER, NOW)))
                .isEqualTo("certificate of 'CN=mail.fabrikam.com' has a weak signature: SHA1withRSA");
    }

    @Test
    void configuredAnchorsWithoutCertificateShouldTrustNobody() {
        assertThat(reason(CertificatePaths.validate(LEAF.chain(), anchors(), Side.SERVER, NOW)))
                .isEqualTo("there is no trust anchor in file://conf/ca.pem");
    }

    @Test
    void emptyChainShouldBeUntrusted() {
        assertThat(reason(CertificatePaths.validate(List.of(), ANCHORS, Side.CLIENT, NOW)))
                .isEqualTo("no certificate was presented");
    }

    @Test
    void certificateShouldTellItsNamesAndPins() {
        X509PeerCertificate certificate = X509PeerCertificate.of(LEAF.chain());

        assertThat(certificate.names().names()).containsExactly("mail.fabrikam.com");
        assertThat(certificate.subject()).isEqualTo("CN=mail.fabrikam.com");
        assertThat(certificate.certificatePin())
                .contains(new CertificatePin(TestCertificates.sha256(LEAF.certificate())));
        assertThat(certificate.publicKeyPin())
                .contains(new CertificatePin(TestCertificates.spkiSha256(LEAF.certificate())));
    }

    @Test
    void keptVerdictShouldNotOutliveTheCertificate() {
        X509PeerCertificate certificate = X509PeerCertificate.of(LEAF.chain());
        Instant end = LEAF.certificate().getNotAfter().toInstant();

        assertThat(certificate
                        .trustedBy(ANCHORS, end.minus(Duration.ofHours(1)))
                        .isTrusted())
                .isTrue();
        assertThat(certificate.trustedBy(ANCHORS, end.plus(Duration.ofHours(1))).isTrusted())
                .isFalse();
        assertThat(certificate.trustedBy(anchors(STRANGER.certificate()), NOW).isTrusted())
                .isFalse();
        assertThat(certificate.trustedBy(ANCHORS, NOW).isTrusted()).isTrue();
    }
}
