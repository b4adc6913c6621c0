/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import org.apache.james.core.MailAddress;

import dev.mailflow.delivery.HopUsed;
import dev.mailflow.delivery.RecipientOutcome.Deferred;
import dev.mailflow.delivery.SmtpReply;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvent.Hop;
import dev.mailflow.policy.event.MailFlowEvent.MessageRef;
import dev.mailflow.policy.event.MailFlowEvents;

/**
 * Tells of one attempt: one event per distinct outcome. That mail waits for a connection is told when it begins, not each time
 * it looks for one.
 */
record AttemptEvents(String connector, MessageRef message, int attempt) {

    void publish(DeliveryAttempt outcome, DeliveryState state, Instant now, MailFlowEvents events) {
        DeliveryAttempt.byOutcome(outcome.delivered())
                .forEach((delivered, recipients) -> events.publish(new MailFlowEvent.Delivered(
                        message,
                        connector,
                        addresses(recipients),
                        hop(delivered.used()),
                        delivered.reply().toString(),
                        attempt,
                        Duration.between(state.queued(), now))));
        boolean known = outcome.isPostponement() && outcome.waitingReason().equals(Optional.of(state.lastReason()));
        DeliveryAttempt.byOutcome(known ? Map.<MailAddress, Deferred>of() : outcome.waiting())
                .forEach((deferred, recipients) -> events.publish(new MailFlowEvent.Deferred(
                        message,
                        connector,
                        addresses(recipients),
                        deferred.hop().map(AttemptEvents::hop),
                        deferred.enhancedStatus(),
                        deferred.reason(),
                        deferred.reply().map(SmtpReply::toString),
                        attempt,
                        outcome.nextAttempt())));
        DeliveryAttempt.byOutcome(outcome.failed())
                .forEach((failed, recipients) -> events.publish(new MailFlowEvent.Failed(
                        message,
                        connector,
                        addresses(recipients),
                        failed.hop().map(AttemptEvents::hop),
                        failed.enhancedStatus(),
                        failed.reason(),
                        failed.reply().map(SmtpReply::toString),
                        attempt)));
    }

    private static Hop hop(HopUsed used) {
        return new Hop(
                used.toString(),
                Optional.of(used)
                        .flatMap(HopUsed::tls)
                        .map(tls -> tls.protocol() + "," + tls.cipher() + "," + tls.verification()));
    }

    private static List<String> addresses(List<MailAddress> recipients) {
        return recipients.stream().map(MailAddress::asString).toList();
    }
}
