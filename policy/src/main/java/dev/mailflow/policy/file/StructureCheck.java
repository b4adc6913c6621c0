/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.file.ElementRule.Child;

/** Holds a document against the {@link Grammar} and reports everything that does not fit. */
final class StructureCheck {
    private final String file;
    private final References references;
    private final Problems problems;

    StructureCheck(String file, References references, Problems problems) {
        this.file = file;
        this.references = references;
        this.problems = problems;
    }

    /** The document's root; empty when it is another element. */
    <T> Optional<Node<T>> check(LocatedElement root, ElementRule<T> rule) {
        if (!root.name().equals(rule.name())) {
            problems.error(
                    at(root.line()), "found <" + root.name() + "> as the root element, expected <" + rule.name() + ">");
            return Optional.empty();
        }
        return Optional.of(node(root, rule));
    }

    private SourceLocation at(int line) {
        return new SourceLocation(file, line);
    }

    private <T> Node<T> node(LocatedElement element, ElementRule<T> rule) {
        Map<String, Value<?>> attributes = attributes(element, rule);
        List<Node<?>> children = children(element, rule);
        Optional<Value<T>> text = rule.text().map(type -> text(element, type));
        if (rule.text().isEmpty() && !element.text().value().isBlank()) {
            problems.error(
                    at(element.text().line()),
                    "found text " + Quoted.of(element.text().value()) + " in <" + element.name() + ">, expected "
                            + expectedChildren(rule));
        }
        return new Node<>(rule, at(element.line()), text, attributes, children);
    }

    private Map<String, Value<?>> attributes(LocatedElement element, ElementRule<?> rule) {
        Map<String, Value<?>> values = new LinkedHashMap<>();
        element.attributes().forEach((name, text) -> rule.attributes().stream()
                .filter(attribute -> attribute.name().equals(name))
                .findAny()
                .ifPresentOrElse(
                        attribute -> values.put(
                                name,
                                value("attribute " + name + " of <" + element.name() + ">", text, attribute.type())),
                        () -> unknownAttribute(element, name, text.line(), rule)));
        rule.attributes().stream()
                .filter(attribute -> attribute.required() && !values.containsKey(attribute.name()))
                .forEach(attribute -> problems.error(
                        at(element.line()),
                        "found <" + element.name() + "> without attribute " + attribute.name() + ", expected "
                                + attribute.name() + "=\"…\" with "
                                + attribute.type().expected()));
        return values;
    }

    private void unknownAttribute(LocatedElement element, String name, int line, ElementRule<?> rule) {
        Set<String> known =
                rule.attributes().stream().map(Attribute::name).collect(Collectors.toCollection(LinkedHashSet::new));
        problems.error(
                at(line),
                "found unknown attribute '" + name + "' on <" + element.name() + ">, expected "
                        + (known.isEmpty() ? "no attribute" : "one of " + String.join(", ", known))
                        + suggestion(name, known));
    }

    private <T> Value<T> text(LocatedElement element, ValueType<T> type) {
        return value("<" + element.name() + ">", element.text(), type);
    }

    private <T> Value<T> value(String where, LocatedElement.Text text, ValueType<T> type) {
        SourceLocation location = at(text.line());
        boolean script = type.handling() == ValueType.Handling.SCRIPT;
        boolean secret = type.handling() == ValueType.Handling.SECRET;
        References.Resolved resolved =
                script ? new References.Resolved(text.value(), false, List.of()) : references.resolve(text.value());
        String shown = shown(text.value(), resolved.referenced(), secret);
        if (!resolved.faults().isEmpty()) {
            resolved.faults().forEach(fault -> problems.error(location, where + ": " + fault));
            return new Value<>(Optional.empty(), shown, location);
        }
        if (secret && !resolved.referenced() && !resolved.text().isEmpty()) {
            problems.warning(
                    location,
                    where + ": found a secret in the file itself, where whoever reads the file reads it;"
                            + " expected ${env:NAME} or ${file:path}");
        }
        try {
            T parsed = type.parser()
                    .parse(secret ? resolved.text() : resolved.text().strip());
            return new Value<>(Optional.of(parsed), shown, location);
        } catch (ValueType.Hint e) {
            problems.error(
                    location, where + ": found " + shown + ", expected " + type.expected() + "; " + e.getMessage());
        } catch (IllegalArgumentException e) {
            // Its message repeats the value.
            problems.error(location, where + ": found " + shown + ", expected " + type.expected());
        }
        return new Value<>(Optional.empty(), shown, location);
    }

    private static String shown(String text, boolean referenced, boolean secret) {
        if (secret) {
            return referenced ? "the secret from a reference" : text.isEmpty() ? "nothing" : "a secret";
        }
        if (referenced) {
            return "the value of " + Quoted.unquoted(text);
        }
        return text.isBlank() ? "nothing" : Quoted.of(text);
    }

    private List<Node<?>> children(LocatedElement element, ElementRule<?> rule) {
        List<Node<?>> nodes = new ArrayList<>();
        Map<String, Integer> firstLines = new HashMap<>();
        for (LocatedElement inner : element.children()) {
            Optional<Child> child = rule.children().stream()
                    .filter(candidate -> candidate.rule().name().equals(inner.name()))
                    .findAny();
            if (child.isEmpty()) {
                unknownElement(inner, element, rule);
                continue;
            }
            Node<?> node = node(inner, child.get().rule());
            Integer firstLine = firstLines.putIfAbsent(inner.name(), inner.line());
            if (firstLine == null || child.get().repeatable()) {
                nodes.add(node);
            } else {
                problems.error(
                        at(inner.line()),
                        "found a second <" + inner.name() + "> in <" + element.name()
                                + ">, expected one; the first is on line " + firstLine);
            }
        }
        rule.children().stream()
                .filter(child ->
                        child.required() && !firstLines.containsKey(child.rule().name()))
                .forEach(child -> problems.error(
                        at(element.line()),
                        "found <" + element.name() + "> without <"
                                + child.rule().name() + ">, expected one"));
        return nodes;
    }

    private void unknownElement(LocatedElement found, LocatedElement parent, ElementRule<?> rule) {
        Set<String> known = rule.children().stream()
                .map(child -> child.rule().name())
                .collect(Collectors.toCollection(LinkedHashSet::new));
        Set<String> homes = new LinkedHashSet<>();
        homesOf(found.name(), Grammar.MAILFLOW, homes);
        String hint =
                homes.isEmpty() ? suggestion(found.name(), known) : "; it belongs in " + String.join(" or ", homes);
        problems.error(
                at(found.line()),
                "found unknown element <" + found.name() + "> in <" + parent.name() + ">, expected "
                        + expectedChildren(rule) + hint);
    }

    private static void homesOf(String name, ElementRule<?> rule, Set<String> homes) {
        for (Child child : rule.children()) {
            if (child.rule().name().equals(name)) {
                homes.add("<" + rule.name() + ">");
            }
            homesOf(name, child.rule(), homes);
        }
    }

    private static String expectedChildren(ElementRule<?> rule) {
        if (rule.text().isPresent()) {
            return "text only: " + rule.text().get().expected();
        }
        List<String> names = rule.children().stream()
                .map(child -> "<" + child.rule().name() + ">")
                .toList();
        return switch (names.size()) {
            case 0 -> "nothing inside";
            case 1 -> "only " + names.get(0);
            default -> "any of " + String.join(", ", names);
        };
    }

    /** "; did you mean …?" when a known name is close enough to be meant. */
    private static String suggestion(String found, Set<String> known) {
        return known.stream()
                .filter(name -> distance(found, name) <= Math.max(1, name.length() / 3))
                .min((one, other) -> Integer.compare(distance(found, one), distance(found, other)))
                .map(name -> "; did you mean '" + name + "'?")
                .orElse("");
    }

    /** Optimal string alignment distance without regard to case. */
    static int distance(String one, String other) {
        String a = one.toLowerCase(Locale.ROOT);
        String b = other.toLowerCase(Locale.ROOT);
        if (Math.abs(a.length() - b.length()) > b.length()) {
            return Integer.MAX_VALUE;
        }
        int[][] cost = new int[a.length() + 1][b.length() + 1];
        for (int i = 0; i <= a.length(); i++) {
            for (int j = 0; j <= b.length(); j++) {
                if (i == 0 || j == 0) {
                    cost[i][j] = i + j;
                    continue;
                }
                boolean same = a.charAt(i - 1) == b.charAt(j - 1);
                cost[i][j] =
                        Math.min(cost[i - 1][j - 1] + (same ? 0 : 1), Math.min(cost[i - 1][j], cost[i][j - 1]) + 1);
                boolean swapped =
                        i > 1 && j > 1 && a.charAt(i - 1) == b.charAt(j - 2) && a.charAt(i - 2) == b.charAt(j - 1);
                if (swapped) {
                    cost[i][j] = Math.min(cost[i][j], cost[i - 2][j - 2] + 1);
                }
            }
        }
        return cost[a.length()][b.length()];
    }
}
