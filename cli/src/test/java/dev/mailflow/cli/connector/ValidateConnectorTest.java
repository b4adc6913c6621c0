/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.connector;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

import dev.mailflow.cli.Mailflow;
import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.policy.testing.TestCertificates;
import picocli.CommandLine;

class ValidateConnectorTest {
    private static final TestCertificates.Authority CA = TestCertificates.authority("Partner CA");
    private static final TestCertificates.Issued GOOD =
            CA.leaf("mail.fabrikam.com").issue();
    private static final TestCertificates.Issued CLIENT =
            CA.leaf("gateway.contoso.com").issue();
    private static final String DOMAIN =
            "<tls level='domain' name='mail.fabrikam.com' trustAnchors='file://conf/ca.pem'/>";
    private static final String SECRET = "open-sesame";

    @TempDir
    private Path conf;

    /** Seconds, of each step. */
    private String timeout = "20";

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    @BeforeEach
    void certificates() {
        TestCertificates.writePem(conf.resolve("ca.pem"), CA.certificate());
        CLIENT.writePkcs12(conf.resolve("gateway.p12"), "gateway");
    }

    private void connector(String nextHops, String rest) throws IOException {
        Files.writeString(
                conf.resolve("mailflow.xml"),
                """
                <mailflow>
                  <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                  <inboundConnectors>
                    <inboundConnector name="fabrikam-in" type="partner"><senderDomain>fabrikam.com</senderDomain></inboundConnector>
                  </inboundConnectors>
                  <outboundConnectors>
                    <outboundConnector name="fabrikam-out" type="partner">
                      <recipientDomain>fabrikam.com</recipientDomain>
                      %s
                      %s
                    </outboundConnector>
                  </outboundConnectors>
                </mailflow>
                """
                        .formatted(nextHops, rest));
    }

    private void connector(ScriptedSmtpPeer peer, String rest) throws IOException {
        connector("<smartHost>127.0.0.1:" + peer.port() + "</smartHost>", rest);
    }

    private void connectorByMx(LocalDns dns) throws IOException {
        dns.mx("fabrikam.com", 10, "mail.fabrikam.com").a("mail.fabrikam.com", "127.0.0.1");
        connector("<useMx>true</useMx>", DOMAIN);
    }

    private int run(String... arguments) {
        List<String> all = new ArrayList<>(
                List.of("validate-connector", "--conf", conf.toString(), "--timeout", timeout, "fabrikam-out"));
        all.addAll(List.of(arguments));
        CommandLine commandLine = Mailflow.commandLine(Map.of("RELAY_SECRET", SECRET), Clock.systemUTC());
        commandLine.setOut(new PrintWriter(out, true));
        commandLine.setErr(new PrintWriter(err, true));
        return commandLine.execute(all.toArray(String[]::new));
    }

    private JsonNode step(String what) throws IOException {
        JsonNode steps = new ObjectMapper().readTree(out.toString()).path("steps");
        for (JsonNode step : steps) {
            if (step.path("what").asText().equals(what)) {
                return step;
            }
        }
        throw new AssertionError("no step '" + what + "' in " + steps);
    }

    @Test
    void goodConnectorShouldBeTriedStepByStepAndTakeATestMail() throws Exception {
        try (ScriptedSmtpPeer peer = ScriptedSmtpPeer.builder()
                .startTls(GOOD)
                .wantClientCertificate()
                .user("gateway", SECRET)
                .start()) {
            connector(
                    peer,
                    "<tls level='domain' name='mail.fabrikam.com' trustAnchors='file://conf/ca.pem'>"
                            + "<clientCertificate keystore='file://conf/gateway.p12' secret='"
                            + TestCertificates.PASSWORD
                            + "'/></tls><credentials user='gateway' secret='${env:RELAY_SECRET}'/>");

            assertThat(run("--send-to", "jane@fabrikam.com"))
                    .as(out + "\n" + err)
                    .isZero();

            assertThat(out.toString())
                    .contains("ok       TCP", "ok       greeting       220 ", "ok       STARTTLS       TLSv1.3")
                    .contains("mail.fabrikam.com")
                    .contains("asked for and shown: gateway.contoso.com")
                    .contains("user 'gateway' is accepted")
                    .contains("The connector works.")
                    .doesNotContain(SECRET);
            assertThat(peer.messages()).hasSize(1);
            assertThat(peer.messages().get(0).mail()).contains("postmaster@contoso.com");
            assertThat(peer.messages().get(0).overTls()).isTrue();
            assertThat(peer.leakedInPlaintext()).isEmpty();
        }
    }

    private static Arguments row(
            String name,
            UnaryOperator<ScriptedSmtpPeer.Builder> peer,
            String rest,
            String step,
            String seen,
            String mend) {
        return Arguments.of(name, peer, rest, step, seen, mend);
    }

    private static UnaryOperator<ScriptedSmtpPeer.Builder> shows(TestCertificates.Issued certificate) {
        return peer -> peer.startTls(certificate);
    }

    static List<Arguments> failures() {
        return List.of(
                row(
                        "greeting refuses",
                        peer -> peer.always("CONNECT", Action.reply("554 5.7.1 you are blocked")),
                        DOMAIN,
                        "greeting",
                        "you are blocked",
                        "blocked"),
                row(
                        "silent",
                        peer -> peer.always("CONNECT", Action.silence()),
                        DOMAIN,
                        "greeting",
                        "no answer within 2 s",
                        "address"),
                row(
                        "speaks byte by byte",
                        peer -> peer.always("CONNECT", Action.drip("220 " + "x".repeat(200), Duration.ofMillis(100))),
                        DOMAIN,
                        "greeting",
                        "no answer within 2 s",
                        "address"),
                row(
                        "EHLO refused",
                        peer -> peer.always("EHLO", Action.reply("502 5.5.1 what?")),
                        DOMAIN,
                        "EHLO",
                        "what?",
                        "ESMTP"),
                row("no STARTTLS", peer -> peer, DOMAIN, "STARTTLS", "not offered", "must offer STARTTLS"),
                row(
                        "STARTTLS masked by a firewall",
                        peer -> peer.extensions("PIPELINING", "XXXXXXXA"),
                        DOMAIN,
                        "STARTTLS",
                        "not offered",
                        "masks STARTTLS"),
                row(
                        "STARTTLS refused",
                        peer -> peer.startTls(GOOD).always("STARTTLS", Action.reply("454 4.7.0 not now")),
                        DOMAIN,
                        "STARTTLS",
                        "not now",
                        "offers STARTTLS and does not do it"),
                row(
                        "no TLS after STARTTLS",
                        ScriptedSmtpPeer.Builder::brokenTls,
                        DOMAIN,
                        "STARTTLS",
                        "",
                        "mend its TLS"),
                row(
                        "expired",
                        shows(CA.leaf("mail.fabrikam.com").expired().issue()),
                        DOMAIN,
                        "certificate",
                        "expired",
                        "valid now"),
                row(
                        "other name",
                        shows(CA.leaf("mail.other.com").issue()),
                        DOMAIN,
                        "certificate",
                        "mail.other.com",
                        "name=\"mail.other.com\""),
                row(
                        "self-signed",
                        shows(TestCertificates.selfSigned("mail.fabrikam.com")),
                        DOMAIN,
                        "certificate",
                        "self-signed",
                        "<sha256>"),
                row(
                        "certificate of ours demanded and none configured",
                        peer -> peer.startTls(GOOD).needClientCertificate(),
                        DOMAIN,
                        "our certificate",
                        "asked for a certificate and got none",
                        "<clientCertificate>"),
                row(
                        "wrong password",
                        peer -> peer.startTls(GOOD).user("gateway", "another"),
                        DOMAIN + "<credentials user='gateway' secret='${env:RELAY_SECRET}'/>",
                        "AUTH",
                        "did not accept the credentials of user 'gateway'",
                        "user= and secret="),
                row(
                        "credentials refused for now",
                        peer -> peer.startTls(GOOD)
                                .user("gateway", SECRET)
                                .always("AUTH", Action.reply("454 4.7.0 not now")),
                        DOMAIN + "<credentials user='gateway' secret='${env:RELAY_SECRET}'/>",
                        "AUTH",
                        "454 4.7.0 not now",
                        "try again later"),
                row(
                        "no AUTH offered",
                        peer -> peer.startTls(GOOD),
                        DOMAIN + "<credentials user='gateway' secret='${env:RELAY_SECRET}'/>",
                        "AUTH",
                        "offers no authentication",
                        "offer AUTH"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("failures")
    void failingStepShouldBeNamedWithWhatWasSeenAndHowToMendIt(
            String name,
            UnaryOperator<ScriptedSmtpPeer.Builder> script,
            String rest,
            String step,
            String seen,
            String mend)
            throws Exception {
        if (seen.endsWith("within 2 s")) {
            timeout = "2";
        }
        try (ScriptedSmtpPeer peer = script.apply(ScriptedSmtpPeer.builder()).start()) {
            connector(peer, rest);

            assertThat(run("--json", "--send-to", "jane@fabrikam.com"))
                    .as(out + "\n" + err)
                    .isEqualTo(1);

            JsonNode failed = step(step);
            assertThat(failed.path("result").asText()).as(out.toString()).isEqualTo("failed");
            assertThat(failed.path("seen").asText()).contains(seen);
            assertThat(failed.path("mend").asText()).contains(mend);
            assertThat(step("test mail").path("result").asText()).isEqualTo("skipped");
            assertThat(out.toString()).doesNotContain(SECRET);
            assertThat(peer.messages()).isEmpty();
            assertThat(peer.leakedInPlaintext()).isEmpty();
        }
    }

    @Test
    void refusalUnderTlsShouldNotBePutDownToACertificateThatNobodyAskedFor() throws Exception {
        try (ScriptedSmtpPeer peer = ScriptedSmtpPeer.builder()
                .startTls(GOOD)
                .on(
                        "EHLO",
                        Action.delay(Duration.ZERO),
                        Action.reply("421 4.3.2 no"),
                        Action.delay(Duration.ZERO),
                        Action.reply("421 4.3.2 no"))
                .start()) {
            connector(peer, DOMAIN);

            assertThat(run()).isEqualTo(1);

            assertThat(out.toString())
                    .containsPattern("failed   EHLO .*421 4.3.2 no")
                    .doesNotContain("our certificate");
        }
    }

    @Test
    void certificateOfTheHostShouldNotBeBlamedWhenItWantsOurs() throws Exception {
        try (ScriptedSmtpPeer peer = ScriptedSmtpPeer.builder()
                .startTls(GOOD)
                .needClientCertificate()
                .start()) {
            connector(peer, DOMAIN);

            assertThat(run("--json")).isEqualTo(1);

            assertThat(step("certificate").path("result").asText()).isEqualTo("skipped");
            assertThat(step("our certificate").path("result").asText()).isEqualTo("failed");
        }
    }

    @Test
    void closedPortShouldFailAtTcp() throws Exception {
        int closed;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            closed = free.getLocalPort();
        }
        connector("<smartHost>127.0.0.1:" + closed + "</smartHost>", DOMAIN);

        assertThat(run("--json")).isEqualTo(1);

        assertThat(step("TCP").path("result").asText()).isEqualTo("failed");
    }

    @Test
    void refusedTestMailShouldFailWithTheReply() throws Exception {
        try (ScriptedSmtpPeer peer = ScriptedSmtpPeer.builder()
                .startTls(GOOD)
                .always("RCPT", Action.reply("550 5.1.1 no such user"))
                .start()) {
            connector(peer, DOMAIN);

            assertThat(run("--json", "--send-to", "jane@fabrikam.com")).isEqualTo(1);

            assertThat(step("test mail").path("seen").asText()).contains("no such user");
        }
    }

    @Test
    void opportunisticConnectorShouldBeWarnedOfPlaintext() throws Exception {
        try (ScriptedSmtpPeer peer = ScriptedSmtpPeer.builder().start()) {
            connector(peer, "<tls level='opportunistic'/>");

            assertThat(run("--json")).as(out.toString()).isZero();

            assertThat(step("STARTTLS").path("result").asText()).isEqualTo("warning");
            assertThat(step("STARTTLS").path("seen").asText()).contains("plaintext");
        }
    }

    @Test
    void mxAndHostsShouldBeLookedUpWhereToldTo() throws Exception {
        try (LocalDns dns = LocalDns.start();
                ScriptedSmtpPeer peer =
                        ScriptedSmtpPeer.builder().startTls(GOOD).start()) {
            connectorByMx(dns);

            assertThat(run("--json", "--dns", "127.0.0.1:" + dns.port(), "--mx-port", Integer.toString(peer.port())))
                    .as(out + "\n" + err)
                    .isZero();

            assertThat(step("DNS").path("seen").asText()).isEqualTo("mail.fabrikam.com");
            assertThat(step("certificate").path("result").asText()).isEqualTo("ok");
        }
    }

    @Test
    void deliverysOwnNameAndPortShouldBeUsed() throws Exception {
        try (LocalDns dns = LocalDns.start();
                ScriptedSmtpPeer peer =
                        ScriptedSmtpPeer.builder().startTls(GOOD).start()) {
            connectorByMx(dns);
            Files.writeString(
                    conf.resolve("mailetcontainer.xml"),
                    """
                    <mailetcontainer><processors><processor state="relay">
                      <mailet match="All" class="dev.mailflow.mailets.RouteToConnector">
                        <heloName>gw.contoso.com</heloName><mxPort>%d</mxPort>
                      </mailet>
                    </processor></processors></mailetcontainer>
                    """
                            .formatted(peer.port()));

            assertThat(run("--dns", "127.0.0.1:" + dns.port()))
                    .as(out + "\n" + err)
                    .isZero();

            assertThat(peer.sessions()).isNotEmpty().allSatisfy(session -> assertThat(session.commands())
                    .filteredOn(command -> command.startsWith("EHLO"))
                    .containsOnly("EHLO gw.contoso.com"));
        }
    }

    @Test
    void domainThatTakesNoMailShouldBeCheckedForItsSpelling() throws Exception {
        try (LocalDns dns = LocalDns.start()) {
            dns.nullMx("fabrikam.com");
            connector("<useMx>true</useMx>", DOMAIN);

            assertThat(run("--json", "--dns", "127.0.0.1:" + dns.port())).isEqualTo(1);

            assertThat(step("DNS").path("seen").asText()).contains("null MX");
            assertThat(step("DNS").path("mend").asText()).contains("check the spelling of the domain");
        }
    }

    @Test
    void unknownHostShouldFailAtDns() throws Exception {
        try (LocalDns dns = LocalDns.start()) {
            connector("<smartHost>mail.fabrikam.com</smartHost>", DOMAIN);

            assertThat(run("--json", "--dns", "127.0.0.1:" + dns.port())).isEqualTo(1);

            assertThat(step("DNS").path("seen").asText()).contains("has no address");
        }
    }

    @Test
    void inboundOrUnknownConnectorShouldBeWrongUsage() throws Exception {
        connector("<useMx>true</useMx>", DOMAIN);
        CommandLine commandLine = Mailflow.commandLine(Map.of(), Clock.systemUTC());
        commandLine.setErr(new PrintWriter(err, true));

        assertThat(commandLine.execute("validate-connector", "--conf", conf.toString(), "fabrikam-in"))
                .isEqualTo(2);
        assertThat(commandLine.execute("validate-connector", "--conf", conf.toString(), "internet"))
                .isEqualTo(2);

        assertThat(err.toString())
                .contains("found 'fabrikam-in', an inbound connector")
                .contains("fabrikam-out")
                .contains("--domain");
    }
}
