/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import java.io.IOException;
import java.time.Clock;
import java.time.Instant;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import javax.mail.MessagingException;
import javax.mail.internet.MimeMessage;

import org.apache.james.core.MailAddress;
import org.apache.mailet.DsnParameters;
import org.apache.mailet.DsnParameters.Notify;
import org.apache.mailet.DsnParameters.RecipientDsnParameters;
import org.apache.mailet.Mail;
import org.apache.mailet.MailetContext;

import dev.mailflow.delivery.HopUsed;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.RecipientOutcome.Deferred;
import dev.mailflow.delivery.RecipientOutcome.Failed;
import dev.mailflow.delivery.SmtpReply;
import dev.mailflow.delivery.dsn.DeliveryStatusNotification;
import dev.mailflow.delivery.dsn.DeliveryStatusNotification.Action;
import dev.mailflow.policy.connector.RetrySchedule;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;

/**
 * Tells senders of failures and delays, as they asked for it (NOTIFY, RET and ENVID of RFC 3461): one report per
 * attempt and action, not per recipient. A null sender is told nothing.
 */
final class Notifications {
    private final MailetContext context;
    private final String reportingMta;
    private final MailFlowEvents events;
    private final Clock clock;

    Notifications(MailetContext context, String reportingMta, MailFlowEvents events, Clock clock) {
        this.context = context;
        this.reportingMta = reportingMta;
        this.events = events;
        this.clock = clock;
    }

    /**
     * Queues the reports that follow from an attempt.
     *
     * @throws MessagingException when a report could not be composed or queued: the failure must not be forgotten
     */
    void report(Mail mail, DeliveryState state, DeliveryAttempt outcome, RetrySchedule schedule)
            throws MessagingException, IOException {
        report(Action.FAILED, Notify.FAILURE, mail, state, outcome.failed(), Optional.empty());
        if (outcome.warn()) {
            report(
                    Action.DELAYED,
                    Notify.DELAY,
                    mail,
                    state,
                    outcome.waiting(),
                    Optional.of(state.queued().plus(schedule.expireAfter())));
        }
    }

    private void report(
            Action action,
            Notify wish,
            Mail mail,
            DeliveryState state,
            Map<MailAddress, ? extends RecipientOutcome> outcomes,
            Optional<Instant> willRetryUntil)
            throws MessagingException, IOException {
        Optional<MailAddress> sender = mail.getMaybeSender().asOptional();
        Optional<DsnParameters> dsn = mail.dsnParameters();
        Instant now = clock.instant();
        List<DeliveryStatusNotification.Recipient> recipients = outcomes.entrySet().stream()
                .filter(entry -> wanted(dsn, entry.getKey(), wish))
                .map(entry -> recipient(entry.getKey(), entry.getValue(), dsn, now, willRetryUntil))
                .toList();
        if (sender.isEmpty() || recipients.isEmpty()) {
            return;
        }
        DeliveryStatusNotification notification = new DeliveryStatusNotification(
                action,
                reportingMta,
                context.getPostmaster(),
                sender.get(),
                dsn.flatMap(DsnParameters::getEnvIdParameter).map(DsnParameters.EnvId::asString),
                state.queued(),
                recipients);
        MimeMessage message = notification.compose(mail.getMessage(), QueuedMail.wanted(mail), now);
        context.sendMail(MailAddress.nullSender(), List.of(sender.get()), message);
        events.publish(new MailFlowEvent.Notified(
                QueuedMail.reference(mail),
                action.toString(),
                sender.get().asString(),
                recipients.stream()
                        .map(recipient -> recipient.address().asString())
                        .toList()));
    }

    /** Without NOTIFY the sender is told of failures and delays (RFC 3461 section 4.1). */
    private static boolean wanted(Optional<DsnParameters> dsn, MailAddress recipient, Notify wish) {
        return parameters(dsn, recipient)
                .flatMap(RecipientDsnParameters::getNotifyParameter)
                .map((EnumSet<Notify> wishes) -> wishes.contains(wish))
                .orElse(true);
    }

    private static Optional<RecipientDsnParameters> parameters(Optional<DsnParameters> dsn, MailAddress recipient) {
        return dsn.flatMap(
                known -> Optional.ofNullable(known.getRcptParameters().get(recipient)));
    }

    private DeliveryStatusNotification.Recipient recipient(
            MailAddress address,
            RecipientOutcome outcome,
            Optional<DsnParameters> dsn,
            Instant now,
            Optional<Instant> willRetryUntil) {
        String status = "";
        String reason = "";
        Optional<SmtpReply> reply = Optional.empty();
        if (outcome instanceof Failed failed) {
            status = failed.enhancedStatus();
            reason = failed.reason();
            reply = failed.reply();
        } else if (outcome instanceof Deferred deferred) {
            status = deferred.enhancedStatus();
            reason = deferred.reason();
            reply = deferred.reply();
        }
        return new DeliveryStatusNotification.Recipient(
                address,
                parameters(dsn, address)
                        .flatMap(RecipientDsnParameters::getOrcptParameter)
                        .map(original -> "rfc822;" + original.asString()),
                status,
                reason,
                reply,
                outcome.hop().map(HopUsed::host),
                now,
                willRetryUntil);
    }
}
