/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.check.PolicyCheck;
import dev.mailflow.policy.rule.RuleCompiler;
import dev.mailflow.policy.rule.RuleScript;
import dev.mailflow.policy.rule.RuleVerdict;
import dev.mailflow.policy.rule.TransportRule;
import dev.mailflow.policy.testing.PolicyXml;

/**
 * How rules, their files and their lists are read, with a language of four words: {@code error}, {@code list NAME},
 * {@code route NAME}, {@code stop} and {@code never}.
 */
class TransportRulesSectionTest {
    @TempDir
    private Path conf;

    private final List<List<String>> lists = new ArrayList<>();

    @BeforeEach
    void scripts() throws IOException {
        Files.createDirectories(conf.resolve("rules"));
    }

    private final class Words implements RuleCompiler {
        @Override
        public Optional<RuleScript> compile(Source source, Lists named, Consumer<PolicyProblem> problems) {
            boolean good = true;
            List<RuleScript.Inspection.Named> connectors = new ArrayList<>();
            List<String> words = source.text().lines().map(String::strip).toList();
            for (int line = 1; line <= words.size(); line++) {
                String[] word = words.get(line - 1).split(" ");
                SourceLocation at = source.at(line);
                switch (word[0]) {
                    case "error" -> {
                        good = false;
                        problems.accept(PolicyProblem.error(at, "rule '" + source.rule() + "': found an error"));
                    }
                    case "list" -> {
                        try {
                            lists.add(named.read(word[1]).orElseThrow());
                        } catch (IOException e) {
                            good = false;
                            problems.accept(PolicyProblem.error(at, word[1] + ": " + e.getMessage()));
                        }
                    }
                    case "route" -> connectors.add(new RuleScript.Inspection.Named(word[1], at));
                    default -> {
                        // says nothing to the reader
                    }
                }
            }
            return good ? Optional.of(new Script(words, connectors)) : Optional.empty();
        }
    }

    private record Script(List<String> words, List<RuleScript.Inspection.Named> connectors) implements RuleScript {
        @Override
        public boolean dependsOnRecipient() {
            return false;
        }

        @Override
        public RuleVerdict run(Run run) {
            return new RuleVerdict(List.of(), run.message().header(), words.contains("stop"));
        }

        @Override
        public Inspection inspection() {
            boolean never = words.contains("never");
            return new Inspection(
                    connectors,
                    Set.of(),
                    never,
                    words.contains("stop"),
                    never ? Optional.of("its only test is false") : Optional.empty());
        }
    }

    private PolicyReading read(String rules) {
        return read(rules, Optional.of(new Words()));
    }

    private PolicyReading read(String rules, Optional<RuleCompiler> compiler) {
        try {
            Path file = Files.writeString(
                    conf.resolve("mailflow.xml"),
                    "<mailflow>\n<transportRules>\n" + rules + "\n</transportRules>\n</mailflow>\n");
            return MailFlowXmlReader.read(file, conf, Map.of(), Clock.systemUTC(), compiler);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private static List<String> problems(PolicyReading reading) {
        return reading.problems().stream().map(PolicyProblem::toString).toList();
    }

    @Test
    void ruleShouldSayWhatItsAttributesSay() throws IOException {
        Files.writeString(conf.resolve("rules/a.sieve"), "stop");

        PolicyReading reading = read(
                """
                <rule name="A b" mode="audit" activates="2026-12-01T00:00:00Z" expires="2027-01-01T00:00:00Z" onError="ignore"
                      atSmtp="true" nullSender="true"><script>file://conf/rules/a.sieve</script></rule>
                <rule name="B"><sieve>keep</sieve></rule>""");

        assertThat(reading.problems()).isEmpty();
        List<TransportRule> rules =
                reading.policy().orElseThrow().transportRules().all();
        assertThat(rules).extracting(TransportRule::name).containsExactly("A b", "B");
        TransportRule first = rules.get(0);
        assertThat(first.mode()).isEqualTo(TransportRule.Mode.AUDIT);
        assertThat(first.activates()).contains(Instant.parse("2026-12-01T00:00:00Z"));
        assertThat(first.expires()).contains(Instant.parse("2027-01-01T00:00:00Z"));
        assertThat(first.onError()).isEqualTo(TransportRule.OnError.IGNORE);
        assertThat(first.atSmtp()).isTrue();
        assertThat(first.nullSender()).isTrue();
        TransportRule second = rules.get(1);
        assertThat(second.mode()).isEqualTo(TransportRule.Mode.ENFORCE);
        assertThat(second.onError()).isEqualTo(TransportRule.OnError.DEFER);
        assertThat(second.atSmtp() || second.nullSender()).isFalse();
        assertThat(second.location()).hasToString("mailflow.xml:5");
    }

    @Test
    void everyMistakeOfEveryScriptShouldBeToldWithFileAndLine() throws IOException {
        Files.writeString(conf.resolve("rules/a.sieve"), "keep\nerror\nkeep\nerror\n");

        PolicyReading reading = read(
                """
                <rule name="A"><script>file://conf/rules/a.sieve</script></rule>
                <rule name="B"><sieve><![CDATA[
                  keep
                  error
                ]]></sieve></rule>
                <rule name="B"><sieve>keep</sieve></rule>
                <rule name="C"><script>file://conf/rules/none.sieve</script></rule>
                <rule name="D" activates="2027-01-01T00:00:00Z" expires="2026-01-01T00:00:00Z"><sieve>keep</sieve></rule>""");

        assertThat(reading.policy()).isEmpty();
        assertThat(problems(reading))
                .satisfiesExactly(
                        problem -> assertThat(problem).startsWith("mailflow.xml:6: error: rule 'B': found an error"),
                        problem -> assertThat(problem)
                                .startsWith("mailflow.xml:8: error: attribute name of <rule>: found 'B' a second time")
                                .endsWith("the first is on line 4"),
                        problem -> assertThat(problem)
                                .startsWith("mailflow.xml:9: error: <script>: found 'file://conf/rules/none.sieve', but"
                                        + " there is no such file"),
                        problem ->
                                assertThat(problem).startsWith("mailflow.xml:10: error: attribute expires of <rule>"),
                        problem -> assertThat(problem).startsWith("rules/a.sieve:2: error: rule 'A': found an error"),
                        problem -> assertThat(problem).startsWith("rules/a.sieve:4: error: rule 'A': found an error"));
    }

    @Test
    void mistakesOfARuleThatIsNotInForceShouldBeWarnings() {
        PolicyReading reading = read(
                """
                <rule name="A" mode="off"><sieve>error</sieve></rule>
                <rule name="B" enabled="false"><script>file://conf/rules/none.sieve</script></rule>""");

        assertThat(reading.policy()).isPresent();
        assertThat(reading.problems())
                .hasSize(2)
                .allMatch(problem -> problem.severity() == PolicyProblem.Severity.WARNING);
    }

    @Test
    void scriptsAndListsShouldBeWatched() throws IOException {
        Files.writeString(conf.resolve("rules/a.sieve"), "list file://conf/vips.txt");
        Files.writeString(conf.resolve("vips.txt"), "# friends\nann@contoso.com  # boss\n\nbob@contoso.com\n");

        PolicyReading reading = read("<rule name=\"A\"><script>file://conf/rules/a.sieve</script></rule>");

        assertThat(reading.problems()).isEmpty();
        assertThat(lists).containsExactly(List.of("ann@contoso.com", "bob@contoso.com"));
        assertThat(reading.files()).contains(conf.resolve("rules/a.sieve"), conf.resolve("vips.txt"));
    }

    @Test
    void unreadableListShouldBeAMistakeOfItsLine() {
        assertThat(problems(read("<rule name=\"A\"><sieve>\nkeep\nlist file://conf/none.txt</sieve></rule>")))
                .containsExactly("mailflow.xml:5: error: file://conf/none.txt: there is no such file");
    }

    @Test
    void missingCompilerShouldBeAnErrorOfAPolicyWithRulesOnly() {
        assertThat(problems(read("<rule name=\"A\"><sieve>keep</sieve></rule>", Optional.empty())))
                .singleElement()
                .asString()
                .startsWith("mailflow.xml:2: error:")
                .contains("mailflow-transport-rules");
        assertThat(read("", Optional.empty()).problems()).isEmpty();
    }

    @Test
    void checkShouldFindRulesThatCannotMeanWhatTheySay() {
        PolicyReading reading = read(
                """
                <rule name="unknown"><sieve>route nowhere</sieve></rule>
                <rule name="audited" mode="audit"><sieve>route nowhere</sieve></rule>
                <rule name="off" mode="off"><sieve>keep</sieve></rule>
                <rule name="expired" expires="2020-01-01T00:00:00Z"><sieve>keep</sieve></rule>
                <rule name="never"><sieve>never</sieve></rule>
                <rule name="stop"><sieve>stop</sieve></rule>
                <rule name="shadowed"><sieve>keep</sieve></rule>
                <rule name="for reports" nullSender="true"><sieve>keep</sieve></rule>
                <rule name="known"><sieve>route internet</sieve></rule>""");

        assertThat(PolicyCheck.check(reading.policy().orElseThrow(), PolicyXml.NOW))
                .extracting(PolicyProblem::toString)
                .satisfiesExactly(
                        problem -> assertThat(problem)
                                .startsWith("mailflow.xml:3: error: transport rule 'unknown' names outbound connector"
                                        + " 'nowhere', which the policy does not have"),
                        problem -> assertThat(problem).startsWith("mailflow.xml:4: warning: transport rule 'audited'"),
                        problem -> assertThat(problem).contains("'off' has no effect now: its mode is off"),
                        problem -> assertThat(problem).contains("'expired' has no effect now: it expired at 2020"),
                        problem -> assertThat(problem).contains("'never' never does anything: its only test is false"),
                        problem -> assertThat(problem)
                                .contains("'shadowed' is never asked: rule 'stop' at mailflow.xml:8"),
                        problem -> assertThat(problem).contains("'known' is never asked"));
    }
}
