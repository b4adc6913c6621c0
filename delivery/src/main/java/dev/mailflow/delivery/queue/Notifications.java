/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import java.io.IOException;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;

import javax.mail.MessagingException;
import javax.mail.internet.MimeMessage;

import org.apache.james.core.MailAddress;
import org.apache.james.core.MaybeSender;
import org.apache.james.lifecycle.api.LifecycleUtil;
import org.apache.james.server.core.MailImpl;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.DsnParameters;
import org.apache.mailet.DsnParameters.Notify;
import org.apache.mailet.DsnParameters.RecipientDsnParameters;
import org.apache.mailet.Mail;
import org.apache.mailet.MailetContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import dev.mailflow.delivery.DsnReturn;
import dev.mailflow.delivery.HopUsed;
import dev.mailflow.delivery.SmtpReply;
import dev.mailflow.delivery.dsn.DeliveryStatusNotification;
import dev.mailflow.delivery.dsn.DeliveryStatusNotification.Action;
import dev.mailflow.delivery.dsn.DeliveryStatusNotification.Recipient;
import dev.mailflow.policy.connector.RetrySchedule;
import dev.mailflow.policy.envelope.OriginalRecipient;
import dev.mailflow.policy.envelope.RequestedTls;
import dev.mailflow.policy.envelope.Xtext;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;

/**
 * Tells senders of failures, delays, delivery into mailboxes and mail that left for systems which confirm nothing, as they asked for it (NOTIFY,
 * RET and ENVID of RFC 3461): one report per attempt, not per recipient. A null sender is told nothing.
 */
final class Notifications {
    private static final Logger LOGGER = LoggerFactory.getLogger(Notifications.class);
    private static final String DELIVERED_STATUS = "2.0.0";

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
     * Queues the report that follows from an attempt, if one does.
     *
     * @throws MessagingException when it could not be composed or queued: the failure must not be forgotten
     */
    void report(Mail mail, DeliveryState state, DeliveryAttempt outcome, RetrySchedule schedule)
            throws MessagingException, IOException {
        keepJournalReport(mail, outcome.failed().keySet());
        Optional<MailAddress> sender = mail.getMaybeSender().asOptional();
        if (sender.isEmpty()) {
            return;
        }
        Instant now = clock.instant();
        List<Recipient> recipients = new ArrayList<>();
        outcome.failed().forEach((address, failed) -> {
            if (isWanted(mail, address, Notify.FAILURE)) {
                recipients.add(recipient(
                        mail,
                        address,
                        Action.FAILED,
                        new Fate(failed.enhancedStatus(), failed.reason(), failed.reply(), failed.hop()),
                        now,
                        Optional.empty()));
            }
        });
        if (outcome.warn()) {
            Instant until = state.queued().plus(schedule.expireAfter());
            outcome.waiting().forEach((address, deferred) -> {
                if (isWanted(mail, address, Notify.DELAY)) {
                    recipients.add(recipient(
                            mail,
                            address,
                            Action.DELAYED,
                            new Fate(deferred.enhancedStatus(), deferred.reason(), deferred.reply(), deferred.hop()),
                            now,
                            Optional.of(until)));
                }
            });
        }
        outcome.delivered().forEach((address, delivered) -> {
            if (!delivered.confirms() && isWanted(mail, address, Notify.SUCCESS)) {
                recipients.add(recipient(
                        mail,
                        address,
                        Action.RELAYED,
                        new Fate(
                                delivered.reply().enhancedStatus().orElse("2.0.0"),
                                "taken by " + delivered.used(),
                                Optional.of(delivered.reply()),
                                Optional.of(delivered.used())),
                        now,
                        Optional.empty()));
            }
        });
        if (!recipients.isEmpty()) {
            send(mail, sender.get(), state, recipients, now);
        }
    }

    /**
     * Queues the report that a mail is in mailboxes here, if its sender asked for it.
     *
     * @throws MessagingException when it could not be composed or queued
     */
    void confirm(Mail mail, Collection<MailAddress> delivered) throws MessagingException, IOException {
        Optional<MailAddress> sender = mail.getMaybeSender().asOptional();
        Instant now = clock.instant();
        List<Recipient> recipients = delivered.stream()
                .filter(address -> isWanted(mail, address, Notify.SUCCESS))
                .map(address -> recipient(
                        mail,
                        address,
                        Action.DELIVERED,
                        new Fate(DELIVERED_STATUS, "delivered to the mailbox", Optional.empty(), Optional.empty()),
                        now,
                        Optional.empty()))
                .toList();
        if (sender.isPresent() && !recipients.isEmpty()) {
            send(mail, sender.get(), DeliveryState.first(QueuedMail.arrival(mail, now)), recipients, now);
        }
    }

    /** Nobody can be told that a journal report failed: it waits for an administrator, who can send it again. */
    private void keepJournalReport(Mail mail, Collection<MailAddress> failed) throws MessagingException {
        boolean isReport = AttributeUtils.getValueAndCastFromMail(mail, DeliveryService.JOURNAL_REPORT, Boolean.class)
                .orElse(false);
        if (failed.isEmpty() || !isReport) {
            return;
        }
        Mail kept = mail.duplicate();
        try {
            kept.setRecipients(failed);
            context.sendMail(kept, Mail.ERROR);
        } finally {
            LifecycleUtil.dispose(kept);
        }
    }

    private void send(Mail about, MailAddress sender, DeliveryState state, List<Recipient> recipients, Instant now)
            throws MessagingException, IOException {
        DeliveryStatusNotification notification = new DeliveryStatusNotification(
                reportingMta,
                context.getPostmaster(),
                sender,
                about.dsnParameters().flatMap(DsnParameters::getEnvIdParameter).map(id -> Xtext.decode(id.asString())),
                state.queued(),
                recipients);
        // RFC 8689 section 5: a report is protected like what it is about, and bears no more of it than the header
        boolean asked = QueuedMail.requestedTls(about) == RequestedTls.REQUIRED;
        boolean ruled = QueuedMail.requiresTls(about);
        MimeMessage message = notification.compose(
                message(about), asked || ruled ? Optional.of(DsnReturn.HDRS) : QueuedMail.wanted(about), now);
        MailImpl report = MailImpl.builder()
                .name(MailImpl.getId())
                .sender(MaybeSender.nullSender())
                .addRecipient(sender)
                .mimeMessage(message)
                .build();
        try {
            if (asked) {
                report.setAttribute(new Attribute(QueuedMail.REQUIRETLS_OPTION, AttributeValue.of(true)));
            }
            if (ruled) {
                report.setAttribute(new Attribute(QueuedMail.REPORT_REQUIRES_TLS, AttributeValue.of(true)));
            }
            context.sendMail(report);
        } finally {
            LifecycleUtil.dispose(report);
        }
        for (Action action : Action.values()) {
            List<String> concerned = recipients.stream()
                    .filter(recipient -> recipient.action() == action)
                    .map(recipient -> recipient.address().asString())
                    .toList();
            if (!concerned.isEmpty()) {
                events.publish(new MailFlowEvent.Notified(
                        QueuedMail.reference(about), action.toString(), sender.asString(), concerned));
            }
        }
    }

    private static Optional<MimeMessage> message(Mail mail) {
        try {
            return Optional.ofNullable(mail.getMessage());
        } catch (MessagingException | RuntimeException e) {
            LOGGER.error("The message of {} cannot be read: the report about it is without", mail.getName(), e);
            return Optional.empty();
        }
    }

    /** Without NOTIFY the sender is told of failures and delays (RFC 3461 section 4.1). */
    private static boolean isWanted(Mail mail, MailAddress recipient, Notify wish) {
        return mail.dsnParameters()
                .flatMap(dsn -> Optional.ofNullable(dsn.getRcptParameters().get(recipient)))
                .flatMap(RecipientDsnParameters::getNotifyParameter)
                .map((EnumSet<Notify> wishes) -> wishes.contains(wish))
                .orElse(wish != Notify.SUCCESS);
    }

    /** What is told of an outcome. */
    private record Fate(String status, String reason, Optional<SmtpReply> reply, Optional<HopUsed> hop) {}

    private static Recipient recipient(
            Mail mail, MailAddress address, Action action, Fate fate, Instant now, Optional<Instant> willRetryUntil) {
        return new Recipient(
                action,
                address,
                QueuedMail.originalRecipient(mail, address).map(OriginalRecipient::decoded),
                fate.status(),
                fate.reason(),
                fate.reply(),
                fate.hop().map(HopUsed::host),
                now,
                willRetryUntil);
    }
}
