/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rule;

import java.util.List;

import org.apache.james.core.MailAddress;

/** Hears of every rule as it is tried, for people who ask why. */
public interface RuleObserver {
    /** Nobody asks; costs nothing. */
    RuleObserver NONE = new RuleObserver() {};

    /** The rule was not asked. */
    default void skipped(TransportRule rule, String why) {}

    /** The rule's script ran for these recipients; {@link RuleVerdict#hit()} says whether it hit. */
    default void answered(TransportRule rule, List<MailAddress> recipients, RuleVerdict verdict) {}

    /** The rule's script failed for these recipients. */
    default void failed(TransportRule rule, List<MailAddress> recipients, String reason) {}

    /** Who hears of the tests of the run that begins now. */
    default RuleScript.Trace trace(TransportRule rule) {
        return RuleScript.Trace.NONE;
    }
}
