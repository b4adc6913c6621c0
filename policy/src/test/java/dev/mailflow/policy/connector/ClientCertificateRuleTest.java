/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.policy.certificate.CertificatePin;
import dev.mailflow.policy.certificate.PeerCertificate;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.certificate.X509PeerCertificate;
import dev.mailflow.policy.connector.ClientCertificateRule.Trust;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.testing.TestCertificates;

class ClientCertificateRuleTest {
    private static final Instant NOW = Instant.now();
    private static final TestCertificates.Authority CA = TestCertificates.authority("Test CA");
    private static final TestCertificates.Issued FABRIKAM =
            CA.leaf("mail.fabrikam.com").issue();
    private static final TrustAnchors ANCHORS =
            new TrustAnchors(Optional.of("file://conf/ca.pem"), List.of(CA.certificate()));
    private static final CertificatePin OTHER_PIN = new CertificatePin("00".repeat(32));

    private static PeerCertificate peer(TestCertificates.Issued issued) {
        return X509PeerCertificate.of(issued.chain());
    }

    @ParameterizedTest(name = "rule {0}, certificate {1}: {2}")
    @CsvSource({
        "mail.fabrikam.com, mail.fabrikam.com, true",
        "mail.fabrikam.com, fabrikam.com, false",
        "mail.fabrikam.com, *.fabrikam.com, true",
        "a.mail.fabrikam.com, *.fabrikam.com, false",
        "fabrikam.com, *.fabrikam.com, false",
        "*.fabrikam.com, fabrikam.com, true",
        "*.fabrikam.com, mail.fabrikam.com, true",
        "*.fabrikam.com, a.mail.fabrikam.com, true",
        "*.fabrikam.com, *.fabrikam.com, true",
        "*.fabrikam.com, notfabrikam.com, false",
        "*.mail.fabrikam.com, *.fabrikam.com, false",
    })
    void nameShouldMatchAsInTheBehaviour(String configured, String inCertificate, boolean accepted) {
        ClientCertificateRule rule = ClientCertificateRule.ca(DomainPattern.parse(configured), ANCHORS);

        assertThat(rule.objectionTo(peer(CA.leaf(inCertificate).issue()), NOW).isEmpty())
                .isEqualTo(accepted);
    }

    @Test
    void commonNameShouldCountOnlyWithoutSan() {
        ClientCertificateRule rule = ClientCertificateRule.ca(DomainPattern.parse("mail.fabrikam.com"), ANCHORS);

        assertThat(rule.objectionTo(peer(CA.leafWithoutSan("mail.fabrikam.com").issue()), NOW))
                .isEmpty();
        assertThat(rule.objectionTo(
                        peer(CA.leaf("other.example")
                                .commonName("mail.fabrikam.com")
                                .issue()),
                        NOW))
                .contains("the client's certificate is for other.example, not for mail.fabrikam.com");
    }

    @Test
    void rightNameOfAnUnknownAuthorityShouldBeRefused() {
        ClientCertificateRule rule = ClientCertificateRule.ca(DomainPattern.parse("mail.fabrikam.com"), ANCHORS);
        TestCertificates.Issued forged =
                TestCertificates.authority("Anybody").leaf("mail.fabrikam.com").issue();

        assertThat(rule.objectionTo(peer(forged), NOW).orElseThrow())
                .startsWith("the client's certificate is not trusted: ")
                .contains("CN=Anybody");
    }

    @Test
    void pinShouldBeOfTheCertificateOrOfItsKey() {
        CertificatePin certificate = new CertificatePin(TestCertificates.sha256(FABRIKAM.certificate()));
        CertificatePin key = new CertificatePin(TestCertificates.spkiSha256(FABRIKAM.certificate()));

        assertThat(ClientCertificateRule.pinned(Set.of(certificate)).objectionTo(peer(FABRIKAM), NOW))
                .isEmpty();
        assertThat(ClientCertificateRule.pinned(Set.of(OTHER_PIN, key)).objectionTo(peer(FABRIKAM), NOW))
                .isEmpty();
        assertThat(ClientCertificateRule.pinned(Set.of(OTHER_PIN))
                        .objectionTo(peer(FABRIKAM), NOW)
                        .orElseThrow())
                .contains(certificate.sha256(), "not pinned");
    }

    @Test
    void nameShouldAlsoBeRequiredWhenPinned() {
        CertificatePin pin = new CertificatePin(TestCertificates.sha256(FABRIKAM.certificate()));
        ClientCertificateRule rule = new ClientCertificateRule(
                Optional.of(DomainPattern.parse("contoso.com")), Trust.PINNED, TrustAnchors.jdk(), Set.of(pin));

        assertThat(rule.objectionTo(peer(FABRIKAM), NOW)).isPresent();
    }

    @Test
    void ruleThatWouldAcceptAnybodyShouldBeRefused() {
        assertThatThrownBy(() -> new ClientCertificateRule(Optional.empty(), Trust.CA, TrustAnchors.jdk(), Set.of()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("expected a name");
        assertThatThrownBy(() -> ClientCertificateRule.ca(DomainPattern.ANY, TrustAnchors.jdk()))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> ClientCertificateRule.pinned(Set.of()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("sha256");
    }

    @Test
    void descriptionShouldBeTheConfiguredNameElseThePin() {
        assertThat(ClientCertificateRule.ca(DomainPattern.parse("*.Fabrikam.com"), ANCHORS)
                        .describe())
                .isEqualTo("*.fabrikam.com");
        assertThat(ClientCertificateRule.pinned(Set.of(OTHER_PIN)).describe()).isEqualTo("sha256 " + "00".repeat(32));
    }
}
