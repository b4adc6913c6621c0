/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.check.PolicyCheck;
import dev.mailflow.policy.file.MailFlowXmlReader;
import dev.mailflow.policy.file.PolicyReading;
import dev.mailflow.policy.rule.RuleCompiler;

/** What the documentation and the sample configuration say in Sieve is what the compiler understands. */
class TransportRuleDocumentationTest {
    private static final Path PAGE = Project.ROOT.resolve("docs/transport-rules.md");
    private static final String EVERYTHING =
            """
            require ["envelope", "relational", "regex", "copy", "reject", "ereject", "editheader", "body", "variables", \
            "extlists", "mime", "comparator-i;ascii-numeric", "vnd.mailflow"];
            """;
    private static final Pattern BLOCK = Pattern.compile("(?ms)^```(sieve|xml)\\n(.*?)^```");
    private static final Pattern SNIPPET = Pattern.compile("`([^`]+)`");
    private static final Pattern TEST = Pattern.compile("(not|allof|anyof|header|address|envelope|body|exists|size"
            + "|attachmentname|attachmentsize|internalsender|internalrecipient|clientip|connector)\\b.*");

    private static List<String> problems(String script) {
        List<PolicyProblem> problems = new ArrayList<>();
        RuleCompiler.find()
                .orElseThrow()
                .compile(
                        new RuleCompiler.Source("documented", script, new SourceLocation("transport-rules.md", 1)),
                        name -> Optional.of(List.of("ann@contoso.com")),
                        problems::add);
        return problems.stream().map(PolicyProblem::toString).toList();
    }

    private static String page() throws IOException {
        return Files.readString(PAGE);
    }

    private static Stream<String> blocks(String language) throws IOException {
        return BLOCK.matcher(page())
                .results()
                .filter(block -> block.group(1).equals(language))
                .map(block -> block.group(2));
    }

    static Stream<String> cookbook() throws IOException {
        return blocks("sieve");
    }

    @ParameterizedTest
    @MethodSource
    void cookbook(String script) {
        assertThat(problems(script)).isEmpty();
    }

    /** The second column of the tables of Exchange's conditions and actions. */
    private static Stream<String> cells(String heading) throws IOException {
        String page = page();
        return page.substring(page.indexOf("## From Exchange to Sieve"))
                .lines()
                .dropWhile(line -> !line.startsWith("### " + heading))
                .skip(1)
                .takeWhile(line -> !line.startsWith("### ") || line.startsWith("### " + heading))
                .filter(line -> line.startsWith("| ") && !line.startsWith("| Exchange"))
                .map(line -> line.split(" \\| ")[1])
                .flatMap(cell -> SNIPPET.matcher(cell).results().map(MatchResult::group))
                .map(snippet -> snippet.substring(1, snippet.length() - 1));
    }

    static Stream<String> conditions() throws IOException {
        return cells("Conditions").filter(snippet -> TEST.matcher(snippet).matches() && !snippet.equals("not"));
    }

    @ParameterizedTest
    @MethodSource
    void conditions(String test) {
        assertThat(problems(EVERYTHING + "if " + test + " { stop; }")).isEmpty();
    }

    static Stream<String> actions() throws IOException {
        return cells("Actions").filter(snippet -> snippet.endsWith(";"));
    }

    @ParameterizedTest
    @MethodSource
    void actions(String action) {
        assertThat(problems(EVERYTHING + action)).isEmpty();
    }

    @Test
    void tablesShouldHoldSnippets() throws IOException {
        assertThat(conditions()).hasSizeGreaterThan(40);
        assertThat(actions()).hasSizeGreaterThan(15);
        assertThat(cookbook()).hasSizeGreaterThan(6);
    }

    private static PolicyReading read(Path conf, String content) throws IOException {
        Files.createDirectories(conf.resolve("rules"));
        Files.writeString(conf.resolve("rules/fax.sieve"), "keep;");
        Files.writeString(conf.resolve("rules/own.sieve"), "keep;");
        Path file = Files.writeString(conf.resolve("mailflow.xml"), "<mailflow>" + content + "</mailflow>");
        return MailFlowXmlReader.read(file, conf, Clock.systemUTC());
    }

    @Test
    void everyExampleInXmlShouldBeReadable(@TempDir Path conf) throws IOException {
        for (String block : blocks("xml").toList()) {
            boolean rule = block.startsWith("<rule");
            PolicyReading reading = read(conf, rule ? "<transportRules>" + block + "</transportRules>" : block);

            assertThat(reading.problems()).as(block).isEmpty();
        }
    }

    @Test
    void commentedRulesOfTheSampleShouldWork(@TempDir Path conf) throws IOException {
        String sample = Files.readString(Project.ROOT.resolve("james-conf/mailflow.xml"));
        String rules = sample.substring(
                sample.indexOf("<transportRules>"), sample.indexOf("</transportRules>") + "</transportRules>".length());
        String after = sample.substring(sample.indexOf("</transportRules>"));
        String outbound = after.substring(after.indexOf("<outboundConnector "), after.indexOf("</outboundConnector>"));
        String inbound = after.substring(after.indexOf("<inboundConnector "), after.indexOf("</inboundConnector>"));

        PolicyReading reading = read(
                conf,
                rules + "<outboundConnectors>" + outbound + "</outboundConnector></outboundConnectors>"
                        + "<inboundConnectors>" + inbound + "</inboundConnector></inboundConnectors>");

        assertThat(reading.problems()).isEmpty();
        assertThat(PolicyCheck.check(reading.policy().orElseThrow(), Instant.now()))
                .extracting(PolicyProblem::severity)
                .doesNotContain(PolicyProblem.Severity.ERROR);
        assertThat(reading.policy().orElseThrow().transportRules().all()).hasSize(4);
    }
}
