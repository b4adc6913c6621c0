/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rule;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.header.HeaderSection;

/**
 * What all rules together make of a message.
 *
 * @param shares what becomes of whom: recipients are apart only where it differs. Empty when the mail is deferred
 * @param hits rules that hit, in order, those in audit mode too
 * @param failures rules whose script failed, in order
 * @param deferral the failure for which the whole mail has to wait: nothing of the outcome is done then
 */
public record RuleOutcome(List<Share> shares, List<Hit> hits, List<Failure> failures, Optional<Failure> deferral) {
    public RuleOutcome {
        shares = List.copyOf(shares);
        hits = List.copyOf(hits);
        failures = List.copyOf(failures);
    }

    /** What becomes of some recipients. */
    public sealed interface Disposition {
        /** They get the message. */
        record Continue() implements Disposition {}

        /** They do not get it, and nobody is told. */
        record Discard(String rule) implements Disposition {}

        /**
         * They do not get it, and the sender learns why.
         *
         * @param atSmtp whether the client may be told before the message is accepted
         */
        record Reject(String rule, String reason, boolean atSmtp) implements Disposition {}

        /**
         * They do not get it; it waits in a mail repository.
         *
         * @param repository see {@link RuleAction.Quarantine}
         */
        record Quarantine(String rule, String repository) implements Disposition {}
    }

    /** An outbound connector and the rule that named it last. */
    public record RuledRoute(String connector, String rule) {}

    /**
     * Recipients who share one fate.
     *
     * @param recipients never empty; those that rules added too
     * @param header the message's header for them: the very same object when no rule edited it
     * @param route the connector they leave by; empty: the policy's choice
     * @param requireTls whether they leave over TLS or not at all
     * @param scl the spam confidence level that a rule set; the header has it too
     */
    public record Share(
            Disposition disposition,
            List<MailAddress> recipients,
            HeaderSection header,
            Optional<RuledRoute> route,
            boolean requireTls,
            OptionalInt scl) {
        public Share {
            recipients = List.copyOf(recipients);
        }

        public boolean continues() {
            return disposition instanceof Disposition.Continue;
        }
    }

    /**
     * A rule that hit.
     *
     * @param actions what it did, or in audit mode would have done; each once
     * @param recipients for how many
     * @param stopped whether the rules after it are not asked for some of them
     */
    public record Hit(TransportRule rule, List<RuleAction> actions, int recipients, boolean stopped) {
        public Hit {
            actions = List.copyOf(actions);
        }

        /** What there is to publish of it. */
        public MailFlowEvent.RuleHit event(MailFlowEvent.MessageRef message) {
            return new MailFlowEvent.RuleHit(
                    message,
                    rule.name(),
                    rule.mode().toString(),
                    actions.stream().map(RuleAction::script).toList(),
                    recipients,
                    stopped);
        }
    }

    /** A rule whose script failed. */
    public record Failure(TransportRule rule, String reason) {}

    /**
     * The rejection to tell the client at the end of DATA: every recipient is rejected, by rules that may say so there.
     */
    public Optional<Disposition.Reject> refusal() {
        boolean all = deferral.isEmpty()
                && !shares.isEmpty()
                && shares.stream()
                        .allMatch(share ->
                                share.disposition() instanceof Disposition.Reject rejected && rejected.atSmtp());
        return all ? Optional.of((Disposition.Reject) shares.get(0).disposition()) : Optional.empty();
    }
}
