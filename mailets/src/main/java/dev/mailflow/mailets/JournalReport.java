/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UnsupportedEncodingException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Collection;
import java.util.Locale;
import java.util.UUID;
import java.util.stream.Stream;

import javax.mail.MessagingException;
import javax.mail.internet.MimeMessage;
import javax.mail.internet.MimeUtility;

import org.apache.james.core.MailAddress;
import org.apache.james.server.core.MimeMessageInputStream;
import org.apache.james.server.core.MimeMessageInputStreamSource;
import org.apache.mailet.Mail;

/**
 * An envelope journal report as Exchange writes it: a text that tells sender, subject, Message-ID and every recipient of
 * the envelope, and the original message with every byte as an attachment.
 */
final class JournalReport {
    /** Marks a report as one; the value is empty. */
    static final String HEADER = "X-MS-Journal-Report";

    private static final DateTimeFormatter DATE = DateTimeFormatter.ofPattern("EEE, d MMM yyyy HH:mm:ss Z", Locale.ROOT)
            .withZone(ZoneOffset.UTC);

    private JournalReport() {}

    /**
     * Writes the report on a mail.
     *
     * @param added recipients besides those of the envelope
     * @param from who reports: the postmaster
     * @throws MessagingException when the mail cannot be read
     */
    static MimeMessageInputStreamSource on(
            Mail mail, Collection<MailAddress> added, MailAddress from, MailAddress journal, Instant now)
            throws MessagingException {
        MimeMessage original = mail.getMessage();
        String boundary = "=_journal_" + UUID.randomUUID();
        String subject = subject(original);
        String header = "From: " + from + "\r\n"
                + "To: " + journal + "\r\n"
                + "Date: " + DATE.format(now) + "\r\n"
                + "Message-ID: <" + UUID.randomUUID() + "@" + from.getDomain().asString() + ">\r\n"
                + "Subject: " + encoded(subject) + "\r\n"
                + HEADER + ":\r\n"
                + "Auto-Submitted: auto-generated\r\n"
                + "MIME-Version: 1.0\r\n"
                + "Content-Type: multipart/mixed; boundary=\"" + boundary + "\"\r\n"
                + "\r\n"
                + "--" + boundary + "\r\n"
                + "Content-Type: text/plain; charset=utf-8\r\n"
                + "Content-Transfer-Encoding: quoted-printable\r\n"
                + "\r\n";
        String beforeAttachment = "\r\n--" + boundary + "\r\n"
                + "Content-Type: message/rfc822\r\n"
                + "Content-Disposition: attachment\r\n"
                + "\r\n";
        MimeMessageInputStreamSource source = MimeMessageInputStreamSource.create(mail.getName() + "-journal");
        try (InputStream in = new MimeMessageInputStream(original);
                OutputStream out = source.getWritableOutputStream()) {
            out.write(header.getBytes(StandardCharsets.UTF_8));
            // not closed, which would close the report
            OutputStream quoted = MimeUtility.encode(out, "quoted-printable");
            quoted.write(text(mail, added, original, subject).getBytes(StandardCharsets.UTF_8));
            quoted.flush();
            out.write(beforeAttachment.getBytes(StandardCharsets.UTF_8));
            in.transferTo(out);
            out.write(("\r\n--" + boundary + "--\r\n").getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            source.dispose();
            throw new MessagingException("the journal report cannot be written", e);
        }
        return source;
    }

    private static String text(Mail mail, Collection<MailAddress> added, MimeMessage original, String subject)
            throws MessagingException {
        StringBuilder text = new StringBuilder()
                .append("Sender: ")
                .append(mail.getMaybeSender().asString("<>"))
                .append("\r\nSubject: ")
                .append(subject)
                .append("\r\nMessage-Id: ")
                .append(oneLine(original.getMessageID()))
                .append("\r\n");
        Stream.concat(mail.getRecipients().stream(), added.stream())
                .forEach(recipient ->
                        text.append("Recipient: ").append(recipient).append("\r\n"));
        return text.toString();
    }

    private static String subject(MimeMessage original) throws MessagingException {
        String raw = original.getHeader("Subject", null);
        try {
            return raw == null ? "" : oneLine(MimeUtility.decodeText(MimeUtility.unfold(raw)));
        } catch (UnsupportedEncodingException e) {
            return oneLine(raw);
        }
    }

    private static String encoded(String subject) {
        try {
            return MimeUtility.fold(9, MimeUtility.encodeText(subject, "utf-8", null));
        } catch (UnsupportedEncodingException e) {
            throw new IllegalStateException("every JDK has UTF-8", e);
        }
    }

    /** A line of the report must not be forged by what stands in the message. */
    private static String oneLine(String text) {
        return text == null
                ? ""
                : text.replaceAll("[\\p{Cntrl}\u2028\u2029]+", " ").strip();
    }
}
