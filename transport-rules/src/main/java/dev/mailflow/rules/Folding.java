/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

import dev.mailflow.rules.syntax.Argument;
import dev.mailflow.rules.syntax.Call;

/** Decides lists of tests as far as that can be done without a message. */
final class Folding {
    private Folding() {}

    static Condition anyOf(List<Condition> all) {
        List<Condition> open = new ArrayList<>();
        for (Condition one : all) {
            Optional<Boolean> constant = one.constant();
            if (constant.isEmpty()) {
                open.add(one);
            } else if (constant.get()) {
                return open.isEmpty() ? one : constantly(true, all);
            }
        }
        if (open.isEmpty()) {
            return constantly(false, all);
        }
        Condition[] conditions = all.toArray(Condition[]::new);
        return run -> {
            for (Condition condition : conditions) {
                if (condition.holds(run)) {
                    return true;
                }
            }
            return false;
        };
    }

    /** @param calls what the conditions were compiled from */
    static Condition allOf(List<Call> calls, List<Condition> all) {
        for (Condition one : all) {
            if (one.constant().equals(Optional.of(false))) {
                return constantly(false, all);
            }
        }
        if (contradict(calls)) {
            return constantly(false, all);
        }
        if (all.stream().allMatch(one -> one.constant().isPresent())) {
            return constantly(true, all);
        }
        Condition[] conditions = all.toArray(Condition[]::new);
        return run -> {
            for (Condition condition : conditions) {
                if (!condition.holds(run)) {
                    return false;
                }
            }
            return true;
        };
    }

    /** Known beforehand, and still told test by test to people who ask why. */
    private static Condition constantly(boolean result, List<Condition> all) {
        return new Condition() {
            @Override
            public boolean holds(Execution run)
                    throws dev.mailflow.policy.rule.RuleScriptException, java.io.IOException {
                if (run.isTraced()) {
                    for (Condition one : all) {
                        one.holds(run);
                    }
                }
                return result;
            }

            @Override
            public Optional<Boolean> constant() {
                return Optional.of(result);
            }
        };
    }

    /**
     * Whether the tests cannot all be true: one is the negation of another, a size must be over and under limits that leave
     * nothing between them, or the one envelope sender or recipient must equal two things.
     */
    private static boolean contradict(List<Call> calls) {
        Set<String> asserted = new HashSet<>();
        Set<String> denied = new HashSet<>();
        long over = -1;
        long under = Long.MAX_VALUE;
        for (Call call : flattened(calls)) {
            boolean not = call.name().equals("not") && call.tests().size() == 1;
            if (hasVariables(call)) {
                // the same words may mean something else by the next test: a match in between fills variables
                continue;
            }
            (not ? denied : asserted).add(canonical(not ? call.tests().get(0) : call));
            if (call.name().equals("size")
                    && call.arguments().size() == 2
                    && call.arguments().get(0) instanceof Argument.Tag tag
                    && call.arguments().get(1) instanceof Argument.Amount number) {
                if (tag.name().equals(":over")) {
                    over = Math.max(over, number.value());
                } else {
                    under = Math.min(under, number.value());
                }
            }
        }
        return asserted.stream().anyMatch(denied::contains) || over >= under - 1 || twoSenders(flattened(calls));
    }

    private static boolean hasVariables(Call call) {
        for (Argument argument : call.arguments()) {
            if (argument instanceof Argument.Strings strings
                    && strings.items().stream().anyMatch(item -> item.text().contains("${"))) {
                return true;
            }
        }
        return call.tests().stream().anyMatch(Folding::hasVariables);
    }

    private static List<Call> flattened(List<Call> calls) {
        List<Call> all = new ArrayList<>();
        for (Call call : calls) {
            if (call.name().equals("allof")) {
                all.addAll(flattened(call.tests()));
            } else {
                all.add(call);
            }
        }
        return all;
    }

    private static String canonical(Call call) {
        return call.name()
                + call.arguments().stream()
                        .map(argument -> argument instanceof Argument.Tag tag
                                ? tag.name()
                                : argument instanceof Argument.Amount number
                                        ? String.valueOf(number.value())
                                        : String.valueOf(((Argument.Strings) argument).texts()))
                        .collect(Collectors.joining(" ", " ", ""))
                + call.tests().stream().map(Folding::canonical).collect(Collectors.joining(",", "(", ")"));
    }

    /** {@code envelope :is "from"} with keys that have nothing in common. */
    private static boolean twoSenders(List<Call> calls) {
        Optional<Set<String>> possible = Optional.empty();
        for (Call call : calls) {
            Optional<Set<String>> keys = envelopeSender(call);
            if (keys.isPresent()) {
                if (possible.isPresent()) {
                    Set<String> both = new HashSet<>(possible.get());
                    both.retainAll(keys.get());
                    possible = Optional.of(both);
                } else {
                    possible = keys;
                }
            }
        }
        return possible.isPresent() && possible.get().isEmpty();
    }

    private static Optional<Set<String>> envelopeSender(Call call) {
        if (!call.name().equals("envelope")) {
            return Optional.empty();
        }
        List<List<String>> strings = new ArrayList<>();
        for (Argument argument : call.arguments()) {
            if (argument instanceof Argument.Strings list) {
                strings.add(list.texts());
            } else if (!(argument instanceof Argument.Tag tag)
                    || !(tag.name().equals(":is") || tag.name().equals(":all"))) {
                return Optional.empty();
            }
        }
        return strings.size() == 2
                        && strings.get(0).size() == 1
                        && strings.get(0).get(0).equalsIgnoreCase("from")
                        && strings.get(1).stream().noneMatch(key -> key.contains("${"))
                ? Optional.of(strings.get(1).stream()
                        .map(key -> key.toLowerCase(Locale.ROOT))
                        .collect(Collectors.toSet()))
                : Optional.empty();
    }
}
