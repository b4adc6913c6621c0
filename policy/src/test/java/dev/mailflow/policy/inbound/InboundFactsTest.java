/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.inbound;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;

import org.apache.james.core.Domain;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.certificate.CertificatePin;
import dev.mailflow.policy.certificate.HypotheticalCertificate;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.certificate.X509PeerCertificate;
import dev.mailflow.policy.connection.ConnectionFilter;
import dev.mailflow.policy.connection.ConnectionFilter.Action;
import dev.mailflow.policy.connection.ConnectionVerdict;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.connection.IpRange;
import dev.mailflow.policy.connector.ClientCertificateRule;
import dev.mailflow.policy.connector.ConnectorType;
import dev.mailflow.policy.connector.InboundConnector;
import dev.mailflow.policy.connector.InboundConnectors;
import dev.mailflow.policy.connector.InternalHeaders;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.testing.TestCertificates;

class InboundFactsTest {
    private static final Instant NOW = Instant.now();
    private static final IpAddress CLIENT = IpAddress.parse("192.0.2.1");
    private static final ConnectionFilter FILTER = ConnectionFilter.builder()
            .addEntry(ConnectionFilter.Entry.of(
                    Action.ALLOW, IpRange.parse("192.0.2.0/24"), new SourceLocation("mailflow.xml", 3)))
            .build();

    private static InboundConnectors cloud(InternalHeaders headers, TrustAnchors anchors) {
        return InboundConnectors.of(List.of(new InboundConnector(
                "cloud-in",
                true,
                ConnectorType.ORGANIZATION,
                Set.of(),
                false,
                List.of(),
                Optional.of(ClientCertificateRule.ca(DomainPattern.parse("gw.contoso.com"), anchors)),
                headers,
                true,
                SourceLocation.NONE)));
    }

    private static InboundFacts facts(ClientSession session, InboundConnectors connectors) {
        Optional<Domain> sender = Optional.of(Domain.of("contoso.com"));
        return InboundFacts.of(
                session,
                connectors.attribute(session, sender, NOW),
                FILTER.verdict(session.clientIp(), sender, NOW),
                NOW);
    }

    private static ClientSession fullSession() {
        return ClientSession.from(CLIENT)
                .withHelo("gw.\"contoso\".com")
                .withTls(new TlsSession("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
                .withPeerCertificate(new HypotheticalCertificate("gw.contoso.com"))
                .withAuthenticatedUser("joe")
                .withXoorg("contoso.com");
    }

    @Test
    void jsonShouldReadBackAsTheSameFacts() {
        InboundFacts full = facts(fullSession(), cloud(InternalHeaders.PRESERVE, TrustAnchors.jdk()));
        InboundFacts bare = facts(ClientSession.from(IpAddress.parse("2001:db8::1")), InboundConnectors.none());

        assertThat(InboundFacts.fromJson(full.toJson())).isEqualTo(full);
        assertThat(InboundFacts.fromJson(bare.toJson())).isEqualTo(bare);
        assertThat(full.toJson()).doesNotContain("\n");
    }

    @Test
    void jsonShouldHaveStableKeys() {
        assertThat(facts(fullSession(), cloud(InternalHeaders.PRESERVE, TrustAnchors.jdk()))
                        .toJson())
                .isEqualTo("{\"version\":1,\"clientIp\":\"192.0.2.1\",\"helo\":\"gw.\\\"contoso\\\".com\","
                        + "\"tls\":{\"protocol\":\"TLSv1.3\",\"cipher\":\"TLS_AES_256_GCM_SHA384\"},"
                        + "\"peerCertificate\":{\"subject\":\"CN=gw.contoso.com\",\"names\":[\"gw.contoso.com\"],"
                        + "\"trusted\":true},\"authenticatedUser\":\"joe\",\"xoorg\":\"contoso.com\","
                        + "\"connector\":{\"name\":\"cloud-in\",\"type\":\"organization\"},"
                        + "\"connectionFilter\":{\"verdict\":\"allow\",\"reason\":\"allow 192.0.2.0/24 (mailflow.xml:3)\"},"
                        + "\"origin\":\"internal\",\"internalHeadersPreserved\":true}");
    }

    @Test
    void unknownKeysShouldBeIgnored() {
        InboundFacts facts = facts(ClientSession.from(CLIENT), InboundConnectors.none());
        String extended = facts.toJson().replaceFirst("\\{", "{\"geo\":{\"country\":\"NL\"},");

        assertThat(InboundFacts.fromJson(extended)).isEqualTo(facts);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "null",
                "[]",
                "\"x\"",
                "{",
                "{}",
                "{\"version\":2}",
                "{\"version\":1}",
                "{\"version\":1,\"clientIp\":\"nonsense\",\"connectionFilter\":{}}"
            })
    void textThatIsNotSuchFactsShouldBeRefused(String json) {
        assertThatThrownBy(() -> InboundFacts.fromJson(json))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("the attribute mailflow.inbound cannot be read: ");
    }

    @Test
    void certificateShouldBeJudgedByTheConnectorsAnchors() {
        TestCertificates.Authority ca = TestCertificates.authority("Test CA");
        TestCertificates.Issued issued = ca.leaf("gw.contoso.com").issue();
        ClientSession session = ClientSession.from(CLIENT)
                .withTls(new TlsSession("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"))
                .withPeerCertificate(X509PeerCertificate.of(issued.chain()));
        TrustAnchors anchors = new TrustAnchors(Optional.of("file://conf/ca.pem"), List.of(ca.certificate()));

        InboundFacts.Peer known =
                facts(session, cloud(InternalHeaders.STRIP, anchors)).peer().orElseThrow();
        assertThat(known.trusted()).isTrue();
        assertThat(known.sha256()).contains(new CertificatePin(TestCertificates.sha256(issued.certificate())));
        assertThat(facts(session, InboundConnectors.none()).peer().orElseThrow().trusted())
                .isFalse();
    }

    @Test
    void xoorgShouldBeDroppedWhereInternalHeadersAreNotPreserved() {
        assertThat(facts(fullSession(), cloud(InternalHeaders.STRIP, TrustAnchors.jdk()))
                        .xoorg())
                .isEmpty();
    }

    @Test
    void addressAndFilterShouldSpeakWhereNothingIsStamped() {
        InboundFacts facts = InboundFacts.onMail(Optional.empty(), "192.0.2.9", Optional.empty(), FILTER, NOW);

        assertThat(facts.verdict()).isEqualTo(ConnectionVerdict.Kind.ALLOW);
        assertThat(facts.origin()).isEqualTo(Origin.INTERNET);
        assertThat(facts.connector()).isEmpty();
        assertThat(InboundFacts.verdictHeader(facts.clientIp(), facts.verdict()))
                .isEqualTo("CIP=192.0.2.9; IPV=CAL");
    }

    @Test
    void stampedFactsShouldComeBeforeTheAddress() {
        InboundFacts stamped = facts(fullSession(), cloud(InternalHeaders.PRESERVE, TrustAnchors.jdk()));

        assertThat(InboundFacts.onMail(Optional.of(stamped.toJson()), "203.0.113.1", Optional.empty(), FILTER, NOW))
                .isEqualTo(stamped);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "{\"version\":9,\"origin\":\"internal\"}"})
    void unreadableFactsShouldGrantNothing(String stamped) {
        InboundFacts facts = InboundFacts.onMail(
                Optional.of(stamped), "fe80::1%eth0", Optional.empty(), ConnectionFilter.none(), NOW);

        assertThat(facts.origin()).isEqualTo(Origin.INTERNET);
        assertThat(facts.clientIp()).isEqualTo(IpAddress.parse("fe80::1"));
    }
}
