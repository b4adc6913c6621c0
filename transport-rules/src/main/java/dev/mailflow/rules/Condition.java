/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.io.IOException;
import java.util.Optional;

import dev.mailflow.policy.rule.RuleScriptException;

/** A compiled test. */
@FunctionalInterface
interface Condition {
    Condition TRUE = constantly(true);
    Condition FALSE = constantly(false);

    /** @throws IOException when the message cannot be read */
    boolean holds(Execution run) throws RuleScriptException, IOException;

    /** Its result when no message can change it. */
    default Optional<Boolean> constant() {
        return Optional.empty();
    }

    static Condition of(boolean result) {
        return result ? TRUE : FALSE;
    }

    private static Condition constantly(boolean result) {
        return new Condition() {
            @Override
            public boolean holds(Execution run) {
                return result;
            }

            @Override
            public Optional<Boolean> constant() {
                return Optional.of(result);
            }
        };
    }

    default Condition negated() {
        return constant().map(result -> of(!result)).orElse(run -> !holds(run));
    }
}
