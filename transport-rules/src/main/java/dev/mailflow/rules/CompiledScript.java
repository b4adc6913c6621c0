/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.io.IOException;
import java.io.UncheckedIOException;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.rule.RuleScript;
import dev.mailflow.policy.rule.RuleScriptException;
import dev.mailflow.policy.rule.RuleVerdict;

/** A script that is ready to run. */
record CompiledScript(
        Step.Block block, int variables, boolean dependsOnRecipient, Inspection inspection, SourceLocation start)
        implements RuleScript {

    @Override
    public RuleVerdict run(Run run) throws RuleScriptException {
        Execution execution = new Execution(run, variables);
        try {
            block.run(execution);
        } catch (IOException e) {
            throw new RuleScriptException(start, "the message cannot be read: " + e.getMessage(), e);
        } catch (UncheckedIOException e) {
            throw new RuleScriptException(
                    start, "the message cannot be read: " + e.getCause().getMessage(), e);
        } catch (RuntimeException | StackOverflowError e) {
            // whatever a message does to us, the rule decides what becomes of it
            throw new RuleScriptException(start, "the script failed unexpectedly: " + e, e);
        }
        return new RuleVerdict(execution.actions(), execution.message().header(), execution.stopped());
    }
}
