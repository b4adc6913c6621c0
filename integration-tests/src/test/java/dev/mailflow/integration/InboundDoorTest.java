/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import com.google.common.net.InetAddresses;
import com.sun.net.httpserver.HttpServer;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.integration.DoorClient.Way;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.Origin;
import dev.mailflow.policy.testing.TestCertificates;
import dev.mailflow.policy.testing.TestCertificates.Authority;
import dev.mailflow.policy.testing.TestCertificates.Issued;

/** Sections 2 and 3 of the mail-flow behaviour at the door of a real gateway, row by row, reply by reply. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class InboundDoorTest {
    private static final Authority CA = TestCertificates.authority("Partner CA");
    private static final Authority STRANGER = TestCertificates.authority("Stranger CA");
    private static final Issued GOOD = CA.leaf("mail.cert.test").issue();
    private static final Issued WILDCARD = CA.leaf("*.cert.test").issue();
    private static final Issued WRONG_NAME = CA.leaf("mail.other.test").issue();
    private static final Issued EXPIRED = CA.leaf("mail.cert.test").expired().issue();
    private static final Issued WRONG_CA = STRANGER.leaf("mail.cert.test").issue();
    private static final Issued SELF_SIGNED = TestCertificates.selfSigned("mail.cert.test");
    private static final Issued PINNED = TestCertificates.selfSigned("pinned.test");
    private static final Issued CLOUD = CA.leaf("eu.cloud.test").issue();
    private static final Issued CLOUD_STRANGER = STRANGER.leaf("eu.cloud.test").issue();

    private static final String ANYWHERE = "127.0.0.1";
    private static final String ACCEPTED = "250 2.1.0";
    private static final String RECIPIENT_ACCEPTED = "250 2.1.5";
    private static final String NO_RELAY = "550 5.7.64 Relay access denied";
    private static final String NO_SUCH_RECIPIENT = "550 5.1.10 Recipient not found";
    private static final String NEEDS_TLS = "530 5.7.0 Must issue a STARTTLS command first";
    private static final String NEEDS_CERTIFICATE =
            "550 5.7.51 Sender domain requires a certificate named 'mail.cert.test' by connector 'cert'";

    private ScriptedSmtpPeer world;
    private GatewayScenario scenario;
    private int port;

    @BeforeAll
    void start(@TempDir Path directory) throws Exception {
        world = ScriptedSmtpPeer.builder().start();
        GatewayScenario.Builder builder = GatewayScenario.in(directory)
                .edit(
                        "smtpserver.xml",
                        text -> text.replace("<authorizedAddresses>127.0.0.0/8</authorizedAddresses>", ""))
                .policy(
                        """
                        <acceptedDomains>
                          <domain>contoso.com</domain>
                          <domain type="internalRelay">shared.test</domain>
                          <domain type="externalRelay" matchSubdomains="true">tailspin.test</domain>
                        </acceptedDomains>
                        <connectionFilter>
                          <allow>127.0.1.1</allow>
                          <allow senderDomain="friend.test">127.0.1.2</allow>
                          <block except="127.0.1.9">127.0.1.0/24</block>
                          <block expires="2020-01-01T00:00:00Z">127.0.0.1</block>
                        </connectionFilter>
                        <inboundConnectors>
                          <inboundConnector name="tls" type="partner"><senderDomain>*.tls.test</senderDomain></inboundConnector>
                          <inboundConnector name="tls-free" type="partner">
                            <senderDomain>free.tls.test</senderDomain><requireTls>false</requireTls>
                          </inboundConnector>
                          <inboundConnector name="ip" type="partner">
                            <senderDomain>ip.test</senderDomain><requireTls>false</requireTls>
                            <clientIp>127.0.2.0/24</clientIp>
                          </inboundConnector>
                          <inboundConnector name="cert" type="partner">
                            <senderDomain>cert.test</senderDomain>
                            <clientCertificate name="mail.cert.test" trust="ca" trustAnchors="file://conf/ca.pem"/>
                          </inboundConnector>
                          <inboundConnector name="pin" type="partner">
                            <senderDomain>pin.test</senderDomain>
                            <clientCertificate trust="pinned" sha256="%s"/>
                          </inboundConnector>
                          <inboundConnector name="cloud-in" type="organization">
                            <clientCertificate name="*.cloud.test" trust="ca" trustAnchors="file://conf/ca.pem"/>
                            <internalHeaders>preserve</internalHeaders>
                            <relay>true</relay>
                          </inboundConnector>
                          <inboundConnector name="branch" type="organization">
                            <clientIp>127.0.3.1</clientIp><relay>true</relay>
                          </inboundConnector>
                          <inboundConnector name="branch-no-relay" type="organization">
                            <clientIp>127.0.3.2</clientIp><relay>false</relay>
                          </inboundConnector>
                          <inboundConnector name="branch-of-one" type="organization">
                            <senderDomain>one.test</senderDomain><clientIp>127.0.3.3</clientIp><relay>true</relay>
                          </inboundConnector>
                        </inboundConnectors>
                        <outboundConnectors>
                          <outboundConnector name="world" type="partner">
                            <recipientDomain>*</recipientDomain>
                            <smartHost>127.0.0.1:%d</smartHost>
                            <tls level="none"/>
                          </outboundConnector>
                          <outboundConnector name="nowhere" type="partner">
                            <recipientDomain>nowhere.test</recipientDomain>
                            <smartHost>127.0.0.1:1</smartHost>
                            <tls level="none"/>
                          </outboundConnector>
                        </outboundConnectors>"""
                                .formatted(TestCertificates.sha256(PINNED.certificate()), world.port()));
        TestCertificates.writePem(builder.configuration().resolve("ca.pem"), CA.certificate());
        scenario = builder.start();
        scenario.gateway().addUser("joe@contoso.com", "secret");
        scenario.gateway().addUser("jane@shared.test", "secret");
        port = scenario.gateway().port("smtp");
    }

    @AfterAll
    void stop() {
        scenario.close();
        world.close();
    }

    /**
     * A row of the table.
     *
     * @param mail the reply to MAIL begins with it
     * @param rcpt likewise to RCPT; empty: MAIL was refused
     */
    private record Row(String name, Way way, String sender, String recipient, String mail, Optional<String> rcpt) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static Row refusedAtMail(String name, Way way, String sender, String reply) {
        return new Row(name, way, sender, "joe@contoso.com", reply, Optional.empty());
    }

    private static Row accepted(String name, Way way, String sender) {
        return new Row(name, way, sender, "joe@contoso.com", ACCEPTED, Optional.of(RECIPIENT_ACCEPTED));
    }

    private static Row rcpt(String name, Way way, String sender, String recipient, String reply) {
        return new Row(name, way, sender, recipient, ACCEPTED, Optional.of(reply));
    }

    private static String blocked(String ip) {
        return "550 5.7.1 Service unavailable, client host [" + ip + "] blocked by connection filter";
    }

    private static Way tls() {
        return Way.plain(ANYWHERE).withTls();
    }

    private static Way certificate(Issued certificate) {
        return Way.plain(ANYWHERE).withCertificate(certificate);
    }

    static Stream<Row> rows() {
        Way plain = Way.plain(ANYWHERE);
        return Stream.of(
                accepted("nobody in particular", plain, "a@example.test"),
                accepted("null sender", plain, ""),
                accepted("over TLS without a certificate", tls(), "a@example.test"),
                accepted("over TLS with an untrusted certificate", certificate(WRONG_CA), "a@example.test"),
                accepted("over TLS with an expired certificate", certificate(EXPIRED), "a@example.test"),
                // section 2
                refusedAtMail("blocked", Way.plain("127.0.1.7"), "a@example.test", blocked("127.0.1.7")),
                refusedAtMail("blocked, null sender", Way.plain("127.0.1.7"), "", blocked("127.0.1.7")),
                refusedAtMail(
                        "blocked over TLS", Way.plain("127.0.1.7").withTls(), "a@example.test", blocked("127.0.1.7")),
                accepted("blocked and allowed", Way.plain("127.0.1.1"), "a@example.test"),
                accepted("blocked, allowed for its sender domain", Way.plain("127.0.1.2"), "a@friend.test"),
                refusedAtMail(
                        "blocked, allowed for another domain",
                        Way.plain("127.0.1.2"),
                        "a@example.test",
                        blocked("127.0.1.2")),
                refusedAtMail("blocked, null sender has no domain", Way.plain("127.0.1.2"), "", blocked("127.0.1.2")),
                accepted("excepted from the block", Way.plain("127.0.1.9"), "a@example.test"),
                // section 3, partners
                refusedAtMail("partner requires TLS", plain, "a@tls.test", NEEDS_TLS),
                refusedAtMail("partner's subdomain requires TLS", plain, "a@eu.tls.test", NEEDS_TLS),
                accepted("partner over TLS", tls(), "a@tls.test"),
                accepted("more specific partner without TLS", plain, "a@free.tls.test"),
                refusedAtMail(
                        "partner from another address",
                        plain,
                        "a@ip.test",
                        "550 5.7.51 Sender domain is restricted to other client addresses by connector 'ip'"),
                accepted("partner from its address", Way.plain("127.0.2.200"), "a@IP.test"),
                refusedAtMail("certificate: plaintext", plain, "a@cert.test", NEEDS_TLS),
                refusedAtMail("certificate: none", tls(), "a@cert.test", NEEDS_CERTIFICATE),
                refusedAtMail("certificate: wrong CA", certificate(WRONG_CA), "a@cert.test", NEEDS_CERTIFICATE),
                refusedAtMail("certificate: self-signed", certificate(SELF_SIGNED), "a@cert.test", NEEDS_CERTIFICATE),
                refusedAtMail("certificate: expired", certificate(EXPIRED), "a@cert.test", NEEDS_CERTIFICATE),
                refusedAtMail("certificate: wrong name", certificate(WRONG_NAME), "a@cert.test", NEEDS_CERTIFICATE),
                accepted("certificate: good", certificate(GOOD), "a@cert.test"),
                accepted("certificate: wildcard", certificate(WILDCARD), "a@cert.test"),
                accepted("certificate: pinned", certificate(PINNED), "a@pin.test"),
                refusedAtMail(
                        "certificate: not pinned",
                        certificate(GOOD),
                        "a@pin.test",
                        "550 5.7.51 Sender domain requires a certificate named 'sha256 "
                                + TestCertificates.sha256(PINNED.certificate()) + "' by connector 'pin'"),
                // relay and recipients
                rcpt("relay by a stranger", plain, "a@example.test", "x@elsewhere.test", NO_RELAY),
                rcpt("relay by the null sender", plain, "", "x@elsewhere.test", NO_RELAY),
                rcpt("relay by a partner", certificate(GOOD), "a@cert.test", "x@elsewhere.test", NO_RELAY),
                rcpt("relay by a false cloud", certificate(CLOUD_STRANGER), "a@b.test", "x@elsewhere.test", NO_RELAY),
                rcpt("relay by the cloud", certificate(CLOUD), "a@b.test", "x@elsewhere.test", RECIPIENT_ACCEPTED),
                rcpt("relay by the cloud, null sender", certificate(CLOUD), "", "x@e.test", RECIPIENT_ACCEPTED),
                rcpt("relay by address", Way.plain("127.0.3.1"), "a@b.test", "x@e.test", RECIPIENT_ACCEPTED),
                rcpt("relay not granted", Way.plain("127.0.3.2"), "a@b.test", "x@e.test", NO_RELAY),
                rcpt("relay for its sender", Way.plain("127.0.3.3"), "a@one.test", "x@e.test", RECIPIENT_ACCEPTED),
                rcpt("relay for another sender", Way.plain("127.0.3.3"), "a@two.test", "x@e.test", NO_RELAY),
                refusedAtMail("the cloud with a partner's sender", Way.plain("127.0.3.1"), "a@tls.test", NEEDS_TLS),
                rcpt("unknown recipient", plain, "a@example.test", "nobody@contoso.com", NO_SUCH_RECIPIENT),
                rcpt(
                        "quoted local part with an at sign",
                        plain,
                        "a@example.test",
                        "\"x@none.test\"@contoso.com",
                        NO_SUCH_RECIPIENT),
                rcpt(
                        "unknown recipient, from the cloud",
                        certificate(CLOUD),
                        "a@b.test",
                        "no@contoso.com",
                        NO_SUCH_RECIPIENT),
                rcpt("known, upper case", plain, "a@example.test", "JOE@CONTOSO.COM", RECIPIENT_ACCEPTED),
                rcpt("known of internal relay", plain, "a@example.test", "jane@shared.test", RECIPIENT_ACCEPTED),
                rcpt("unknown of internal relay", plain, "a@example.test", "x@shared.test", RECIPIENT_ACCEPTED),
                rcpt("external relay", plain, "a@example.test", "x@tailspin.test", RECIPIENT_ACCEPTED),
                rcpt("external relay, subdomain", plain, "a@example.test", "x@eu.tailspin.test", RECIPIENT_ACCEPTED));
    }

    @ParameterizedTest
    @MethodSource("rows")
    void replyShouldBeThatOfTheTable(Row row) throws Exception {
        int refusals = refusals().size();
        try (DoorClient client = row.way().open(port)) {
            String mail = client.command("MAIL FROM:<" + row.sender() + ">");
            assertThat(mail).startsWith(row.mail());
            String last = mail;
            if (row.rcpt().isPresent()) {
                last = client.command("RCPT TO:<" + row.recipient() + ">");
                assertThat(last).startsWith(row.rcpt().get());
            }
            if (last.startsWith("5")) {
                assertThat(last).isEqualTo(row.rcpt().orElse(row.mail()));
                assertThat(refusals()).hasSize(refusals + 1);
                assertThat(refusals().get(refusals).reply()).isEqualTo(last);
                assertThat(refusals().get(refusals).reason()).isNotBlank();
            } else {
                assertThat(refusals()).hasSize(refusals);
            }
        }
    }

    @Test
    void revokedCertificateShouldBeRefused() throws Exception {
        HttpServer authority = HttpServer.create(new InetSocketAddress(InetAddresses.forString("127.0.0.1"), 0), 0);
        authority.start();
        try {
            Issued revoked = CA.leaf("mail.cert.test")
                    .crl("http://127.0.0.1:" + authority.getAddress().getPort() + "/revoked.crl")
                    .issue();
            byte[] list = CA.revoke(revoked.certificate()).getEncoded();
            authority.createContext("/", exchange -> {
                exchange.sendResponseHeaders(200, list.length);
                exchange.getResponseBody().write(list);
                exchange.close();
            });
            try (DoorClient client = certificate(revoked).open(port)) {
                assertThat(client.command("MAIL FROM:<a@cert.test>")).isEqualTo(NEEDS_CERTIFICATE);
            }
            assertThat(refusals())
                    .anySatisfy(refusal -> assertThat(refusal.reason()).contains("it was revoked on"));
        } finally {
            authority.stop(0);
        }
    }

    private List<MailFlowEvent.Refused> refusals() {
        return scenario.events(MailFlowEvent.Refused.class);
    }

    @Test
    void relayRightShouldEndWithItsTransaction() throws Exception {
        try (DoorClient client = Way.plain("127.0.3.3").open(port)) {
            assertThat(client.command("MAIL FROM:<a@one.test>")).startsWith(ACCEPTED);
            assertThat(client.command("RCPT TO:<x@elsewhere.test>")).startsWith(RECIPIENT_ACCEPTED);
            assertThat(client.command("RSET")).startsWith("250");
            assertThat(client.command("MAIL FROM:<a@two.test>")).startsWith(ACCEPTED);
            assertThat(client.command("RCPT TO:<x@elsewhere.test>")).isEqualTo(NO_RELAY);
            assertThat(client.command("EHLO again.test")).startsWith("250");
            assertThat(client.command("MAIL FROM:<a@one.test>")).startsWith(ACCEPTED);
            assertThat(client.command("RCPT TO:<x@elsewhere.test>")).startsWith(RECIPIENT_ACCEPTED);
        }
    }

    @Test
    void recipientsShouldNotOutliveATransactionThatASecondMailBroke() throws Exception {
        try (DoorClient client = Way.plain("127.0.3.3").open(port)) {
            client.command("MAIL FROM:<a@one.test>");
            assertThat(client.command("RCPT TO:<x@elsewhere.test>")).startsWith(RECIPIENT_ACCEPTED);
            assertThat(client.command("MAIL FROM:<a@two.test>")).startsWith("503");
            assertThat(client.command("RCPT TO:<x@elsewhere.test>")).startsWith("503");
            assertThat(client.command("MAIL FROM:<a@two.test>")).startsWith(ACCEPTED);
            assertThat(client.command("RCPT TO:<x@elsewhere.test>")).isEqualTo(NO_RELAY);
            assertThat(client.command("DATA")).startsWith("503");
        }
    }

    @Test
    void xoorgShouldBeOfferedAndBelievedOnlyWhereInternalHeadersArePreserved() throws Exception {
        try (DoorClient cloud = certificate(CLOUD).open(port);
                DoorClient partner = certificate(GOOD).open(port);
                DoorClient branch = Way.plain("127.0.3.1").open(port)) {
            assertThat(cloud.lines("EHLO a")).anyMatch(line -> line.endsWith("XOORG"));
            assertThat(partner.lines("EHLO a")).noneMatch(line -> line.contains("XOORG"));
            assertThat(branch.lines("EHLO a")).noneMatch(line -> line.contains("XOORG"));

            assertThat(cloud.deliver("<a@b.test> XOORG=contoso.com", "xoorg-cloud@nowhere.test", "Subject: 1\r\n\r\n"))
                    .startsWith("250");
            assertThat(branch.deliver(
                            "<a@b.test> XOORG=contoso.com", "xoorg-branch@nowhere.test", "Subject: 1\r\n\r\n"))
                    .startsWith("250");
        }
        assertThat(facts("xoorg-cloud@nowhere.test").xoorg()).contains("contoso.com");
        assertThat(facts("xoorg-branch@nowhere.test").xoorg()).isEmpty();
    }

    @Test
    void factsShouldTravelOnTheMail() throws Exception {
        try (DoorClient client = certificate(CLOUD).open(port)) {
            assertThat(client.deliver("<a@b.test>", "facts@nowhere.test", "Subject: 1\r\n\r\n"))
                    .startsWith("250");
        }
        InboundFacts facts = facts("facts@nowhere.test");

        assertThat(facts.clientIp()).hasToString("127.0.0.1");
        assertThat(facts.helo()).contains("client.test");
        assertThat(facts.tls().orElseThrow().protocol()).isEqualTo("TLSv1.3");
        assertThat(facts.peer().orElseThrow().names()).containsExactly("eu.cloud.test");
        assertThat(facts.peer().orElseThrow().trusted()).isTrue();
        assertThat(facts.connector().map(InboundFacts.Connector::name)).contains("cloud-in");
        assertThat(facts.origin()).isEqualTo(Origin.INTERNAL);
        assertThat(facts.internalHeadersPreserved()).isTrue();
        assertThat(scenario.events(MailFlowEvent.Attributed.class))
                .anySatisfy(event -> assertThat(event.connector()).contains("cloud-in"));
    }

    private InboundFacts facts(String recipient) {
        return GatewayScenario.await()
                .until(
                        () -> scenario.queued("nowhere").stream()
                                .filter(mail -> mail.getRecipients().stream()
                                        .anyMatch(address -> address.asString().equals(recipient)))
                                .findFirst(),
                        Optional::isPresent)
                .flatMap(mail -> AttributeUtils.getValueAndCastFromMail(
                        mail, AttributeName.of(InboundFacts.ATTRIBUTE), String.class))
                .map(InboundFacts::fromJson)
                .orElseThrow();
    }

    @Test
    void mailInALoopShouldBeRefusedAtTheEndOfData() throws Exception {
        try (DoorClient client = Way.plain(ANYWHERE).open(port)) {
            assertThat(client.deliver("<a@example.test>", "joe@contoso.com", received(30) + "\r\n"))
                    .isEqualTo("554 5.4.6 Hop count exceeded - possible mail loop");
            assertThat(client.deliver("<a@example.test>", "joe@contoso.com", received(29) + "\r\n"))
                    .startsWith("250");
        }
    }

    private static String received(int count) {
        return "Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n".repeat(count) + "Subject: loop\r\n";
    }

    @Test
    void bytesSentInPlaintextAfterStartTlsShouldEndTheConnection() throws Exception {
        try (DoorClient client = Way.plain(ANYWHERE).connect(port)) {
            client.reply();
            client.command("EHLO client.test");
            client.send("STARTTLS\r\n".getBytes(java.nio.charset.StandardCharsets.US_ASCII));
            client.send("MAIL FROM:<injected@example.test>\r\n".getBytes(java.nio.charset.StandardCharsets.US_ASCII));
            String first = client.reply();
            assertThat(first).matches("220 .*|451 .*|");
            assertThat(client.reply()).doesNotContain("250");
        }
    }
}
