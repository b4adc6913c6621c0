/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

import org.apache.james.core.Domain;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.certificate.CertificatePin;
import dev.mailflow.policy.certificate.HypotheticalCertificate;
import dev.mailflow.policy.certificate.PeerCertificate;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.certificate.X509PeerCertificate;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.connection.IpRange;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.inbound.ClientSession;
import dev.mailflow.policy.inbound.Origin;
import dev.mailflow.policy.inbound.TlsSession;
import dev.mailflow.policy.testing.TestCertificates;

/** Section 3 of the mail-flow behaviour. */
class InboundConnectorsTest {
    private static final Instant NOW = Instant.now();
    private static final TestCertificates.Authority CA = TestCertificates.authority("Test CA");
    private static final TrustAnchors ANCHORS =
            new TrustAnchors(Optional.of("file://conf/ca.pem"), List.of(CA.certificate()));

    private static Scenario organization(String name) {
        return new Scenario(name, ConnectorType.ORGANIZATION);
    }

    private static Scenario partner(String name) {
        return new Scenario(name, ConnectorType.PARTNER).tls(true);
    }

    /** A connector that states nothing but what a test says. */
    private static final class Scenario {
        private final String name;
        private final ConnectorType type;
        private Set<DomainPattern> senders = Set.of();
        private List<IpRange> ips = List.of();
        private Optional<ClientCertificateRule> certificate = Optional.empty();
        private InternalHeaders headers = InternalHeaders.STRIP;
        private boolean enabled = true;
        private boolean tls;
        private boolean relay;

        Scenario(String name, ConnectorType type) {
            this.name = name;
            this.type = type;
        }

        Scenario senders(String... domains) {
            senders = Arrays.stream(domains).map(DomainPattern::parse).collect(Collectors.toSet());
            return this;
        }

        Scenario ips(String... ranges) {
            ips = Arrays.stream(ranges).map(IpRange::parse).toList();
            return this;
        }

        Scenario certificate(String certificateName) {
            certificate = Optional.of(ClientCertificateRule.ca(DomainPattern.parse(certificateName), ANCHORS));
            return this;
        }

        Scenario pinned(TestCertificates.Issued issued) {
            certificate = Optional.of(ClientCertificateRule.pinned(
                    Set.of(new CertificatePin(TestCertificates.sha256(issued.certificate())))));
            return this;
        }

        Scenario tls(boolean required) {
            tls = required;
            return this;
        }

        Scenario relay() {
            relay = true;
            return this;
        }

        Scenario preserve() {
            headers = InternalHeaders.PRESERVE;
            return this;
        }

        Scenario disabled() {
            enabled = false;
            return this;
        }

        InboundConnector build() {
            return new InboundConnector(
                    name, enabled, type, senders, tls, ips, certificate, headers, relay, SourceLocation.NONE);
        }
    }

    private static InboundConnectors connectors(Scenario... scenarios) {
        return InboundConnectors.of(
                Arrays.stream(scenarios).map(Scenario::build).toList());
    }

    private static ClientSession plain(String ip) {
        return ClientSession.from(IpAddress.parse(ip));
    }

    private static ClientSession encrypted(String ip) {
        return plain(ip).withTls(new TlsSession("TLSv1.3", "TLS_AES_256_GCM_SHA384"));
    }

    private static ClientSession with(String ip, String certificateName) {
        return encrypted(ip).withPeerCertificate(new HypotheticalCertificate(certificateName));
    }

    private static PeerCertificate peer(TestCertificates.Issued issued) {
        return X509PeerCertificate.of(issued.chain());
    }

    private static Optional<Domain> from(String sender) {
        return sender.equals("<>") ? Optional.empty() : Optional.of(Domain.of(sender));
    }

    private static String organizationOf(InboundAttribution attribution) {
        return attribution.organization().map(match -> match.connector().name()).orElse("none");
    }

    private static String replyOf(InboundAttribution attribution) {
        return attribution.refusal().map(refusal -> refusal.reply().toString()).orElse("accepted");
    }

    @Nested
    class Organization {

        @ParameterizedTest(name = "certificate {0} from {1}: {2}")
        @CsvSource({
            "eur.mail.protection.outlook.com, 203.0.113.1, cloud",
            "mail.protection.outlook.com, 203.0.113.1, cloud",
            "special.mail.protection.outlook.com, 203.0.113.1, special",
            "gw.contoso.com, 192.0.2.10, both",
            "gw.contoso.com, 192.0.2.11, both",
            "evil.example, 192.0.2.10, none",
            "evil.example, 198.51.100.7, scanner",
            "mail.fabrikam.com, 198.51.100.7, scanner",
        })
        void certificateShouldComeBeforeAddressAndSpecificNamesFirst(String certificate, String ip, String connector) {
            InboundConnectors connectors = connectors(
                    organization("aaa").ips("198.51.100.0/24"),
                    organization("cloud").certificate("*.mail.protection.outlook.com"),
                    organization("special").certificate("special.mail.protection.outlook.com"),
                    organization("both").certificate("gw.contoso.com").ips("192.0.2.10"),
                    organization("scanner").ips("198.51.100.7"));

            assertThat(organizationOf(connectors.attribute(with(ip, certificate), from("a.com"), NOW)))
                    .isEqualTo(connector);
        }

        @ParameterizedTest(name = "from {0}: {1}")
        @CsvSource({
            "192.0.2.1, net",
            "::ffff:192.0.2.1, net",
            "192.0.2.10, host",
            "192.0.2.20, a-same",
            "198.51.100.1, none",
            "2001:db8::1, six",
        })
        void narrowestAddressRangeShouldWin(String ip, String connector) {
            InboundConnectors connectors = connectors(
                    organization("net").ips("192.0.2.0/24"),
                    organization("host").ips("192.0.2.10"),
                    organization("b-same").ips("192.0.2.20"),
                    organization("a-same").ips("192.0.2.20"),
                    organization("six").ips("2001:db8::/32"),
                    organization("off").ips("198.51.100.0/24").disabled());

            assertThat(organizationOf(connectors.attribute(plain(ip), from("a.com"), NOW)))
                    .isEqualTo(connector);
        }

        @Test
        void addressShouldNotReplaceCertificateThatIsAskedFor() {
            InboundConnectors connectors = connectors(
                    organization("cloud").certificate("gw.contoso.com").ips("192.0.2.10"));

            assertThat(organizationOf(connectors.attribute(plain("192.0.2.10"), from("a.com"), NOW)))
                    .isEqualTo("none");
            assertThat(organizationOf(connectors.attribute(encrypted("192.0.2.10"), from("a.com"), NOW)))
                    .isEqualTo("none");
        }

        @Test
        void certificateAloneShouldIdentifyWhereOneIsStated() {
            InboundConnectors connectors = connectors(
                    organization("cloud").certificate("gw.contoso.com").ips("192.0.2.10"));

            assertThat(organizationOf(connectors.attribute(with("192.0.2.11", "gw.contoso.com"), from("a.com"), NOW)))
                    .isEqualTo("cloud");
        }

        @Test
        void nearMissShouldBeTold() {
            InboundAttribution attribution = connectors(organization("cloud").certificate("gw.contoso.com"))
                    .attribute(with("192.0.2.11", "gw.other.com"), from("a.com"), NOW);

            assertThat(attribution.rejected()).singleElement().satisfies(match -> {
                assertThat(match.connector().name()).isEqualTo("cloud");
                assertThat(match.reason())
                        .isEqualTo("the client's certificate is for gw.other.com, not for gw.contoso.com");
            });
        }

        @Test
        void missingTlsOrCertificateShouldBeToldAsNearMiss() {
            InboundConnectors connectors = connectors(
                    organization("cloud").certificate("gw.contoso.com"),
                    organization("branch").ips("192.0.2.10").tls(true),
                    organization("far").ips("192.0.2.99").tls(true));

            assertThat(connectors
                            .attribute(plain("192.0.2.10"), from("a.com"), NOW)
                            .rejected())
                    .extracting(match -> match.connector().name() + ": " + match.reason())
                    .containsExactly(
                            "cloud: it is identified by a certificate 'gw.contoso.com', and the session is plaintext",
                            "branch: clientIp 192.0.2.10 is right, but it requires TLS and the session is plaintext");
            assertThat(connectors
                            .attribute(encrypted("192.0.2.11"), from("a.com"), NOW)
                            .rejected())
                    .extracting(match -> match.connector().name() + ": " + match.reason())
                    .containsExactly(
                            "cloud: it is identified by a certificate 'gw.contoso.com', and the client presented none");
        }

        @ParameterizedTest
        @CsvSource({"true, inner", "false, outer"})
        void plaintextShouldPassOverConnectorThatRequiresTls(boolean tls, String connector) {
            InboundConnectors connectors = connectors(
                    organization("inner").ips("192.0.2.10").tls(true),
                    organization("outer").ips("192.0.2.0/24"));

            assertThat(organizationOf(connectors.attribute(
                            tls ? encrypted("192.0.2.10") : plain("192.0.2.10"), from("a.com"), NOW)))
                    .isEqualTo(connector);
        }

        @Test
        void certificateWithoutTlsShouldNotBeBelieved() {
            ClientSession impossible =
                    plain("192.0.2.1").withPeerCertificate(new HypotheticalCertificate("gw.contoso.com"));

            assertThat(organizationOf(connectors(organization("cloud").certificate("gw.contoso.com"))
                            .attribute(impossible, from("a.com"), NOW)))
                    .isEqualTo("none");
        }

        @Test
        void realCertificatesShouldBeValidated() {
            InboundConnectors connectors = connectors(organization("cloud").certificate("gw.contoso.com"));
            TestCertificates.Issued good = CA.leaf("gw.contoso.com").issue();
            TestCertificates.Issued expired =
                    CA.leaf("gw.contoso.com").expired().issue();
            TestCertificates.Issued forged =
                    TestCertificates.authority("Anybody").leaf("gw.contoso.com").issue();
            TestCertificates.Issued own = TestCertificates.selfSigned("gw.contoso.com");

            assertThat(List.of(good, expired, forged, own))
                    .extracting(issued -> organizationOf(connectors.attribute(
                            encrypted("192.0.2.1").withPeerCertificate(peer(issued)), from("a.com"), NOW)))
                    .containsExactly("cloud", "none", "none", "none");
        }

        @Test
        void pinShouldComeBeforeName() {
            TestCertificates.Issued issued = CA.leaf("gw.contoso.com").issue();
            InboundConnectors connectors = connectors(
                    organization("a-named").certificate("gw.contoso.com"),
                    organization("b-pinned").pinned(issued));

            assertThat(organizationOf(connectors.attribute(
                            encrypted("192.0.2.1").withPeerCertificate(peer(issued)), from("a.com"), NOW)))
                    .isEqualTo("b-pinned");
        }

        @ParameterizedTest(name = "{0} with {1} from {2}: {3}")
        @CsvSource({
            "contoso.com, gw.contoso.com, 203.0.113.1, by-certificate",
            "fabrikam.com, gw.contoso.com, 203.0.113.1, none",
            "<>, gw.contoso.com, 203.0.113.1, by-certificate",
            "sales.contoso.com, other.example, 192.0.2.1, by-ip",
            "fabrikam.com, other.example, 192.0.2.1, wide",
            "<>, other.example, 192.0.2.1, by-ip",
        })
        void senderDomainsShouldNarrowTheGrantButNotForTheNullSender(
                String sender, String certificate, String ip, String connector) {
            InboundConnectors connectors = connectors(
                    organization("by-certificate").certificate("gw.contoso.com").senders("contoso.com"),
                    organization("by-ip").ips("192.0.2.1").senders("*.contoso.com"),
                    organization("wide").ips("192.0.2.0/24"));

            assertThat(organizationOf(connectors.attribute(with(ip, certificate), from(sender), NOW)))
                    .isEqualTo(connector);
        }

        @ParameterizedTest(name = "relay {0}, preserve {1}, authenticated {2}: may relay {3}, preserved {4}, {5}")
        @CsvSource({
            "false, false, false, false, false, INTERNET",
            "true, false, false, true, false, INTERNET",
            "false, true, false, false, true, INTERNAL",
            "true, true, false, true, true, INTERNAL",
            "false, false, true, true, false, INTERNAL",
        })
        void rightsShouldBeTheConnectorsOrTheUsers(
                boolean relay,
                boolean preserve,
                boolean authenticated,
                boolean mayRelay,
                boolean preserved,
                Origin origin) {
            Scenario connector = organization("cloud").ips("192.0.2.1");
            ClientSession session = plain("192.0.2.1");
            InboundAttribution attribution = connectors(
                            relay && preserve
                                    ? connector.relay().preserve()
                                    : relay ? connector.relay() : preserve ? connector.preserve() : connector)
                    .attribute(authenticated ? session.withAuthenticatedUser("joe") : session, from("a.com"), NOW);

            assertThat(attribution.mayRelay()).isEqualTo(mayRelay);
            assertThat(attribution.internalHeadersPreserved()).isEqualTo(preserved);
            assertThat(attribution.origin()).isEqualTo(origin);
            assertThat(attribution.connectorName()).contains("cloud");
            assertThat(attribution.reason()).isEqualTo("clientIp 192.0.2.1");
        }
    }

    @Nested
    class Partner {

        @ParameterizedTest(name = "{0}: {1}")
        @CsvSource({
            "fabrikam.com, exact",
            "FABRIKAM.COM, exact",
            "sales.fabrikam.com, suffix",
            "eu.sales.fabrikam.com, deeper",
            "contoso.com, none",
            "notfabrikam.com, none",
            "tie.com, a-tie",
            "off.com, none",
            "<>, none",
        })
        void mostSpecificSenderDomainShouldDecide(String sender, String connector) {
            InboundConnectors connectors = connectors(
                    partner("suffix").senders("*.fabrikam.com"),
                    partner("exact").senders("fabrikam.com"),
                    partner("deeper").senders("eu.sales.fabrikam.com"),
                    partner("b-tie").senders("tie.com"),
                    partner("a-tie").senders("tie.com"),
                    partner("off").senders("off.com").disabled());
            InboundAttribution attribution = connectors.attribute(encrypted("192.0.2.1"), from(sender), NOW);

            assertThat(attribution
                            .partner()
                            .map(match -> match.connector().name())
                            .orElse("none"))
                    .isEqualTo(connector);
            assertThat(attribution.origin()).isEqualTo(connector.equals("none") ? Origin.INTERNET : Origin.PARTNER);
            assertThat(attribution.mayRelay()).isFalse();
        }

        @Test
        void nullSenderShouldHaveNoPartnerEvenOfAllDomains() {
            InboundConnectors connectors = connectors(partner("all").senders("*"));

            assertThat(connectors.attribute(plain("192.0.2.1"), from("<>"), NOW).partner())
                    .isEmpty();
            assertThat(replyOf(connectors.attribute(plain("192.0.2.1"), from("a.com"), NOW)))
                    .startsWith("530 5.7.0 ");
        }

        /** Every restriction alone and all together; the first that fails, of TLS, address and certificate, answers. */
        @ParameterizedTest(name = "{0} from {1} with {2}: {3}")
        @CsvSource({
            "tls, 192.0.2.1, plain, 530 5.7.0 Must issue a STARTTLS command first",
            "tls, 192.0.2.1, no certificate, accepted",
            "ip, 198.51.100.1, plain, accepted",
            "ip, ::ffff:198.51.100.1, plain, accepted",
            "ip, 192.0.2.1, plain, 550 5.7.51 Sender domain is restricted to other client addresses by connector 'ip'",
            "ip, 2001:db8::1, plain, 550 5.7.51 Sender domain is restricted to other client addresses by connector 'ip'",
            "certificate, 192.0.2.1, mail.fabrikam.com, accepted",
            "certificate, 192.0.2.1, plain, 550 5.7.51 Sender domain requires a certificate named 'mail.fabrikam.com' by connector 'certificate'",
            "certificate, 192.0.2.1, no certificate, 550 5.7.51 Sender domain requires a certificate named 'mail.fabrikam.com' by connector 'certificate'",
            "certificate, 192.0.2.1, evil.example, 550 5.7.51 Sender domain requires a certificate named 'mail.fabrikam.com' by connector 'certificate'",
            "everything, 192.0.2.1, plain, 530 5.7.0 Must issue a STARTTLS command first",
            "everything, 192.0.2.1, mail.fabrikam.com, 550 5.7.51 Sender domain is restricted to other client addresses by connector 'everything'",
            "everything, 198.51.100.1, evil.example, 550 5.7.51 Sender domain requires a certificate named '*.fabrikam.com' by connector 'everything'",
            "everything, 198.51.100.1, mail.fabrikam.com, accepted",
        })
        void restrictionsShouldBeMetOrRefusedAsTheTableSays(String sender, String ip, String with, String reply) {
            InboundConnectors connectors = connectors(
                    partner("tls").senders("tls"),
                    partner("ip").senders("ip").ips("198.51.100.0/24").tls(false),
                    partner("certificate")
                            .senders("certificate")
                            .certificate("mail.fabrikam.com")
                            .tls(false),
                    partner("everything")
                            .senders("everything")
                            .ips("198.51.100.0/24")
                            .certificate("*.fabrikam.com"));
            ClientSession session =
                    switch (with) {
                        case "plain" -> plain(ip);
                        case "no certificate" -> encrypted(ip);
                        default -> with(ip, with);
                    };
            InboundAttribution attribution = connectors.attribute(session, from(sender), NOW);

            assertThat(replyOf(attribution)).isEqualTo(reply);
            assertThat(attribution.connectorName()).contains(sender);
            assertThat(attribution.origin()).isEqualTo(reply.equals("accepted") ? Origin.PARTNER : Origin.INTERNET);
            attribution.refusal().ifPresent(refusal -> assertThat(refusal.reason())
                    .startsWith("connector '" + sender + "' "));
        }

        @Test
        void restrictionsShouldHoldWhereAnOrganizationConnectorMatches() {
            InboundConnectors connectors = connectors(
                    organization("relay").ips("192.0.2.1").relay().preserve(),
                    partner("fabrikam-in").senders("fabrikam.com"));
            InboundAttribution refused = connectors.attribute(plain("192.0.2.1"), from("fabrikam.com"), NOW);
            InboundAttribution accepted = connectors.attribute(encrypted("192.0.2.1"), from("fabrikam.com"), NOW);

            assertThat(replyOf(refused)).isEqualTo("530 5.7.0 Must issue a STARTTLS command first");
            assertThat(replyOf(accepted)).isEqualTo("accepted");
            assertThat(accepted.connectorName()).contains("relay");
            assertThat(accepted.partner()).isPresent();
            assertThat(accepted.origin()).isEqualTo(Origin.INTERNAL);
        }

        @Test
        void refusalShouldTellTheAdministratorWhy() {
            InboundAttribution attribution = connectors(
                            partner("fabrikam-in").senders("fabrikam.com").certificate("mail.fabrikam.com"))
                    .attribute(
                            encrypted("192.0.2.1")
                                    .withPeerCertificate(peer(CA.leaf("mail.fabrikam.com")
                                            .expired()
                                            .issue())),
                            from("fabrikam.com"),
                            NOW);

            assertThat(attribution.refusal().orElseThrow().reason())
                    .startsWith("connector 'fabrikam-in' requires a certificate 'mail.fabrikam.com' (ca), but the "
                            + "client's certificate is not trusted: certificate of 'CN=mail.fabrikam.com' expired at ");
        }
    }

    @Test
    void findShouldKnowDisabledConnectorsToo() {
        InboundConnectors connectors = connectors(
                partner("b").senders("b.com").disabled(), organization("a").ips("192.0.2.1"));

        assertThat(connectors.find("b")).isPresent();
        assertThat(connectors.find("c")).isEmpty();
        assertThat(connectors.all()).extracting(InboundConnector::name).containsExactly("b", "a");
        assertThat(InboundConnectors.none().all()).isEmpty();
    }

    @Test
    void twoConnectorsOfOneNameShouldBeRefused() {
        assertThatThrownBy(() -> connectors(partner("a"), organization("a")))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("found two inbound connectors named 'a'");
    }

    @Test
    void internetTypeShouldBeRefused() {
        assertThatThrownBy(() -> new Scenario("x", ConnectorType.INTERNET).build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("expected 'partner' or 'organization'");
    }
}
