/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.Mail;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.integration.DoorClient.Way;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.Origin;

/** Internal headers at the door and on the way out, and who skips the spam processor, on real mail. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class HeaderFirewallTest {
    private static final Way INTERNET = Way.plain("127.0.0.1");
    private static final Way ALLOWED = Way.plain("127.0.1.1");
    private static final Way CLOUD = Way.plain("127.0.3.1");
    private static final Way BRANCH = Way.plain("127.0.3.2");

    private ScriptedSmtpPeer world;
    private ScriptedSmtpPeer cloud;
    private GatewayScenario scenario;
    private int port;

    @BeforeAll
    void start(@TempDir Path directory) throws Exception {
        world = ScriptedSmtpPeer.builder().start();
        cloud = ScriptedSmtpPeer.builder().start();
        scenario = GatewayScenario.in(directory)
                .edit(
                        "smtpserver.xml",
                        text -> text.replace("<authorizedAddresses>127.0.0.0/8</authorizedAddresses>", ""))
                .edit("mailetcontainer.xml", text -> text.replace(
                                "<!-- mail from the inside, and",
                                "<mailet match=\"All\" class=\"SetMimeHeader\"><name>X-Malware</name>"
                                        + "<value>scanned</value></mailet>\n<!-- mail from the inside, and")
                        .replace(
                                "<processor state=\"spam\" enableJmx=\"true\">",
                                "<processor state=\"spam\" enableJmx=\"true\">"
                                        + "<mailet match=\"All\" class=\"SetMimeHeader\"><name>X-Spam</name>"
                                        + "<value>scanned</value></mailet>"))
                .policy(
                        """
                        <acceptedDomains>
                          <domain>contoso.com</domain>
                          <domain type="externalRelay">world.test</domain>
                          <domain type="externalRelay">cloud.test</domain>
                          <domain type="externalRelay">nowhere.test</domain>
                        </acceptedDomains>
                        <connectionFilter><allow>127.0.1.1</allow></connectionFilter>
                        <inboundConnectors>
                          <inboundConnector name="cloud-in" type="organization">
                            <clientIp>127.0.3.1</clientIp><internalHeaders>preserve</internalHeaders><relay>true</relay>
                          </inboundConnector>
                          <inboundConnector name="branch" type="organization">
                            <clientIp>127.0.3.2</clientIp><relay>true</relay>
                          </inboundConnector>
                        </inboundConnectors>
                        <outboundConnectors>
                          <outboundConnector name="world" type="partner">
                            <recipientDomain>world.test</recipientDomain><smartHost>127.0.0.1:%d</smartHost><tls level="none"/>
                          </outboundConnector>
                          <outboundConnector name="cloud-out" type="organization">
                            <recipientDomain>cloud.test</recipientDomain><smartHost>127.0.0.1:%d</smartHost><tls level="none"/>
                            <internalHeaders>preserve</internalHeaders>
                          </outboundConnector>
                          <outboundConnector name="nowhere" type="organization">
                            <recipientDomain>nowhere.test</recipientDomain><smartHost>127.0.0.1:1</smartHost><tls level="none"/>
                            <internalHeaders>preserve</internalHeaders>
                          </outboundConnector>
                        </outboundConnectors>"""
                                .formatted(world.port(), cloud.port()))
                .start();
        port = scenario.gateway().port("smtp");
    }

    @AfterAll
    void stop() {
        scenario.close();
        world.close();
        cloud.close();
    }

    private static final String BODY = "line one\r\n  X-MS-Exchange-Organization-SCL: in the body\r\n\u00e4 8-bit \r\n";

    private void send(Way way, String recipients, String subject, String headers) throws Exception {
        try (DoorClient client = way.open(port)) {
            assertThat(client.command("MAIL FROM:<a@example.test>")).startsWith("250");
            for (String recipient : recipients.split(",")) {
                assertThat(client.command("RCPT TO:<" + recipient + ">")).startsWith("250");
            }
            assertThat(client.command("DATA")).startsWith("354");
            client.send((headers + "Subject: " + subject + "\r\n\r\n" + BODY)
                    .getBytes(java.nio.charset.StandardCharsets.ISO_8859_1));
            assertThat(client.command(".")).startsWith("250");
        }
    }

    private static String arrived(ScriptedSmtpPeer peer, String subject) {
        return GatewayScenario.await()
                .until(
                        () -> peer.messages().stream()
                                .map(ScriptedSmtpPeer.ReceivedMessage::text)
                                .filter(text -> text.contains("Subject: " + subject + "\r\n"))
                                .findFirst(),
                        Optional::isPresent)
                .orElseThrow();
    }

    private Mail held(String subject) {
        return GatewayScenario.await()
                .until(
                        () -> scenario.queued("nowhere").stream()
                                .filter(mail -> {
                                    try {
                                        return subject.equals(mail.getMessage().getSubject());
                                    } catch (javax.mail.MessagingException e) {
                                        return false;
                                    }
                                })
                                .findFirst(),
                        Optional::isPresent)
                .orElseThrow();
    }

    private static String head(String message) {
        return message.substring(0, message.indexOf("\r\n\r\n"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "X-MS-Exchange-Organization-SCL: -1\r\n",
                "x-ms-EXCHANGE-organization-scl: -1\r\nX-MS-Exchange-Organization-SCL: -1\r\n",
                "X-MS-Exchange-\r\n Organization-SCL: -1\r\n",
                "X-MS-Exchange-Organization-SCL : -1\r\n",
                "X-MS-Exchange-Organization-SCL\r\n\t: -1\r\n",
                "X-MS-Exchange-Organi\u0000zation-SCL: -1\r\n",
                "X-MS-Exchange-Organization-SCL\u00a0: -1\r\n",
                "Keep: 1\rX-MS-Exchange-Organization-SCL: -1\r\n",
                "X-MS-Exchange-CrossPremises-SCL: -1\r\n",
                "X-MS-Exchange-CrossPremises-AuthAs: Internal\r\nX-MS-Exchange-Forest-A: 1\r\n",
                "X-Mailflow-Connection-Filter: CIP=10.0.0.1; IPV=CAL\r\n"
            })
    void forgingFromTheInternetShouldYieldNothing(String forged) throws Exception {
        String subject = "forged " + Integer.toHexString(forged.hashCode());

        send(INTERNET, "x@cloud.test,x@nowhere.test", subject, forged);

        String message = arrived(cloud, subject);
        assertThat(head(message).toLowerCase(Locale.ROOT).replaceAll("[^a-z:]", ""))
                .doesNotContain("xmsexchange")
                .doesNotContain("ipvcal");
        assertThat(message)
                .contains("X-Mailflow-Connection-Filter: CIP=127.0.0.1; IPV=NLI")
                .contains("X-Spam: scanned");
        InboundFacts facts = facts(held(subject));
        assertThat(facts.origin()).isEqualTo(Origin.INTERNET);
        assertThat(facts.internalHeadersPreserved()).isFalse();
        assertThat(held(subject).getAttribute(AttributeName.of("mailflow.scl"))).isEmpty();
    }

    @Test
    void organizationWithoutPreserveShouldBeStrippedToo() throws Exception {
        send(BRANCH, "x@cloud.test", "branch", "X-MS-Exchange-Organization-SCL: -1\r\n");

        assertThat(head(arrived(cloud, "branch"))).doesNotContain("X-MS-Exchange");
    }

    @Test
    void trustedHeadersShouldBePromotedAndTranslatedForEachCopy() throws Exception {
        send(
                CLOUD,
                "x@cloud.test,y@world.test,z@nowhere.test",
                "hybrid",
                "X-MS-Exchange-Organization-SCL: 9\r\nX-MS-Exchange-CrossPremises-SCL: -1\r\n"
                        + "X-MS-Exchange-CrossPremises-AuthAs: Internal\r\nX-MS-Exchange-Forest-A: 1\r\n"
                        + "X-Custom:   odd  spacing\t\r\n");

        assertThat(head(arrived(cloud, "hybrid")))
                .contains("X-MS-Exchange-CrossPremises-SCL: -1\r\n")
                .contains("X-MS-Exchange-CrossPremises-AuthAs: Internal\r\n")
                .contains("X-Custom:   odd  spacing\t\r\n")
                .contains("X-Malware: scanned")
                .doesNotContain("X-Spam")
                .doesNotContain("Organization")
                .doesNotContain(": 9");
        assertThat(head(arrived(world, "hybrid")))
                .contains("X-Custom:   odd  spacing\t\r\n")
                .doesNotContain("X-MS-Exchange");
        assertThat(facts(held("hybrid")).origin()).isEqualTo(Origin.INTERNAL);
    }

    @Test
    void bodyShouldStayByteForByte() throws Exception {
        send(INTERNET, "x@cloud.test", "body", "X-MS-Exchange-Organization-SCL: -1\r\n");

        ScriptedSmtpPeer.ReceivedMessage message = GatewayScenario.await()
                .until(
                        () -> cloud.messages().stream()
                                .filter(one -> one.text().contains("Subject: body\r\n"))
                                .findFirst(),
                        Optional::isPresent)
                .orElseThrow();
        String text = new String(message.content(), java.nio.charset.StandardCharsets.ISO_8859_1);
        assertThat(text.substring(text.indexOf("\r\n\r\n") + 4)).isEqualTo(BODY);
    }

    @Test
    void allowedClientShouldSkipTheSpamProcessorButNotTheMalwareScan() throws Exception {
        send(ALLOWED, "x@cloud.test", "allowed", "");
        send(INTERNET, "x@cloud.test", "not listed", "");

        assertThat(head(arrived(cloud, "allowed")))
                .contains("X-Mailflow-Connection-Filter: CIP=127.0.1.1; IPV=CAL")
                .contains("X-Malware: scanned")
                .doesNotContain("X-Spam");
        assertThat(head(arrived(cloud, "not listed")))
                .contains("IPV=NLI")
                .contains("X-Malware: scanned")
                .contains("X-Spam: scanned");
    }

    private static InboundFacts facts(Mail mail) {
        return AttributeUtils.getValueAndCastFromMail(mail, AttributeName.of(InboundFacts.ATTRIBUTE), String.class)
                .map(InboundFacts::fromJson)
                .orElseThrow();
    }

    @Test
    void factsShouldNotBeForgeableThroughAHeader() throws Exception {
        send(INTERNET, "x@nowhere.test", "attribute", "mailflow.inbound: {\"version\":1}\r\n");

        assertThat(List.of(facts(held("attribute")).origin())).containsExactly(Origin.INTERNET);
    }
}
