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
import java.util.stream.StreamSupport;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

import picocli.CommandLine;

/** What {@code check} and {@code explain} say of transport rules. */
class ExplainedRulesTest {
    private static final Clock CLOCK = Clock.fixed(Instant.parse("2026-11-23T12:00:00Z"), ZoneOffset.UTC);
    private static final String TO = "ann@contoso.com,joe@fabrikam.com";

    @TempDir
    private Path conf;

    private StringWriter out = new StringWriter();

    private static String rule(String name, String attributes, String actions) {
        return "<rule name=\"" + name + "\" " + attributes
                + "><sieve>require [\"envelope\", \"reject\", \"editheader\","
                + " \"vnd.mailflow\"]; if header :is \"X-Case\" \"" + name + "\" { " + actions + " }</sieve></rule>\n";
    }

    @BeforeEach
    void policy() throws IOException {
        policy(rule("discard", "", "discard;")
                + rule("redirect", "", "redirect \"boss@contoso.com\";")
                + rule("reject", "", "reject \"no thanks\";")
                + rule("atSmtp", "atSmtp=\"true\"", "reject \"not here\";")
                + rule("route", "", "if envelope :domain \"to\" \"fabrikam.com\" { route \"scrubber\"; requiretls; }")
                + rule("local", "", "route \"scrubber\";")
                + rule("quarantine", "", "quarantine \"held\";")
                + rule("bcc", "", "bcc \"archive@contoso.com\";")
                + rule("audit", "mode=\"audit\"", "discard;")
                + rule(
                        "tag",
                        "",
                        "prependsubject \"[EXT] \"; addheader \"X-Tag\" \"1\"; deleteheader \"X-Gone\"; stop;")
                + "<rule name=\"body\"><sieve>require [\"body\", \"vnd.mailflow\"];"
                + " if body :text :contains \"secret\" { quarantine \"held\"; }</sieve></rule>");
    }

    private void policy(String rules) throws IOException {
        Files.writeString(
                conf.resolve("mailflow.xml"),
                "<mailflow>\n<acceptedDomains><domain>contoso.com</domain></acceptedDomains>\n<outboundConnectors>"
                        + "<outboundConnector name=\"scrubber\" type=\"partner\" rulesOnly=\"true\">"
                        + "<smartHost>10.0.0.1:2525</smartHost><tls level=\"opportunistic\"/></outboundConnector>"
                        + "</outboundConnectors>\n<transportRules>\n" + rules + "\n</transportRules>\n</mailflow>");
    }

    private int run(String command, String... arguments) {
        List<String> all = new ArrayList<>(List.of(command, "--conf", conf.toString()));
        all.addAll(List.of(arguments));
        out = new StringWriter();
        CommandLine commandLine = Mailflow.commandLine(Map.of(), CLOCK);
        commandLine.setOut(new PrintWriter(out, true));
        commandLine.setErr(new PrintWriter(out, true));
        return commandLine.execute(all.toArray(String[]::new));
    }

    private JsonNode explain(String example, String... more) throws IOException {
        List<String> arguments = new ArrayList<>(List.of(
                "--json",
                "--from",
                "e@example.net",
                "--to",
                TO,
                "--header",
                "X-Case: " + example,
                "--header",
                "Subject: hi",
                "--header",
                "X-Gone: x"));
        arguments.addAll(List.of(more));
        run("explain", arguments.toArray(String[]::new));
        return new ObjectMapper().readTree(out.toString());
    }

    private static List<String> texts(JsonNode list) {
        return StreamSupport.stream(list.spliterator(), false)
                .map(JsonNode::asText)
                .toList();
    }

    @ParameterizedTest
    @CsvSource({
        "none,       deliverLocal, relay,    '',                      internet",
        "discard,    discard,      discard,  '',                      ''",
        "redirect,   redirect,     redirect, '',                      ''",
        "reject,     reject,       reject,   550 5.7.1 no thanks,     ''",
        "atSmtp,     reject,       reject,   550 5.7.1 not here,      ''",
        "route,      deliverLocal, relay,    '',                      scrubber",
        "local,      relay,        relay,    '',                      scrubber",
        "quarantine, discard,      discard,  '',                      ''",
        "audit,      deliverLocal, relay,    '',                      internet",
    })
    void recipientsShouldReflectTheRules(String example, String ann, String joe, String reply, String connector)
            throws IOException {
        JsonNode explanation = explain(example);

        assertThat(texts(explanation.get("rules"))).isEqualTo(example.equals("none") ? List.of() : List.of(example));
        assertThat(explanation.at("/recipients/0/original").asText()).isEqualTo("ann@contoso.com");
        assertThat(explanation.at("/recipients/0/action").asText()).isEqualTo(ann);
        assertThat(explanation.at("/recipients/1/action").asText()).isEqualTo(joe);
        assertThat(explanation.at("/recipients/1/connector").asText("")).isEqualTo(connector);
        assertThat(explanation.at("/recipients/1/smtpReply").asText("")).isEqualTo(reply);
        assertThat(explanation.get("decision").asText()).isEqualTo(reply.isEmpty() ? "accept" : "reject");
    }

    @Test
    void routeShouldShowItsHopsAndTheDemandForTls() throws IOException {
        JsonNode joe = explain("route").at("/recipients/1");

        assertThat(texts(joe.get("nextHops"))).containsExactly("10.0.0.1:2525");
        assertThat(joe.get("tls").asText()).isEqualTo("encrypt");
        assertThat(joe.get("requireTls").asBoolean()).isTrue();
        assertThat(joe.get("reason").asText()).contains("transport rule 'route'");
    }

    @Test
    void redirectShouldShowWhereItGoes() throws IOException {
        JsonNode ann = explain("redirect").at("/recipients/0");

        assertThat(ann.get("rewritten").asText()).isEqualTo("boss@contoso.com");
        assertThat(ann.get("location").asText()).isEqualTo("local");
    }

    @Test
    void addedRecipientShouldComeLast() throws IOException {
        JsonNode recipients = explain("bcc").get("recipients");

        assertThat(recipients).hasSize(3);
        assertThat(recipients.get(2).get("original").asText()).isEqualTo("archive@contoso.com");
        assertThat(recipients.get(2).get("reason").asText()).contains("added by a transport rule");
    }

    @Test
    void headersShouldBeThoseThatTheRulesLeave() throws IOException {
        JsonNode headers = explain("tag").get("headers");

        assertThat(headers.get("Subject").asText()).isEqualTo("[EXT] hi");
        assertThat(headers.get("X-Tag").asText()).isEqualTo("1");
        assertThat(headers.get("X-Gone").isNull()).isTrue();
    }

    @Test
    void everyRuleShouldBeToldAndOnRequestEachTest() throws IOException {
        JsonNode trace = explain("tag", "--trace-rules").get("ruleTrace");

        assertThat(trace)
                .filteredOn(trial -> trial.get("rule").asText().equals("tag"))
                .singleElement()
                .satisfies(trial -> {
                    assertThat(trial.get("verdict").asText()).isEqualTo("hit");
                    assertThat(trial.get("detail").asText()).startsWith("prependsubject \"[EXT] \"");
                    assertThat(trial.at("/tests/0/test").asText()).contains("X-Case");
                    assertThat(trial.at("/tests/0/result").asBoolean()).isTrue();
                    assertThat(trial.at("/tests/0/where").asText()).startsWith("mailflow.xml:");
                });
        assertThat(trace)
                .filteredOn(trial -> trial.get("rule").asText().equals("body"))
                .singleElement()
                .satisfies(trial -> assertThat(trial.get("detail").asText()).isEqualTo("an earlier rule stopped"));
        assertThat(explain("tag").findValues("tests")).isEmpty();
    }

    @Test
    void bodyOfTheMessageFileShouldBeLookedAt() throws IOException {
        Path message = Files.writeString(conf.resolve("m.eml"), "Subject: x\r\n\r\nthis is secret\r\n");

        run("explain", "--from", "e@example.net", "--to", "ann@contoso.com", "--message", message.toString());

        assertThat(out.toString())
                .contains("rule 'body' (enforce): hit: quarantine \"held\"", "ann@contoso.com: discard");
    }

    @Test
    void checkShouldTellEveryMistakeOfEveryScript() throws IOException {
        policy(
                """
                <rule name="a"><sieve>
                  if heade :is "a" "b" { discard; }
                  fileinto "x";
                </sieve></rule>
                <rule name="b"><script>file://conf/rules/none.sieve</script></rule>
                <rule name="c"><sieve>require "vacation"; keep;</sieve></rule>""");

        assertThat(run("check")).isEqualTo(1);

        assertThat(out.toString().lines())
                .anyMatch(line -> line.startsWith("mailflow.xml:6: error: rule 'a', column "))
                .anyMatch(line -> line.startsWith("mailflow.xml:7: error: rule 'a', column "))
                .anyMatch(line -> line.startsWith("mailflow.xml:9: error: <script>"))
                .anyMatch(line -> line.startsWith("mailflow.xml:10: error: rule 'c'") && line.contains("vacation"));
    }

    @Test
    void checkShouldFindRoutesThatLeadNowhere() throws IOException {
        policy("<rule name=\"a\"><sieve>require \"vnd.mailflow\"; if exists \"X\" { route \"scrubbr\"; }</sieve></rule>"
                + "<rule name=\"b\"><sieve>stop;</sieve></rule><rule name=\"c\"><sieve>discard;</sieve></rule>");

        assertThat(run("check")).isEqualTo(1);

        assertThat(out.toString())
                .contains(
                        "error: transport rule 'a' names outbound connector 'scrubbr', which the policy does not have")
                .contains("warning: transport rule 'c' is never asked: rule 'b'");
    }
}
