/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.util.LinkedHashSet;
import java.util.Set;

/** The texts of an element that may be repeated, in file order; saying the same twice is doubtful but harmless. */
final class RepeatedTexts {
    private RepeatedTexts() {}

    static <T> Set<T> of(Node<Void> parent, ElementRule<T> rule, Problems problems) {
        Set<T> values = new LinkedHashSet<>();
        parent.all(rule).forEach(node -> node.said().ifPresent(value -> {
            if (!values.add(value)) {
                problems.warning(
                        node.atText(),
                        "<" + rule.name() + ">: found " + node.shownText() + " a second time, expected it once");
            }
        }));
        return values;
    }
}
