/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;

import javax.mail.internet.AddressException;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.rule.RuleCompiler;
import dev.mailflow.policy.rule.RuleScript;
import dev.mailflow.rules.syntax.Argument;
import dev.mailflow.rules.syntax.Position;

/** What is known while one script is compiled. Used once, by one thread. */
final class Compilation {
    /** Names of variables in one script. */
    static final int MAX_VARIABLES = 256;

    private static final int SHOWN = 80;

    private final RuleCompiler.Source source;
    private final RuleCompiler.Lists lists;
    private final Consumer<PolicyProblem> problems;
    private final Set<Extension> required = EnumSet.noneOf(Extension.class);
    private final Map<String, Integer> variables = new HashMap<>();
    private final List<RuleScript.Inspection.Named> connectors = new ArrayList<>();
    private final Set<String> loops = new TreeSet<>();
    private int loopDepth;
    private boolean dependsOnRecipient;
    private boolean failed;

    Compilation(RuleCompiler.Source source, RuleCompiler.Lists lists, Consumer<PolicyProblem> problems) {
        this.source = source;
        this.lists = lists;
        this.problems = problems;
    }

    RuleCompiler.Lists lists() {
        return lists;
    }

    SourceLocation location(Position at) {
        return source.at(at.line());
    }

    void error(Position at, String message) {
        failed = true;
        problems.accept(PolicyProblem.error(location(at), told(at, message)));
    }

    void warning(Position at, String message) {
        problems.accept(PolicyProblem.warning(location(at), told(at, message)));
    }

    private String told(Position at, String message) {
        return "rule '" + source.rule() + "', column " + at.column() + ": " + message;
    }

    boolean failed() {
        return failed;
    }

    static String shortened(String text) {
        return text.length() <= SHOWN ? text : text.substring(0, SHOWN - 1) + "\u2026";
    }

    void require(Extension extension) {
        required.add(extension);
    }

    boolean has(Extension extension) {
        return required.contains(extension);
    }

    Set<String> extensions() {
        Set<String> names = new TreeSet<>();
        required.forEach(extension -> names.add(extension.capability()));
        return names;
    }

    /** @param what the tag, command or test in question */
    void needs(Extension extension, Position at, String what) {
        if (!has(extension)) {
            error(at, what + " needs: require \"" + extension.capability() + "\";");
            // told once
            required.add(extension);
        }
    }

    void dependOnRecipient() {
        dependsOnRecipient = true;
    }

    boolean dependsOnRecipient() {
        return dependsOnRecipient;
    }

    void connector(String name, Position at) {
        connectors.add(new RuleScript.Inspection.Named(name, location(at)));
    }

    List<RuleScript.Inspection.Named> connectors() {
        return connectors;
    }

    int variables() {
        return variables.size();
    }

    void enterLoop(Optional<String> name) {
        loopDepth++;
        name.ifPresent(loops::add);
    }

    void leaveLoop(Optional<String> name) {
        loopDepth--;
        name.ifPresent(loops::remove);
    }

    boolean inLoop(Optional<String> name) {
        return name.map(loops::contains).orElse(loopDepth > 0);
    }

    boolean isNestedLoop() {
        return loopDepth > 0;
    }

    Text text(Argument.Item item) {
        return StringText.read(this, item);
    }

    List<Text> texts(Argument.Strings strings) {
        List<Text> all = new ArrayList<>(strings.items().size());
        strings.items().forEach(item -> all.add(text(item)));
        return all;
    }

    /** The string, which must not have variables; else an error is told. */
    Optional<String> constant(Argument.Item item, String what) {
        Optional<String> constant = text(item).constant();
        if (constant.isEmpty()) {
            error(item.at(), "found a variable, expected " + what + " to be constant");
        }
        return constant;
    }

    /** RFC 5229 section 3: the slot of a variable; case does not count. */
    Optional<Integer> slot(String name, Position at) {
        String key = name.toLowerCase(Locale.ROOT);
        if (!variables.containsKey(key) && variables.size() == MAX_VARIABLES) {
            error(at, "found more than " + MAX_VARIABLES + " variables");
            return Optional.empty();
        }
        return Optional.of(variables.computeIfAbsent(key, unused -> variables.size()));
    }

    /** A header name in lower case; empty with an error told when it is none (RFC 5322 section 3.6.8). */
    Optional<String> fieldName(Argument.Item item) {
        Optional<String> name = constant(item, "the name of a header field");
        if (name.isPresent() && !isFieldName(name.get())) {
            error(
                    item.at(),
                    "found '" + shortened(name.get()) + "', expected the name of a header field, without colon");
            return Optional.empty();
        }
        return name;
    }

    static boolean isFieldName(String name) {
        return !name.isEmpty() && name.length() < 200 && name.chars().allMatch(c -> c > 32 && c < 127 && c != ':');
    }

    static Optional<MailAddress> address(String text) {
        try {
            return text.chars().anyMatch(c -> c <= 32 || c == 127)
                    ? Optional.empty()
                    : Optional.of(new MailAddress(text));
        } catch (AddressException e) {
            return Optional.empty();
        }
    }
}
