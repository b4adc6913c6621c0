/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import org.apache.mailet.Mail;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.testing.TestCertificates;
import dev.mailflow.policy.testing.TestCertificates.Authority;
import dev.mailflow.policy.testing.TestCertificates.Issued;

/**
 * Forced TLS on real mail through a real gateway: every row is a connector of its own to a peer of its own. The message
 * is delivered once over TLS, or it is still queued with the reason to be seen, and nothing of it was ever sent in
 * plaintext.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ForcedTlsTest {
    private static final Authority CA = TestCertificates.authority("Partner CA");
    private static final Authority STRANGER = TestCertificates.authority("Stranger CA");
    private static final Issued GOOD = CA.leaf("mail.fabrikam.com").issue();
    private static final Issued SELF_SIGNED = TestCertificates.selfSigned("mail.fabrikam.com");
    private static final Issued CLIENT = CA.leaf("gateway.contoso.com").issue();

    /**
     * A row of the table.
     *
     * @param tls the {@code <tls>} element
     * @param reason part of the deferral's reason; empty: delivered
     */
    private record Row(String name, UnaryOperator<ScriptedSmtpPeer.Builder> peer, String tls, Optional<String> reason) {
        String connector() {
            return name.replaceAll("[^a-z0-9]+", "-");
        }

        @Override
        public String toString() {
            return name;
        }
    }

    private static Row delivered(String name, UnaryOperator<ScriptedSmtpPeer.Builder> peer, String tls) {
        return new Row(name, peer, tls, Optional.empty());
    }

    private static Row queued(String name, UnaryOperator<ScriptedSmtpPeer.Builder> peer, String tls, String reason) {
        return new Row(name, peer, tls, Optional.of(reason));
    }

    private static String level(String level) {
        return "<tls level='" + level + "'/>";
    }

    private static final String CA_LEVEL = "<tls level='ca' trustAnchors='file://conf/ca.pem'/>";
    private static final String DOMAIN_LEVEL =
            "<tls level='domain' name='mail.fabrikam.com' trustAnchors='file://conf/ca.pem'/>";

    private static String pinned(String sha256) {
        return "<tls level='pinned'><sha256>" + sha256 + "</sha256></tls>";
    }

    private static UnaryOperator<ScriptedSmtpPeer.Builder> shows(Issued certificate) {
        return peer -> peer.startTls(certificate);
    }

    private static final List<Row> ROWS = List.of(
            queued("no starttls offered", peer -> peer, level("encrypt"), "STARTTLS"),
            queued(
                    "starttls refused",
                    peer -> peer.startTls(GOOD).always("STARTTLS", ScriptedSmtpPeer.Action.reply("454 4.7.0 not now")),
                    level("encrypt"),
                    "STARTTLS"),
            queued("handshake fails", ScriptedSmtpPeer.Builder::brokenTls, level("encrypt"), "TLS"),
            delivered("self-signed under encrypt", shows(SELF_SIGNED), level("encrypt")),
            queued("self-signed under ca", shows(SELF_SIGNED), CA_LEVEL, "certificate"),
            delivered("ca under ca", shows(GOOD), CA_LEVEL),
            delivered(
                    "pinned certificate right",
                    shows(SELF_SIGNED),
                    pinned(TestCertificates.sha256(SELF_SIGNED.certificate()))),
            delivered(
                    "pinned key right",
                    shows(SELF_SIGNED),
                    pinned(TestCertificates.spkiSha256(SELF_SIGNED.certificate()))),
            queued("pinned wrong", shows(SELF_SIGNED), pinned(TestCertificates.sha256(GOOD.certificate())), "pin"),
            queued("expired", shows(CA.leaf("mail.fabrikam.com").expired().issue()), DOMAIN_LEVEL, "expired"),
            queued(
                    "not yet valid",
                    shows(CA.leaf("mail.fabrikam.com").notYetValid().issue()),
                    DOMAIN_LEVEL,
                    "not valid before"),
            queued("unknown ca", shows(STRANGER.leaf("mail.fabrikam.com").issue()), DOMAIN_LEVEL, "certificate"),
            delivered("right name under domain", shows(GOOD), DOMAIN_LEVEL),
            queued("wrong name under domain", shows(CA.leaf("mail.other.com").issue()), DOMAIN_LEVEL, "mail.other.com"),
            queued(
                    "name only in cn with san present",
                    shows(CA.leaf("mail.other.com")
                            .commonName("mail.fabrikam.com")
                            .issue()),
                    DOMAIN_LEVEL,
                    "mail.other.com"),
            delivered("wildcard one label", shows(CA.leaf("*.fabrikam.com").issue()), DOMAIN_LEVEL),
            queued("wildcard two labels", shows(CA.leaf("*.com").issue()), DOMAIN_LEVEL, "*.com"),
            queued(
                    "client certificate demanded and none configured",
                    peer -> peer.startTls(GOOD).needClientCertificate(),
                    DOMAIN_LEVEL,
                    "TLS"),
            delivered(
                    "client certificate demanded and configured",
                    peer -> peer.startTls(GOOD).needClientCertificate(),
                    "<tls level='domain' name='mail.fabrikam.com' trustAnchors='file://conf/ca.pem'>"
                            + "<clientCertificate keystore='file://conf/gateway.p12' secret='"
                            + TestCertificates.PASSWORD + "'/></tls>"));

    private final Map<Row, ScriptedSmtpPeer> peers = new LinkedHashMap<>();
    private GatewayScenario scenario;

    @BeforeAll
    void start(@TempDir Path directory) throws Exception {
        ROWS.forEach(row ->
                peers.put(row, row.peer().apply(ScriptedSmtpPeer.builder()).start()));
        GatewayScenario.Builder builder = GatewayScenario.in(directory).policy(policy());
        Path conf = builder.configuration();
        TestCertificates.writePem(conf.resolve("ca.pem"), CA.certificate());
        CLIENT.writePkcs12(conf.resolve("gateway.p12"), "gateway");
        scenario = builder.start();
        try (SmtpSender.Session session = scenario.sender().open()) {
            for (Row row : ROWS) {
                session.send(
                        "joe@contoso.com",
                        List.of("jane@" + row.connector() + ".test"),
                        SmtpSender.message(row.connector()));
            }
        }
    }

    private String policy() {
        return peers.entrySet().stream()
                .map(entry ->
                        """
                        <outboundConnector name="%1$s" type="partner">
                          <recipientDomain>%1$s.test</recipientDomain>
                          <smartHost>127.0.0.1:%2$d</smartHost>
                          %3$s
                        </outboundConnector>"""
                                .formatted(
                                        entry.getKey().connector(),
                                        entry.getValue().port(),
                                        entry.getKey().tls()))
                .collect(Collectors.joining("\n", "<outboundConnectors>", "</outboundConnectors>"));
    }

    @AfterAll
    void stop() {
        if (scenario != null) {
            scenario.close();
        }
        peers.values().forEach(ScriptedSmtpPeer::close);
    }

    static Stream<Row> rows() {
        return ROWS.stream();
    }

    @ParameterizedTest
    @MethodSource("rows")
    void messageShouldBeDeliveredOverTlsOrStayQueuedWithItsReason(Row row) {
        ScriptedSmtpPeer peer = peers.get(row);
        if (row.reason().isEmpty()) {
            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(peer.messages()).hasSize(1));
            ScriptedSmtpPeer.ReceivedMessage message = peer.messages().get(0);
            assertThat(message.overTls()).isTrue();
            assertThat(message.text()).contains("Body of " + row.connector());
            GatewayScenario.await().untilAsserted(() -> assertThat(scenario.queued(row.connector()))
                    .isEmpty());
        } else {
            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(deferrals(row)).hasSize(1));
            assertThat(deferrals(row).get(0).reason()).contains(row.reason().get());
            assertThat(peer.messages()).isEmpty();
            GatewayScenario.await().untilAsserted(() -> assertThat(scenario.queued(row.connector()))
                    .extracting(Mail::getErrorMessage)
                    .singleElement()
                    .asString()
                    .contains(row.reason().get()));
        }
        assertThat(peer.leakedInPlaintext()).isEmpty();
    }

    private List<MailFlowEvent.Deferred> deferrals(Row row) {
        return new ArrayList<>(scenario.events(MailFlowEvent.Deferred.class))
                .stream()
                        .filter(event -> event.connector().equals(row.connector()))
                        .toList();
    }

    @Test
    void clientCertificateShouldBeTheConfiguredOne() {
        ScriptedSmtpPeer peer = ROWS.stream()
                .filter(row -> row.name().equals("client certificate demanded and configured"))
                .map(peers::get)
                .findFirst()
                .orElseThrow();

        GatewayScenario.await().untilAsserted(() -> assertThat(peer.messages()).hasSize(1));
        assertThat(peer.messages().get(0).session().clientChain().get(0)).isEqualTo(CLIENT.certificate());
    }
}
