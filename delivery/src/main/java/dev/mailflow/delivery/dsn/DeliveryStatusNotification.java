/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.dsn;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Date;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

import javax.activation.DataHandler;
import javax.mail.MessagingException;
import javax.mail.internet.InternetAddress;
import javax.mail.internet.MimeBodyPart;
import javax.mail.internet.MimeMessage;
import javax.mail.internet.MimeMultipart;
import javax.mail.util.ByteArrayDataSource;

import org.apache.james.core.MailAddress;
import org.apache.james.server.core.MimeMessageInputStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.common.io.ByteStreams;

import dev.mailflow.delivery.DsnReturn;
import dev.mailflow.delivery.OwnMessage;
import dev.mailflow.delivery.SmtpReply;

/**
 * A delivery status notification: what RFC 3464 prescribes, in the envelope of RFC 3462, one for all recipients of whom
 * there is something to tell after one attempt. It is sent with the null sender, so it can never cause another.
 *
 * @param reportingMta our host name
 * @param from whom the report comes from (the postmaster)
 * @param to the original envelope sender
 * @param envelopeId ENVID of the original (xtext decoded), if it had one
 * @param arrival when the original was queued
 * @param recipients never empty
 */
public record DeliveryStatusNotification(
        String reportingMta,
        MailAddress from,
        MailAddress to,
        Optional<String> envelopeId,
        Instant arrival,
        List<Recipient> recipients) {

    /** Originals up to this size in bytes come back whole when the sender did not say what it wants. */
    private static final int WHOLE_ORIGINAL = 64 * 1024;
    /** Nor do larger ones when it asked for the whole (RET=FULL): a report is made in memory. */
    private static final int LARGEST_ORIGINAL = 1024 * 1024;
    /** What is beyond of a header is not returned. */
    private static final int LONGEST_HEADER = 256 * 1024;

    /** In characters: a line has 998 octets at most (RFC 5322). */
    private static final int LONGEST_VALUE = 900;

    private static final String UNREADABLE =
            "The message itself can no longer be read here: nothing of it is returned.\n";

    private static final Logger LOGGER = LoggerFactory.getLogger(DeliveryStatusNotification.class);

    private static final DateTimeFormatter DATE =
            DateTimeFormatter.ofPattern("EEE, d MMM yyyy HH:mm:ss Z", Locale.US).withZone(ZoneOffset.UTC);

    public DeliveryStatusNotification {
        recipients = List.copyOf(recipients);
    }

    /** The actions of RFC 3464 section 2.3.3 that we report, gravest first. */
    public enum Action {
        FAILED("failed", "Undelivered mail returned to sender"),
        DELAYED("delayed", "Delayed mail, still being retried"),
        RELAYED("relayed", "Mail relayed to a system that does not confirm delivery"),
        DELIVERED("delivered", "Mail delivered");

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
     * @param action what became of it
     * @param original ORCPT, decoded, e.g. {@code rfc822;joe@contoso.com}
     * @param status RFC 3463
     * @param reason one sentence for people
     * @param reply what the next hop said
     * @param remoteMta the next hop's name
     * @param willRetryUntil for {@link Action#DELAYED}
     */
    public record Recipient(
            Action action,
            MailAddress address,
            Optional<String> original,
            String status,
            String reason,
            Optional<SmtpReply> reply,
            Optional<String> remoteMta,
            Instant lastAttempt,
            Optional<Instant> willRetryUntil) {}

    /**
     * The report as a message. Of an original that cannot be read it has the header, if that can be, or nothing: whoever
     * sent it must be told all the same.
     *
     * @param originalMessage the message that it is about; empty: there is none any more
     * @param wanted RET of the original; empty: whole if small, else its header
     * @param now its Date
     */
    public MimeMessage compose(Optional<MimeMessage> originalMessage, Optional<DsnReturn> wanted, Instant now)
            throws MessagingException, IOException {
        Optional<MimeBodyPart> original = Optional.empty();
        if (originalMessage.isPresent()) {
            original = original(originalMessage.get(), wanted);
        }
        MimeMultipart report = new MimeMultipart("report; report-type=delivery-status");
        MimeBodyPart text = new MimeBodyPart();
        text.setText(original.isPresent() ? forPeople() : forPeople() + UNREADABLE, "utf-8");
        text.setDescription("Notification");
        report.addBodyPart(text);
        report.addBodyPart(
                part("message/delivery-status", forPrograms().getBytes(StandardCharsets.US_ASCII), "Delivery report"));
        if (original.isPresent()) {
            report.addBodyPart(original.get());
        }

        MimeMessage message = OwnMessage.of(reportingMta);
        message.setFrom(new InternetAddress(from.asString(), "Mail Delivery System", "utf-8"));
        message.setRecipient(MimeMessage.RecipientType.TO, new InternetAddress(to.asString()));
        message.setSubject(gravest().subject, "utf-8");
        message.setSentDate(Date.from(now));
        message.setHeader("Auto-Submitted", "auto-replied");
        message.setContent(report);
        message.saveChanges();
        return message;
    }

    private Action gravest() {
        return recipients.stream()
                .map(Recipient::action)
                .min(Comparator.naturalOrder())
                .orElseThrow();
    }

    private Optional<MimeBodyPart> original(MimeMessage originalMessage, Optional<DsnReturn> wanted)
            throws MessagingException {
        // RFC 3461 section 4.3: RET speaks of failures only
        int most = gravest() != Action.FAILED
                        || wanted.filter(DsnReturn.HDRS::equals).isPresent()
                ? 0
                : wanted.isPresent() ? LARGEST_ORIGINAL : WHOLE_ORIGINAL;
        ByteArrayOutputStream read = new ByteArrayOutputStream();
        boolean readable = false;
        // not writeTo(): that one reads the header anew and turns its 8-bit characters into question marks
        try (InputStream in = new MimeMessageInputStream(originalMessage)) {
            ByteStreams.limit(in, Math.max(most, LONGEST_HEADER) + 1L).transferTo(read);
            readable = true;
        } catch (IOException | MessagingException | RuntimeException e) {
            LOGGER.error("A message cannot be read: the report about it has no more than its header", e);
        }
        byte[] bytes = read.toByteArray();
        if (readable && bytes.length <= most) {
            return Optional.of(part("message/rfc822", bytes, "Undelivered message"));
        }
        Optional<byte[]> header = header(bytes);
        if (header.isEmpty() && readable) {
            header = Optional.of(Arrays.copyOf(bytes, Math.min(bytes.length, LONGEST_HEADER)));
        }
        return header.isPresent()
                ? Optional.of(part("text/rfc822-headers", header.get(), "Undelivered message header"))
                : Optional.empty();
    }

    /** Empty: it does not end here. */
    private static Optional<byte[]> header(byte[] message) {
        for (int i = 0; i + 2 < message.length; i++) {
            if (message[i] == '\n' && (message[i + 1] == '\n' || (message[i + 1] == '\r' && message[i + 2] == '\n'))) {
                return Optional.of(Arrays.copyOf(message, i + 1));
            }
        }
        return Optional.empty();
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
        for (Action action : Action.values()) {
            List<Recipient> concerned = recipients.stream()
                    .filter(recipient -> recipient.action() == action)
                    .toList();
            if (!concerned.isEmpty()) {
                text.append(introduction(action));
                concerned.forEach(recipient -> describe(recipient, text));
                text.append('\n');
            }
        }
        return text.toString();
    }

    private static String introduction(Action action) {
        return switch (action) {
            case FAILED -> "Your message could not be delivered to the recipients below, and will not be tried"
                    + " again.\n";
            case DELAYED -> "Your message could not be delivered yet to the recipients below.\n"
                    + "You need not send it again: delivery is tried until the time given.\n";
            case DELIVERED -> "Your message was delivered to the mailboxes of the recipients below.\n";
            case RELAYED -> "Your message was handed, for the recipients below, to a mail system that does not\n"
                    + "confirm delivery: you may not hear of it again.\n";
        };
    }

    private static void describe(Recipient recipient, StringBuilder text) {
        text.append("\n<").append(recipient.address().asString()).append(">: ").append(oneLine(recipient.reason()));
        recipient.reply().ifPresent(reply -> text.append("\n    The remote server")
                .append(recipient.remoteMta().map(mta -> " " + mta).orElse(""))
                .append(" said: ")
                .append(oneLine(reply.toString())));
        recipient.willRetryUntil().ifPresent(until -> text.append("\n    Tried until ")
                .append(DATE.format(until)));
        text.append('\n');
    }

    private String forPrograms() {
        StringBuilder report = new StringBuilder();
        line(report, "Reporting-MTA", "dns; " + reportingMta);
        envelopeId.ifPresent(id -> line(report, "Original-Envelope-Id", id));
        line(report, "Arrival-Date", DATE.format(arrival));
        for (Recipient recipient : recipients) {
            report.append("\r\n");
            recipient.original().ifPresent(original -> line(report, "Original-Recipient", original));
            line(report, "Final-Recipient", mailbox(recipient.address().asString()));
            line(report, "Action", recipient.action().field);
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

    /** RFC 6533 section 3: an address that is not ASCII is of another type, in which some characters stand for others. */
    private static String mailbox(String address) {
        if (isAscii(address)) {
            return "rfc822; " + address;
        }
        StringBuilder text = new StringBuilder("utf-8; ");
        address.codePoints().forEach(c -> {
            if (c == '+' || c == '=' || c == '\\') {
                append(text, c);
            } else {
                text.appendCodePoint(c);
            }
        });
        return text.toString();
    }

    private static boolean isAscii(String value) {
        return value.chars().allMatch(c -> c < 128);
    }

    /** A field on one line: what strangers said may not start another. */
    private static void line(StringBuilder report, String name, String value) {
        report.append(name).append(": ").append(ascii(oneLine(value))).append("\r\n");
    }

    /**
     * In these fields is nothing but ASCII (RFC 3464 section 2.1), else next hops without 8BITMIME would not get the report.
     * Other characters are written as RFC 6533 does it, {@code \x{E9}}.
     */
    private static String ascii(String value) {
        StringBuilder text = new StringBuilder(value.length());
        value.codePoints().takeWhile(c -> text.length() < LONGEST_VALUE).forEach(c -> {
            if (c < 128) {
                text.append((char) c);
            } else {
                append(text, c);
            }
        });
        return text.toString();
    }

    private static void append(StringBuilder text, int codePoint) {
        text.append("\\x{")
                .append(Integer.toHexString(codePoint).toUpperCase(Locale.ROOT))
                .append('}');
    }

    private static String oneLine(String value) {
        StringBuilder line = new StringBuilder(value.length());
        value.codePoints().limit(LONGEST_VALUE).forEach(c -> line.appendCodePoint(Character.isISOControl(c) ? ' ' : c));
        return line.toString().trim();
    }
}
