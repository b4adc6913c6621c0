/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.rule.RuleScriptException;
import dev.mailflow.rules.match.Collation;
import dev.mailflow.rules.match.Match;
import dev.mailflow.rules.match.Relation;
import dev.mailflow.rules.match.Value;
import dev.mailflow.rules.syntax.Argument;

/**
 * The match type, comparator and keys of one test, compiled: keys without variables become one {@link Match} now, others
 * become one on each run.
 */
final class Matching {
    /** Entries of the lists that one test names. */
    static final int MAX_LISTED = 5_000_000;

    private static final String GROUP = "match type";

    /** The tags that every comparing test knows. */
    static final List<Arguments.Tag> TAGS = List.of(
            Arguments.Tag.flag(":is", GROUP),
            Arguments.Tag.flag(":contains", GROUP),
            Arguments.Tag.flag(":matches", GROUP),
            Arguments.Tag.flag(":regex", GROUP).needs(Extension.REGEX),
            Arguments.Tag.flag(":value", GROUP).needs(Extension.RELATIONAL).with(Arguments.Follows.STRING),
            Arguments.Tag.flag(":count", GROUP).needs(Extension.RELATIONAL).with(Arguments.Follows.STRING),
            Arguments.Tag.flag(":list", GROUP).needs(Extension.EXTLISTS),
            Arguments.Tag.flag(":comparator", "comparator").with(Arguments.Follows.STRING));

    private final Match.Kind kind;
    private final Optional<Match> ready;
    private final List<Text> keys;
    private final Set<String> constants;
    private final SourceLocation location;
    private final boolean captures;

    private Matching(
            Match.Kind kind,
            Optional<Match> ready,
            List<Text> keys,
            Set<String> constants,
            SourceLocation location,
            boolean captures) {
        this.kind = kind;
        this.ready = ready;
        this.keys = List.copyOf(keys);
        this.constants = constants;
        this.location = location;
        this.captures = captures;
    }

    /** Reads the tags, and takes the next argument as keys; empty when something was wrong and was told. */
    static Optional<Matching> read(Compilation compilation, Arguments arguments, String what) {
        return read(compilation, arguments, arguments.strings(what));
    }

    static Optional<Matching> read(Compilation compilation, Arguments arguments, Optional<Argument.Strings> given) {
        Optional<Match.Kind> kind = kind(compilation, arguments);
        if (kind.isEmpty() || given.isEmpty()) {
            return Optional.empty();
        }
        return of(compilation, kind.get(), given.get(), compilation.has(Extension.VARIABLES));
    }

    private static Optional<Matching> of(
            Compilation compilation, Match.Kind kind, Argument.Strings given, boolean captures) {
        SourceLocation location = compilation.location(given.at());
        if (kind.type() == Match.Type.LIST) {
            List<String> entries = new ArrayList<>();
            boolean good = true;
            for (Argument.Item item : given.items()) {
                Optional<List<String>> list = list(compilation, item);
                good &= list.isPresent();
                list.ifPresent(entries::addAll);
                if (entries.size() > MAX_LISTED) {
                    compilation.error(item.at(), "found more than " + MAX_LISTED + " entries in the lists of one test");
                    return Optional.empty();
                }
            }
            return good
                    ? Optional.of(new Matching(
                            kind, Optional.of(Match.of(kind, entries)), List.of(), Set.of(), location, false))
                    : Optional.empty();
        }
        List<Text> keys = compilation.texts(given);
        boolean good = true;
        if (kind.type() == Match.Type.REGEX) {
            for (int i = 0; i < keys.size(); i++) {
                good &= isExpression(compilation, kind, given.items().get(i), keys.get(i));
            }
        }
        if (!good) {
            return Optional.empty();
        }
        List<String> constants = new ArrayList<>(keys.size());
        keys.forEach(key -> key.constant().ifPresent(constants::add));
        boolean allConstant = constants.size() == keys.size();
        return Optional.of(new Matching(
                kind,
                allConstant ? Optional.of(Match.of(kind, constants)) : Optional.empty(),
                allConstant ? List.of() : keys,
                allConstant && constants.size() < 1_000 ? new HashSet<>(constants) : Set.of(),
                location,
                captures && (kind.type() == Match.Type.MATCHES || kind.type() == Match.Type.REGEX)));
    }

    private static boolean isExpression(Compilation compilation, Match.Kind kind, Argument.Item item, Text key) {
        if (key.constant().isPresent()) {
            try {
                Match.of(kind, List.of(key.constant().get()));
            } catch (IllegalArgumentException e) {
                compilation.error(item.at(), e.getMessage());
                return false;
            }
        }
        return true;
    }

    /** The entries of a list that must be there (RFC 6134 section 2.2). */
    static Optional<List<String>> list(Compilation compilation, Argument.Item item) {
        Optional<String> name = compilation.constant(item, "the name of a list");
        if (name.isEmpty()) {
            return Optional.empty();
        }
        try {
            Optional<List<String>> entries = compilation.lists().read(name.get());
            if (entries.isEmpty()) {
                compilation.error(
                        item.at(),
                        "found '" + Compilation.shortened(name.get())
                                + "', expected the URL of a list file ('file://conf/vips.txt')");
            }
            return entries;
        } catch (IOException e) {
            compilation.error(
                    item.at(),
                    "the list '" + Compilation.shortened(name.get()) + "' cannot be read: " + e.getMessage());
            return Optional.empty();
        }
    }

    private static Optional<Match.Kind> kind(Compilation compilation, Arguments arguments) {
        Match.Type type = Match.Type.IS;
        Optional<Relation> relation = Optional.empty();
        for (Match.Type one : Match.Type.values()) {
            String tag = ":" + Collation.lower(one.name());
            if (arguments.has(tag)) {
                type = one;
                Optional<Argument.Item> operator = arguments.tagString(tag);
                if (operator.isPresent()) {
                    relation = Relation.named(operator.get().text());
                    if (relation.isEmpty()) {
                        compilation.error(
                                operator.get().at(),
                                "found '" + Compilation.shortened(operator.get().text())
                                        + "', expected \"gt\", \"ge\", \"lt\", \"le\", \"eq\" or \"ne\"");
                        return Optional.empty();
                    }
                }
            }
        }
        Optional<Collation> collation = Optional.of(Collation.CASEMAP);
        Optional<Argument.Item> comparator = arguments.tagString(":comparator");
        if (comparator.isPresent()) {
            Argument.Item named = comparator.get();
            collation = Collation.named(named.text());
            if (collation.isEmpty()) {
                compilation.error(
                        named.at(),
                        "found comparator '" + Compilation.shortened(named.text())
                                + "', expected \"i;octet\", \"i;ascii-casemap\" or \"i;ascii-numeric\"");
                return Optional.empty();
            }
            if (collation.get() == Collation.NUMERIC) {
                compilation.needs(Extension.NUMERIC, named.at(), "the comparator \"i;ascii-numeric\"");
                if (type == Match.Type.CONTAINS || type == Match.Type.MATCHES || type == Match.Type.REGEX) {
                    compilation.error(
                            named.at(),
                            "the comparator \"i;ascii-numeric\" compares whole numbers, expected ':is', ':value' or ':count'");
                    return Optional.empty();
                }
            }
        }
        if (type == Match.Type.COUNT && collation.get() != Collation.NUMERIC) {
            compilation.warning(
                    arguments.at(":count"),
                    "':count' compares the count as text, so that \"10\" is less than \"9\"; add ':comparator \"i;ascii-numeric\"'");
        }
        return Optional.of(new Match.Kind(type, collation.get(), relation));
    }

    boolean isCount() {
        return kind.type() == Match.Type.COUNT;
    }

    Match.Kind kind() {
        return kind;
    }

    /** The keys, when they are few and have no variables; else nothing. */
    Set<String> constants() {
        return constants;
    }

    /** The match, made now when the keys have variables. */
    Match match(Execution run) throws RuleScriptException {
        if (ready.isPresent()) {
            return ready.get();
        }
        try {
            return Match.of(kind, Text.in(keys, run));
        } catch (IllegalArgumentException e) {
            throw new RuleScriptException(location, e.getMessage(), e);
        }
    }

    /** What wildcards stood for is remembered only where somebody can ask. */
    Match.Captured captured(Execution run) {
        return captures ? run::captured : Match.UNHEARD;
    }

    boolean matches(Execution run, Value value) throws RuleScriptException {
        return match(run).matches(value, captured(run));
    }

    /** Whether one of the values matches, or with {@code :count} their number. */
    boolean matches(Execution run, List<Value> values) throws RuleScriptException {
        if (isCount()) {
            return matchesCount(run, values.size());
        }
        Match match = match(run);
        Match.Captured captured = captured(run);
        for (Value value : values) {
            if (match.matches(value, captured)) {
                return true;
            }
        }
        return false;
    }

    boolean matchesCount(Execution run, int count) throws RuleScriptException {
        return matches(run, Value.of(String.valueOf(count)));
    }
}
