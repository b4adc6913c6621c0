/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tlsrpt;

import javax.mail.MessagingException;
import javax.mail.internet.MimeMessage;

import org.apache.james.core.MailAddress;

/**
 * In whose name TLS reports are sent.
 *
 * @param organization as reports name it
 * @param submitter our host or domain name, in file names and subjects
 * @param from the sender of reports by mail
 * @param contact whom to ask about reports
 * @param mailer queues a report
 */
public record ReportSettings(String organization, String submitter, MailAddress from, String contact, Mailer mailer) {

    /** Queues mail. */
    @FunctionalInterface
    public interface Mailer {
        /** Blocks until the mail is queued. */
        void send(MailAddress from, MailAddress to, MimeMessage message) throws MessagingException;
    }
}
