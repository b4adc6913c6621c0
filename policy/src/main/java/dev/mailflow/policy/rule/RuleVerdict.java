/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rule;

import java.util.List;

import dev.mailflow.policy.header.HeaderSection;

/**
 * What a script made of a message.
 *
 * @param actions in order, as executed; empty when the rule did not hit. An implicit keep is not among them
 * @param header the message's header after the script: the very same object when nothing was edited
 * @param stopped whether the rules after this one are not asked
 */
public record RuleVerdict(List<RuleAction> actions, HeaderSection header, boolean stopped) {
    public RuleVerdict {
        actions = List.copyOf(actions);
    }

    public boolean hit() {
        return stopped || !actions.isEmpty();
    }
}
