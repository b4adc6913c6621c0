/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.rule.RuleCompiler;
import dev.mailflow.policy.rule.RuleScript;
import dev.mailflow.policy.rule.TransportRule;
import dev.mailflow.policy.rule.TransportRules;

/**
 * {@code <transportRules>}, its script files and the lists that scripts name. A rule that is disabled or off is compiled
 * all the same, but its mistakes are warnings and leave it out.
 */
final class TransportRulesSection {
    /** No administrator writes a script of this many bytes; whole policies are shorter. */
    private static final int LONGEST_SCRIPT = 1024 * 1024;

    private final ConfigurationFiles files;
    private final Problems problems;
    private final Optional<RuleCompiler> compiler;
    private final Map<String, SourceLocation> names = new HashMap<>();

    /** @param compiler empty: this installation has none */
    TransportRulesSection(Reading reading, Optional<RuleCompiler> compiler) {
        this.files = reading.files();
        this.problems = reading.problems();
        this.compiler = compiler;
    }

    TransportRules map(Node<Void> section) {
        List<Node<Void>> rules = section.all(Grammar.RULE);
        if (compiler.isEmpty() && !rules.isEmpty()) {
            problems.error(
                    section.location(),
                    "found <transportRules> with rules, but this installation has no compiler for their scripts;"
                            + " expected the jar mailflow-transport-rules in the class path");
        }
        List<TransportRule> mapped = new ArrayList<>();
        rules.forEach(node -> rule(node).ifPresent(mapped::add));
        return TransportRules.of(mapped);
    }

    private Optional<TransportRule> rule(Node<Void> node) {
        Optional<String> name = node.get(Grammar.RULE_NAME);
        name.ifPresent(known -> checkName(node, known));
        checkTimes(node);
        TransportRule.Mode mode = node.get(Grammar.MODE).orElse(TransportRule.Mode.ENFORCE);
        boolean inForce = node.enabled() && mode != TransportRule.Mode.OFF;
        Optional<RuleScript> script =
                source(node, name.orElse("(without a name)"), inForce).flatMap(source -> compile(source, inForce));
        if (name.isEmpty() || script.isEmpty()) {
            return Optional.empty();
        }
        return Optional.of(new TransportRule(
                name.get(),
                mode,
                node.enabled(),
                node.get(Grammar.ACTIVATES),
                node.get(Grammar.EXPIRES),
                node.get(Grammar.ON_ERROR).orElse(TransportRule.OnError.DEFER),
                node.get(Grammar.AT_SMTP).orElse(false),
                node.get(Grammar.NULL_SENDER).orElse(false),
                script.get(),
                node.location()));
    }

    private void checkName(Node<Void> node, String name) {
        SourceLocation first = names.putIfAbsent(name, node.location());
        if (first != null) {
            problems.error(
                    node.at(Grammar.RULE_NAME),
                    "attribute name of <rule>: found " + node.shown(Grammar.RULE_NAME)
                            + " a second time, expected a name of its own; the first is on line " + first.line());
        }
    }

    private void checkTimes(Node<Void> node) {
        boolean never = node.get(Grammar.ACTIVATES)
                .flatMap(begin -> node.get(Grammar.EXPIRES).filter(end -> !end.isAfter(begin)))
                .isPresent();
        if (never) {
            problems.error(
                    node.at(Grammar.EXPIRES),
                    "attribute expires of <rule>: found " + node.shown(Grammar.EXPIRES)
                            + ", which is not after activates (" + node.shown(Grammar.ACTIVATES)
                            + "); expected a later time");
        }
    }

    private Optional<RuleCompiler.Source> source(Node<Void> node, String rule, boolean inForce) {
        Optional<Node<FileUrl>> script = node.one(Grammar.SCRIPT);
        Optional<Node<String>> sieve = node.one(Grammar.SIEVE);
        if (script.isPresent() == sieve.isPresent()) {
            problems.error(
                    node.location(),
                    "found <rule> with "
                            + (script.isPresent() ? "both <script> and <sieve>" : "neither <script> nor <sieve>")
                            + ", expected one of them");
            return Optional.empty();
        }
        return script.isPresent()
                ? script.get().said().flatMap(url -> file(script.get(), rule, files.locate(url), inForce))
                : sieve.get()
                        .said()
                        .map(text ->
                                new RuleCompiler.Source(rule, text, sieve.get().atText()));
    }

    private Optional<RuleCompiler.Source> file(Node<FileUrl> node, String rule, Path file, boolean inForce) {
        String fault;
        try {
            byte[] content = files.read(file);
            if (content.length <= LONGEST_SCRIPT) {
                return Optional.of(
                        new RuleCompiler.Source(rule, text(content), new SourceLocation(files.nameOf(file), 1)));
            }
            fault = "it has " + content.length + " bytes, and " + LONGEST_SCRIPT + " are the most";
        } catch (IOException e) {
            fault = e.getMessage();
        }
        problems.missing(
                inForce,
                node.atText(),
                "<script>: found " + node.shownText() + ", but " + fault + "; expected a file with a Sieve script");
        return Optional.empty();
    }

    private static String text(byte[] content) throws IOException {
        try {
            String text = StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(content))
                    .toString();
            return text.startsWith("\uFEFF") ? text.substring(1) : text;
        } catch (CharacterCodingException e) {
            throw new IOException("it is not UTF-8 text", e);
        }
    }

    private Optional<RuleScript> compile(RuleCompiler.Source source, boolean inForce) {
        Consumer<PolicyProblem> told = problem -> {
            boolean error = problem.severity() == PolicyProblem.Severity.ERROR;
            problems.missing(error && inForce, problem.location(), problem.message());
        };
        return compiler.flatMap(language -> language.compile(source, this::list, told));
    }

    private Optional<List<String>> list(String name) throws IOException {
        FileUrl url;
        try {
            url = FileUrl.parse(name);
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
        return Optional.of(text(files.read(files.locate(url)))
                .lines()
                .map(line -> line.indexOf('#') < 0 ? line : line.substring(0, line.indexOf('#')))
                .map(String::strip)
                .filter(line -> !line.isEmpty())
                .toList());
    }
}
