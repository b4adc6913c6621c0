/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.io.IOException;
import java.util.List;

import dev.mailflow.policy.rule.RuleScriptException;

/** A compiled command. */
@FunctionalInterface
interface Step {
    /** @throws IOException when the message cannot be read */
    Flow run(Execution run) throws RuleScriptException, IOException;

    /** What comes after a command. */
    enum Flow {
        /** The next command. */
        NEXT,
        /** Nothing. */
        STOP,
        /** What follows the loop that {@link Execution#leaving()} names. */
        BREAK
    }

    /**
     * Commands in order, with what can be said of them without a message.
     *
     * @param acts whether some message can make it act
     * @param ends whether nothing after it is ever run
     * @param stops whether it always ends with a stop
     */
    record Block(List<Step> steps, boolean acts, boolean ends, boolean stops) {
        static final Block EMPTY = new Block(List.of(), false, false, false);

        public Block {
            steps = List.copyOf(steps);
        }

        Flow run(Execution run) throws RuleScriptException, IOException {
            for (Step step : steps) {
                Flow flow = step.run(run);
                if (flow != Flow.NEXT) {
                    return flow;
                }
            }
            return Flow.NEXT;
        }
    }
}
