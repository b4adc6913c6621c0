/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.dsn;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Date;
import java.util.Enumeration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Properties;

import javax.activation.DataHandler;
import javax.mail.MessagingException;
import javax.mail.Session;
import javax.mail.internet.InternetAddress;
import javax.mail.internet.MimeBodyPart;
import javax.mail.internet.MimeMessage;
import javax.mail.internet.MimeMultipart;
import javax.mail.util.ByteArrayDataSource;

import org.apache.james.core.MailAddress;

import dev.mailflow.delivery.DsnReturn;
import dev.mailflow.delivery.SmtpReply;

/**
 * A delivery status notification: what RFC 3464 prescribes, in the envelope of RFC 3462, one for all recipients that
 * met the same fate in one attempt. It is sent with the null sender, so it can never cause another.
 *
 * @param action what became of the recipients
 * @param reportingMta our host name
 * @param from whom the report comes from (the postmaster)
 * @param to the original envelope sender
 * @param envelopeId ENVID of the original (xtext decoded), if it had one
 * @param arrival when the original was queued
 * @param recipients never empty
 */
public record DeliveryStatusNotification(
        Action action,
        String reportingMta,
        MailAddress from,
        MailAddress to,
        Optional<String> envelopeId,
        Instant arrival,
        List<Recipient> recipients) {

    /** Originals up to this size in bytes come back whole when the sender did not say what it wants. */
    private static final int WHOLE_ORIGINAL = 64 * 1024;

    private static final DateTimeFormatter DATE =
            DateTimeFormatter.ofPattern("EEE, d MMM yyyy HH:mm:ss Z", Locale.US).withZone(ZoneOffset.UTC);

    public DeliveryStatusNotification {
        recipients = List.copyOf(recipients);
    }

    /** The actions of RFC 3464 section 2.3.3 that we report. */
    public enum Action {
        FAILED("failed", "Undelivered mail returned to sender"),
        DELAYED("delayed", "Delayed mail, still being retried"),
        RELAYED("relayed", "Mail relayed to a system that does not confirm delivery");

        private final String field;
        private final String subject;

        Action(String field, String subject) {
            this.field = field;
            this.subject = subject;
        }

        @Override
        public String toString() {
            return field;
        }
    }

    /**
     * One recipient's fate.
     *
     * @param original ORCPT as received, e.g. {@code rfc822;joe@contoso.com}
     * @param status RFC 3463
     * @param reason one sentence for people
     * @param reply what the next hop said
     * @param remoteMta the next hop's name
     * @param willRetryUntil for {@link Action#DELAYED}
     */
    public record Recipient(
            MailAddress address,
            Optional<String> original,
            String status,
            String reason,
            Optional<SmtpReply> reply,
            Optional<String> remoteMta,
            Instant lastAttempt,
            Optional<Instant> willRetryUntil) {}

    /**
     * The report as a message.
     *
     * @param originalMessage the message that it is about
     * @param wanted RET of the original; empty: whole if small, else its header
     * @param now its Date
     */
    public MimeMessage compose(MimeMessage originalMessage, Optional<DsnReturn> wanted, Instant now)
            throws MessagingException, IOException {
        MimeMultipart report = new MimeMultipart("report; report-type=delivery-status");
        MimeBodyPart text = new MimeBodyPart();
        text.setText(forPeople(), "utf-8");
        text.setDescription("Notification");
        report.addBodyPart(text);
        report.addBodyPart(
                part("message/delivery-status", forPrograms().getBytes(StandardCharsets.UTF_8), "Delivery report"));
        report.addBodyPart(original(originalMessage, wanted));

        MimeMessage message = new MimeMessage(Session.getInstance(new Properties()));
        message.setFrom(new InternetAddress(from.asString(), "Mail Delivery System", "utf-8"));
        message.setRecipient(MimeMessage.RecipientType.TO, new InternetAddress(to.asString()));
        message.setSubject(action.subject, "utf-8");
        message.setSentDate(Date.from(now));
        message.setHeader("Auto-Submitted", "auto-replied");
        message.setContent(report);
        message.saveChanges();
        return message;
    }

    private MimeBodyPart original(MimeMessage originalMessage, Optional<DsnReturn> wanted)
            throws MessagingException, IOException {
        boolean whole = action == Action.FAILED
                && wanted.map(DsnReturn.FULL::equals).orElseGet(() -> sizeOf(originalMessage) <= WHOLE_ORIGINAL);
        if (whole) {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            originalMessage.writeTo(bytes);
            return part("message/rfc822", bytes.toByteArray(), "Undelivered message");
        }
        ByteArrayOutputStream header = new ByteArrayOutputStream();
        for (Enumeration<String> lines = originalMessage.getAllHeaderLines(); lines.hasMoreElements(); ) {
            header.write(lines.nextElement().getBytes(StandardCharsets.UTF_8));
            header.write('\r');
            header.write('\n');
        }
        return part("text/rfc822-headers", header.toByteArray(), "Undelivered message header");
    }

    private static int sizeOf(MimeMessage message) {
        try {
            int size = message.getSize();
            return size < 0 ? Integer.MAX_VALUE : size;
        } catch (MessagingException e) {
            return Integer.MAX_VALUE;
        }
    }

    private static MimeBodyPart part(String type, byte[] content, String description) throws MessagingException {
        MimeBodyPart part = new MimeBodyPart();
        part.setDataHandler(new DataHandler(new ByteArrayDataSource(content, type)));
        part.setHeader("Content-Type", type);
        // RFC 3462 and RFC 2046: message/* parts may not be encoded as base64 or quoted-printable.
        part.setHeader("Content-Transfer-Encoding", isAscii(content) ? "7bit" : "8bit");
        part.setDescription(description);
        return part;
    }

    private static boolean isAscii(byte[] content) {
        for (byte b : content) {
            if (b < 0) {
                return false;
            }
        }
        return true;
    }

    private String forPeople() {
        StringBuilder text = new StringBuilder();
        text.append("This is the mail gateway at ").append(reportingMta).append(".\n\n");
        text.append(
                switch (action) {
                    case FAILED -> "Your message could not be delivered to the recipients below, and will not be tried again.\n";
                    case DELAYED -> "Your message could not be delivered yet to the recipients below.\n"
                            + "You need not send it again: delivery is tried until the time given.\n";
                    case RELAYED -> "Your message was handed, for the recipients below, to a mail system that does not\n"
                            + "confirm delivery: you may not hear of it again.\n";
                });
        for (Recipient recipient : recipients) {
            text.append("\n<")
                    .append(recipient.address().asString())
                    .append(">: ")
                    .append(oneLine(recipient.reason()));
            recipient.reply().ifPresent(reply -> text.append("\n    The remote server")
                    .append(recipient.remoteMta().map(mta -> " " + mta).orElse(""))
                    .append(" said: ")
                    .append(oneLine(reply.toString())));
            recipient.willRetryUntil().ifPresent(until -> text.append("\n    Tried until ")
                    .append(DATE.format(until)));
            text.append('\n');
        }
        return text.toString();
    }

    private String forPrograms() {
        StringBuilder report = new StringBuilder();
        line(report, "Reporting-MTA", "dns; " + reportingMta);
        envelopeId.ifPresent(id -> line(report, "Original-Envelope-Id", id));
        line(report, "Arrival-Date", DATE.format(arrival));
        for (Recipient recipient : recipients) {
            report.append("\r\n");
            recipient.original().ifPresent(original -> line(report, "Original-Recipient", original));
            line(report, "Final-Recipient", "rfc822; " + recipient.address().asString());
            line(report, "Action", action.field);
            line(report, "Status", recipient.status());
            recipient.remoteMta().ifPresent(mta -> line(report, "Remote-MTA", "dns; " + mta));
            line(
                    report,
                    "Diagnostic-Code",
                    recipient
                            .reply()
                            .map(reply -> "smtp; " + reply)
                            .orElseGet(() -> "X-Mailflow; " + recipient.reason()));
            line(report, "Last-Attempt-Date", DATE.format(recipient.lastAttempt()));
            recipient.willRetryUntil().ifPresent(until -> line(report, "Will-Retry-Until", DATE.format(until)));
        }
        return report.toString();
    }

    /** A field on one line: what strangers said may not start another. */
    private static void line(StringBuilder report, String name, String value) {
        report.append(name).append(": ").append(oneLine(value)).append("\r\n");
    }

    private static String oneLine(String value) {
        StringBuilder line = new StringBuilder(value.length());
        value.chars().limit(900).forEach(c -> line.append(Character.isISOControl(c) ? ' ' : (char) c));
        return line.toString().trim();
    }
}
