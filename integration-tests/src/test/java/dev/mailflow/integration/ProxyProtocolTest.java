/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import dev.mailflow.integration.DoorClient.Way;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.testing.TestCertificates;
import dev.mailflow.policy.testing.TestCertificates.Authority;

/** A PROXY header, of either version, is believed from configured proxies and from nobody else. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ProxyProtocolTest {
    private static final String PROXY = "127.0.9.1";
    private static final String STRANGER = "127.0.0.1";
    private static final String ACCEPTED = "250 2.1.0";
    private static final Authority CA = TestCertificates.authority("Partner CA");

    private GatewayScenario scenario;
    private int port;

    @BeforeAll
    void start(@TempDir Path directory) throws Exception {
        GatewayScenario.Builder builder = GatewayScenario.in(directory)
                .proxies("127.0.9.0/30")
                .policy(
                        """
                        <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                        <connectionFilter>
                          <block>203.0.113.0/24</block><block>2001:db8:bad::/48</block><block>127.0.9.0/24</block>
                          <allow>203.0.113.200</allow>
                        </connectionFilter>
                        <inboundConnectors>
                          <inboundConnector name="ip" type="partner">
                            <senderDomain>ip.test</senderDomain><requireTls>false</requireTls>
                            <clientIp>198.51.100.0/24</clientIp>
                          </inboundConnector>
                          <inboundConnector name="branch" type="organization">
                            <clientIp>198.51.100.7</clientIp><relay>true</relay>
                          </inboundConnector>
                          <inboundConnector name="cert" type="partner">
                            <senderDomain>cert.test</senderDomain><clientIp>198.51.100.8</clientIp>
                            <clientCertificate name="mail.cert.test" trust="ca" trustAnchors="file://conf/ca.pem"/>
                          </inboundConnector>
                        </inboundConnectors>""");
        TestCertificates.writePem(builder.configuration().resolve("ca.pem"), CA.certificate());
        scenario = builder.start();
        port = scenario.gateway().port("smtp");
    }

    @AfterAll
    void stop() {
        scenario.close();
    }

    private static Way through(byte[] header) {
        return Way.plain(PROXY).proxying(header);
    }

    private static String blocked(String ip) {
        return "550 5.7.1 Service unavailable, client host [" + ip + "] blocked by connection filter";
    }

    static Stream<Arguments> clients() throws Exception {
        return Stream.of(
                Arguments.of("203.0.113.9", "a@example.test", blocked("203.0.113.9")),
                Arguments.of("203.0.113.200", "a@example.test", ACCEPTED),
                Arguments.of("192.0.2.77", "a@example.test", ACCEPTED),
                Arguments.of("2001:db8:bad::1", "a@example.test", blocked("2001:db8:bad::1")),
                Arguments.of("2001:db8:900d::1", "a@example.test", ACCEPTED),
                Arguments.of("::ffff:203.0.113.9", "a@example.test", blocked("203.0.113.9")),
                Arguments.of("198.51.100.200", "a@ip.test", ACCEPTED),
                Arguments.of("192.0.2.77", "a@ip.test", "550 5.7.51 Sender domain is restricted"));
    }

    @ParameterizedTest
    @MethodSource("clients")
    void verdictShouldBeOnTheAddressThatVersion1Names(String client, String sender, String reply) throws Exception {
        try (DoorClient door = through(DoorClient.proxyVersion1(client)).open(port)) {
            assertThat(door.command("MAIL FROM:<" + sender + ">")).startsWith(reply);
        }
    }

    @ParameterizedTest
    @MethodSource("clients")
    void verdictShouldBeOnTheAddressThatVersion2Names(String client, String sender, String reply) throws Exception {
        try (DoorClient door = through(DoorClient.proxyVersion2(client)).open(port)) {
            assertThat(door.command("MAIL FROM:<" + sender + ">")).startsWith(reply);
        }
    }

    @Test
    void relayAndCertificateShouldWorkThroughAProxy() throws Exception {
        try (DoorClient door = through(DoorClient.proxyVersion2("198.51.100.7")).open(port)) {
            assertThat(door.command("MAIL FROM:<a@example.test>")).startsWith(ACCEPTED);
            assertThat(door.command("RCPT TO:<x@elsewhere.test>")).startsWith("250");
        }
        Way withCertificate = through(DoorClient.proxyVersion1("198.51.100.8"))
                .withCertificate(CA.leaf("mail.cert.test").issue());
        try (DoorClient door = withCertificate.open(port)) {
            assertThat(door.command("MAIL FROM:<a@cert.test>")).startsWith(ACCEPTED);
        }
    }

    static Stream<byte[]> forgedHeaders() throws Exception {
        return Stream.of(
                DoorClient.proxyVersion1("198.51.100.7"),
                DoorClient.proxyVersion2("198.51.100.7"),
                DoorClient.proxyVersion2("2001:db8::1"),
                DoorClient.proxyVersion2Local());
    }

    @ParameterizedTest
    @MethodSource("forgedHeaders")
    void headerOfAStrangerShouldBeRefusedAndTheConnectionClosed(byte[] header) throws Exception {
        int refusals = scenario.events(MailFlowEvent.Refused.class).size();
        try (DoorClient door = Way.plain(STRANGER).proxying(header).connect(port)) {
            String first = door.reply();
            String refusal = first.startsWith("220") ? door.reply() : first;
            assertThat(refusal).isEqualTo("554 5.7.1 PROXY header refused, host [127.0.0.1] is not a configured proxy");
        }
        // an event of an earlier session may still be on its way
        GatewayScenario.await().untilAsserted(() -> assertThat(scenario.events(MailFlowEvent.Refused.class).stream()
                        .skip(refusals)
                        .filter(refused -> refused.reason().endsWith("is none of <proxies>")))
                .singleElement()
                .satisfies(refused -> {
                    assertThat(refused.stage()).isEqualTo("proxy");
                    assertThat(refused.clientIp()).isEqualTo("127.0.0.1");
                }));
    }

    @Test
    void strangerWithoutAHeaderShouldBeServedAsHimself() throws Exception {
        try (DoorClient door = Way.plain(STRANGER).open(port)) {
            assertThat(door.command("MAIL FROM:<a@example.test>")).startsWith(ACCEPTED);
            assertThat(door.command("RCPT TO:<x@elsewhere.test>")).startsWith("550 5.7.64");
        }
    }

    @Test
    void proxyWithoutAHeaderShouldNotBeServed() throws Exception {
        try (DoorClient door = Way.plain(PROXY).connect(port)) {
            assertThat(door.reply()).startsWith("220");
            assertThat(door.command("EHLO proxy.test")).doesNotStartWith("250");
        }
    }

    static Stream<Arguments> brokenHeaders() throws Exception {
        byte[] whole = DoorClient.proxyVersion2("198.51.100.7");
        byte[] fieldThatIsTooLong = Arrays.copyOf(whole, whole.length + 5);
        fieldThatIsTooLong[15] = (byte) (whole[15] + 5);
        fieldThatIsTooLong[whole.length] = 0x04;
        fieldThatIsTooLong[whole.length + 1] = (byte) 0xff;
        byte[] datagram = whole.clone();
        datagram[13] = 0x12;
        return Stream.of(
                Arguments.of(fieldThatIsTooLong, "ends before one of its fields does"),
                Arguments.of(datagram, "is of UDP4, expected TCP4 or TCP6"),
                Arguments.of(version1("TCP4 999.0.2.1 127.0.0.1 4444 25"), "cannot be read"),
                Arguments.of(version1("TCP6 198.51.100.7 127.0.0.1 4444 25"), "cannot be read"),
                Arguments.of(version1("TCP4 198.51.100.7"), "cannot be read"));
    }

    private static byte[] version1(String client) {
        return ("PROXY " + client + "\r\n").getBytes(StandardCharsets.US_ASCII);
    }

    @ParameterizedTest
    @MethodSource("brokenHeaders")
    void brokenHeaderOfAProxyShouldEndTheConnectionWithItsReason(byte[] header, String reason) throws Exception {
        int refusals = scenario.events(MailFlowEvent.Refused.class).size();
        try (DoorClient door = through(header).connect(port)) {
            GatewayScenario.await().untilAsserted(() -> assertThat(scenario.events(MailFlowEvent.Refused.class).stream()
                            .skip(refusals)
                            .filter(refused -> refused.reason().contains(reason)))
                    .singleElement()
                    .satisfies(refused -> assertThat(refused.stage()).isEqualTo("proxy")));
            // whatever was said before, nobody is served
            assertThat(door.command("MAIL FROM:<a@example.test>")).doesNotStartWith("250");
        }
    }

    @Test
    void healthCheckOfAProxyShouldBeJudgedByItsOwnAddress() throws Exception {
        try (DoorClient door = through(DoorClient.proxyVersion2Local()).open(port)) {
            assertThat(door.command("NOOP")).startsWith("250");
            assertThat(door.command("MAIL FROM:<a@example.test>")).isEqualTo(blocked(PROXY));
        }
    }

    @Test
    void proxyRequiredWithoutProxiesShouldKeepTheGatewayFromStarting(@TempDir Path directory) {
        assertThatThrownBy(() -> GatewayScenario.in(directory)
                        .edit(
                                "smtpserver.xml",
                                text -> text.replaceFirst(
                                        "<verifyIdentity>", "<proxyRequired>true</proxyRequired><verifyIdentity>"))
                        .policy("")
                        .start())
                .hasMessageContaining("smtpserver.xml, server 'smtp")
                .hasMessageContaining("without <proxies>");
    }

    @Test
    void proxyRequiredShouldTurnStrangersAwayAtOnce(@TempDir Path directory) throws Exception {
        try (GatewayScenario only = GatewayScenario.in(directory)
                .edit(
                        "smtpserver.xml",
                        text -> text.replaceFirst(
                                "<verifyIdentity>",
                                "<proxies>127.0.9.1</proxies><proxyRequired>true</proxyRequired><verifyIdentity>"))
                .policy("")
                .start()) {
            int strict = only.gateway().port("smtp");
            try (DoorClient door = Way.plain(STRANGER).connect(strict)) {
                assertThat(door.reply()).startsWith("554 5.7.1");
            }
            try (DoorClient door =
                    through(DoorClient.proxyVersion1("192.0.2.1")).open(strict)) {
                assertThat(door.command("NOOP")).startsWith("250");
            }
        }
    }
}
