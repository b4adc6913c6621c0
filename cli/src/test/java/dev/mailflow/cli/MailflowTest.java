/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

import picocli.CommandLine;

class MailflowTest {
    private static final Clock CLOCK = Clock.fixed(Instant.parse("2026-11-23T12:00:00Z"), ZoneOffset.UTC);

    @TempDir
    private Path conf;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    @BeforeEach
    void policy() throws IOException {
        policy(
                """
                <mailflow>
                  <acceptedDomains>
                    <domain>contoso.com</domain>
                  </acceptedDomains>
                  <outboundConnectors>
                    <outboundConnector name="exact" type="partner">
                      <recipientDomain>fabrikam.com</recipientDomain>
                      <smartHost>mail.fabrikam.com</smartHost>
                      <tls level="domain"/>
                    </outboundConnector>
                    <outboundConnector name="suffix" type="partner">
                      <recipientDomain>*.fabrikam.com</recipientDomain>
                      <useMx>true</useMx>
                      <tls level="ca"/>
                    </outboundConnector>
                    <outboundConnector name="sales" type="partner" cost="50">
                      <recipientDomain>fabrikam.com</recipientDomain>
                      <senderDomain>sales.contoso.com</senderDomain>
                      <smartHost port="587">relay.fabrikam.com</smartHost>
                      <tls level="encrypt"/>
                      <credentials user="gateway" secret="${env:RELAY_SECRET}"/>
                    </outboundConnector>
                  </outboundConnectors>
                </mailflow>
                """);
    }

    private void policy(String xml) throws IOException {
        Files.writeString(conf.resolve("mailflow.xml"), xml);
    }

    private int run(String command, String... arguments) {
        List<String> all = new ArrayList<>(List.of(command, "--conf", conf.toString()));
        all.addAll(List.of(arguments));
        return runExactly(all.toArray(String[]::new));
    }

    private int runExactly(String... arguments) {
        out.getBuffer().setLength(0);
        CommandLine commandLine = Mailflow.commandLine(Map.of("RELAY_SECRET", "open-sesame"), CLOCK);
        commandLine.setOut(new PrintWriter(out, true));
        commandLine.setErr(new PrintWriter(err, true));
        return commandLine.execute(arguments);
    }

    private JsonNode json() throws IOException {
        return new ObjectMapper().readTree(out.toString());
    }

    @ParameterizedTest
    @CsvSource({
        "joe@contoso.com, jane@fabrikam.com, exact, domain, mail.fabrikam.com:25, true",
        "joe@contoso.com, jane@eu.fabrikam.com, suffix, ca, mx:eu.fabrikam.com, true",
        "joe@sales.contoso.com, jane@fabrikam.com, sales, encrypt, relay.fabrikam.com:587, true",
        "<>, jane@fabrikam.com, exact, domain, mail.fabrikam.com:25, true",
        "joe@contoso.com, jane@example.org, internet, opportunistic, mx:example.org, false",
        "joe@contoso.com, jane@BÜCHER.example, internet, opportunistic, mx:xn--bcher-kva.example, false",
    })
    void explainShouldChooseTheConnectorOfTheTable(
            String from, String to, String connector, String tls, String nextHop, boolean requireTls) throws Exception {
        assertThat(run("explain", "--json", "--from", from, "--to", to))
                .as(err.toString())
                .isZero();

        JsonNode recipient = json().at("/recipients/0");
        assertThat(recipient.get("connector").asText()).isEqualTo(connector);
        assertThat(recipient.get("tls").asText()).isEqualTo(tls);
        assertThat(recipient.at("/nextHops/0").asText()).isEqualTo(nextHop);
        assertThat(recipient.get("requireTls").asBoolean()).isEqualTo(requireTls);
        assertThat(recipient.get("action").asText()).isEqualTo("relay");
    }

    @Test
    void explainShouldExitWithOneWhenTheMessageIsRefused() throws Exception {
        assertThat(run("explain", "--json", "--from", "a@x.com", "--to", "b@y.com", "--client-ip", "203.0.113.1"))
                .isEqualTo(1);
        assertThat(json().get("decision").asText()).isEqualTo("reject");
        assertThat(json().get("smtpReply").asText()).isEqualTo("550 5.7.64 Relay access denied");
    }

    @Test
    void explainShouldTellPeopleWhy() {
        assertThat(run("explain", "--from", "joe@contoso.com", "--to", "jane@fabrikam.com,k@contoso.com"))
                .isZero();
        assertThat(out.toString())
                .contains("jane@fabrikam.com: relay")
                .contains("recipientDomain fabrikam.com")
                .contains("TLS domain (never in plaintext)")
                .contains("k@contoso.com: deliverLocal");
    }

    private void hybridPolicy(String mailboxes) throws IOException {
        policy(
                """
                <mailflow>
                <acceptedDomains><domain>contoso.com</domain><domain>alone.example</domain></acceptedDomains>
                <inboundConnectors><inboundConnector name="cloud-in" type="organization">
                  <clientCertificate name="mail.cloud.example" trust="ca"/>
                </inboundConnector></inboundConnectors>
                <outboundConnectors><outboundConnector name="cloud-out" type="organization">
                  <recipientDomain>contoso.mail.onmicrosoft.com</recipientDomain>
                  <smartHost>mail.cloud.example</smartHost>
                  <tls level="domain" name="mail.cloud.example"/>
                </outboundConnector></outboundConnectors>
                <hybrid>
                  <sharedDomain>contoso.com</sharedDomain>
                  <remoteRoutingDomain>contoso.mail.onmicrosoft.com</remoteRoutingDomain>
                  <cloud inboundConnector="cloud-in" outboundConnector="cloud-out"/>
                  %s
                </hybrid>
                </mailflow>
                """
                        .formatted(mailboxes));
    }

    @ParameterizedTest
    @CsvSource({
        "ldap, the directory server ldaps://dc1.contoso.com:636 is not asked offline",
        "james, the users of a server cannot be seen offline"
    })
    void explainShouldSayWhereItOnlyAssumesAMailbox(String source, String assumption) throws Exception {
        hybridPolicy("<mailboxes source=\"" + source + "\""
                + (source.equals("ldap") ? " url=\"ldaps://dc1.contoso.com:636\" base=\"dc=contoso,dc=com\"" : "")
                + "/>");

        assertThat(run("explain", "--from", "a@x.com", "--to", "joe+news@contoso.com"))
                .as(err.toString())
                .isZero();
        assertThat(out.toString())
                .contains("joe+news@contoso.com: deliverLocal\n"
                        + "  because authoritative domain contoso.com, counts as here\n"
                        + "  assumed to be here: " + assumption
                        + "; --url asks a running gateway, --unknown says that it is not\n");

        assertThat(run("explain", "--json", "--from", "a@x.com", "--to", "joe@contoso.com,joe@alone.example,e@y.com"))
                .isZero();
        assertThat(json().at("/recipients/0/location").asText()).isEqualTo("local");
        assertThat(json().at("/recipients/0/assumption").asText()).isEqualTo(assumption);
        // the hybrid directory is asked for shared domains only
        assertThat(json().at("/recipients/1/assumption").asText())
                .isEqualTo("the users of a server cannot be seen offline");
        assertThat(json().at("/recipients/2/assumption").isNull()).isTrue();

        assertThat(run(
                        "explain",
                        "--json",
                        "--from",
                        "a@x.com",
                        "--to",
                        "joe@contoso.com",
                        "--unknown",
                        "joe@contoso.com"))
                .isEqualTo(1);
        assertThat(json().at("/recipients/0/location").asText()).isEqualTo("unknown");
        assertThat(json().at("/recipients/0/assumption").isNull()).isTrue();
    }

    @Test
    void explainShouldAssumeNothingOfAList() throws Exception {
        Files.writeString(conf.resolve("mailboxes.csv"), "joe@contoso.com,local\nd@contoso.com,cloud\n");
        hybridPolicy("<mailboxes source=\"file\" url=\"file://conf/mailboxes.csv\"/>");

        assertThat(run("explain", "--from", "a@x.com", "--to", "joe@contoso.com,d@contoso.com"))
                .as(err.toString())
                .isZero();

        assertThat(out.toString())
                .contains("joe@contoso.com: deliverLocal")
                .contains("d@contoso.com rewritten to d@contoso.mail.onmicrosoft.com: relay")
                .doesNotContain("assumed")
                .doesNotContain("counts as here");
    }

    @Test
    void explainShouldListTheMistakesOfABrokenPolicy() throws Exception {
        policy("<mailflow>\n<acceptedDomain/>\n</mailflow>");

        assertThat(run("explain", "--from", "joe@contoso.com", "--to", "jane@fabrikam.com"))
                .isEqualTo(1);
        assertThat(err.toString()).contains("mailflow.xml:2: error:").contains("acceptedDomains");
        assertThat(out.toString()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "explain --from a@b.com",
                "explain --to a@b.com",
                "explain --from a@b.com --to nobody",
                "explain --from a@b.com --to c@d.com --client-ip 1.2.3",
                "explain --from a@b.com --to c@d.com --tls",
                "explain --from a@b.com --to c@d.com --header nocolon",
                "check --nonsense",
                "nonsense",
            })
    void wrongUsageShouldExitWithTwo(String line) {
        List<String> words = new ArrayList<>(List.of(line.split(" ")));
        if (!line.equals("nonsense")) {
            words.addAll(1, List.of("--conf", conf.toString()));
        }
        assertThat(runExactly(words.toArray(String[]::new))).isEqualTo(2);
        assertThat(err.toString()).isNotEmpty();
        assertThat(out.toString()).isEmpty();
    }

    @Test
    void missingDirectoryShouldBeWrongUsage() {
        assertThat(runExactly("check", "--conf", conf.resolve("nowhere").toString()))
                .isEqualTo(2);
        assertThat(err.toString()).contains("expected a directory with mailflow.xml");
    }

    @Test
    void checkShouldPraiseAGoodPolicy() {
        assertThat(run("check")).as(out.toString()).isZero();
        assertThat(out.toString()).isEqualTo("The policy is good." + System.lineSeparator());
    }

    @Test
    void checkShouldPrintEveryErrorWithItsLine() throws Exception {
        policy(
                """
                <mailflow>
                  <connectionFilter>
                    <allow>192.0.2.0/33</allow>
                    <block>bogus</block>
                  </connectionFilter>
                  <outboundConnectors>
                    <outboundConnector name="x" type="partnr"/>
                  </outboundConnectors>
                </mailflow>""");

        assertThat(run("check")).isEqualTo(1);
        assertThat(out.toString())
                .contains("mailflow.xml:3: error:")
                .contains("mailflow.xml:4: error:")
                .contains("mailflow.xml:7: error:");
    }

    @Test
    void checkShouldSpeakJson() throws Exception {
        policy(
                "<mailflow><connectionFilter><allow expires='2026-01-01T00:00:00Z'>192.0.2.1</allow></connectionFilter></mailflow>");

        assertThat(run("check", "--json")).isZero();
        assertThat(json().get("good").asBoolean()).isTrue();
        assertThat(json().at("/problems/0/severity").asText()).isEqualTo("warning");
        assertThat(json().at("/problems/0/line").asInt()).isEqualTo(1);
    }

    @Test
    void nothingShouldEverPrintASecret() {
        run("check", "--json");
        run("explain", "--from", "joe@sales.contoso.com", "--to", "jane@fabrikam.com");
        run("explain", "--json", "--from", "joe@sales.contoso.com", "--to", "jane@fabrikam.com");

        assertThat(out.toString() + err).doesNotContain("open-sesame");
    }

    @Test
    void helpShouldHelp() {
        assertThat(runExactly("--help")).isZero();
        assertThat(out.toString()).contains("check", "explain", "Exit codes");
    }
}
