/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.check;

import java.time.Instant;
import java.util.List;
import java.util.function.Consumer;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.connector.Route;
import dev.mailflow.policy.rule.RuleScript;
import dev.mailflow.policy.rule.TransportRule;

/**
 * Finds transport rules that never act, that others always stop, that are not in force, and that name connectors which mail
 * cannot leave by. The last is an error in a rule that is enforced: its mail would wait for good.
 */
final class TransportRulesCheck {
    private final MailFlowPolicy policy;
    private final Instant now;
    private final Consumer<PolicyProblem> problems;

    TransportRulesCheck(MailFlowPolicy policy, Instant now, Consumer<PolicyProblem> problems) {
        this.policy = policy;
        this.now = now;
        this.problems = problems;
    }

    void run() {
        List<TransportRule> rules = policy.transportRules().all();
        for (int i = 0; i < rules.size(); i++) {
            TransportRule rule = rules.get(i);
            if (!rule.enabled()) {
                continue;
            }
            rule.idleAt(now).ifPresent(why -> warning(rule, "has no effect now: " + why));
            routes(rule);
            RuleScript.Inspection inspection = rule.script().inspection();
            if (inspection.neverActs()) {
                warning(
                        rule,
                        "never does anything: " + inspection.neverWhy().orElse("no message can make its script act"));
            } else if (rule.mode() != TransportRule.Mode.OFF) {
                shadowed(rule, rules.subList(0, i));
            }
        }
    }

    private void routes(TransportRule rule) {
        for (RuleScript.Inspection.Named named : rule.script().inspection().connectors()) {
            Route route = policy.outboundConnectors().named(named.name(), "transport rule '" + rule.name() + "'");
            if (route instanceof Route.NoSuchConnector) {
                String message = route.reason() + "; its mail would wait, expected a connector that is enabled";
                problems.accept(
                        rule.isEnforcedAt(now)
                                ? PolicyProblem.error(named.location(), message)
                                : PolicyProblem.warning(named.location(), message));
            }
        }
    }

    /** Whether a rule before it stops all mail that it would be asked for. */
    private void shadowed(TransportRule rule, List<TransportRule> before) {
        before.stream()
                .filter(other -> other.enabled()
                        && other.mode() == TransportRule.Mode.ENFORCE
                        && other.activates().filter(now::isBefore).isEmpty()
                        && other.expires().isEmpty()
                        && (other.nullSender() || !rule.nullSender())
                        && other.script().inspection().alwaysStops())
                .findFirst()
                .ifPresent(other -> warning(
                        rule,
                        "is never asked: rule '" + other.name() + "' at " + other.location()
                                + " stops every message before it"));
    }

    private void warning(TransportRule rule, String what) {
        problems.accept(PolicyProblem.warning(rule.location(), "transport rule '" + rule.name() + "' " + what));
    }
}
