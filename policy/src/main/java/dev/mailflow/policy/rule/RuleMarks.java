/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rule;

/** Names of the mail attributes by which rules speak to what comes after them. None of them can come with a mail by SMTP. */
public final class RuleMarks {
    /** A string: the outbound connector that a rule chose. */
    public static final String ROUTE = "mailflow.route";

    /** A string: the rule that chose it. */
    public static final String ROUTE_RULE = "mailflow.route.rule";

    /** A string, the policy's version: the rules have judged this mail, and what they said is done. */
    public static final String APPLIED = "mailflow.rules";

    /** A string: the mail is a copy for some recipients, on its way back to where the rules judged it. */
    public static final String COPY = "mailflow.rules.copy";

    private RuleMarks() {}
}
