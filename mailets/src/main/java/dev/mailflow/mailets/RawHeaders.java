/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

import javax.mail.MessagingException;
import javax.mail.internet.MimeMessage;

import org.apache.james.server.core.MailImpl;
import org.apache.james.server.core.MimeMessageInputStream;
import org.apache.james.server.core.MimeMessageInputStreamSource;
import org.apache.james.server.core.MimeMessageWrapper;
import org.apache.mailet.Mail;

import dev.mailflow.policy.header.HeaderSection;

/**
 * The header section of a mail as bytes, to be changed without touching any other byte. The javax.mail way
 * ({@code setHeader}, {@code saveChanges}) adds headers that are missing and turns 8-bit ones into question marks.
 */
final class RawHeaders {
    private RawHeaders() {}

    static HeaderSection of(MimeMessage message) throws MessagingException {
        try (InputStream in = open(message)) {
            return HeaderSection.read(in);
        } catch (IOException e) {
            throw new MessagingException("the message cannot be read", e);
        }
    }

    /** Gives the mail the body of {@code message} under another header section. */
    static void put(Mail mail, HeaderSection headers, MimeMessage message) throws MessagingException {
        MimeMessageInputStreamSource source = MimeMessageInputStreamSource.create(mail.getName() + "-headers");
        try (InputStream in = open(message);
                OutputStream out = source.getWritableOutputStream()) {
            HeaderSection.read(in);
            out.write(headers.bytes());
            in.transferTo(out);
        } catch (IOException e) {
            source.dispose();
            throw new MessagingException("the message cannot be copied", e);
        }
        if (mail instanceof MailImpl ofJames) {
            // setMessage() would copy once more, and lose 8-bit headers on the way
            ofJames.setMessageContent(source);
        } else {
            mail.setMessage(new MimeMessageWrapper(source));
        }
    }

    /** The message's own bytes. */
    static InputStream open(MimeMessage message) throws MessagingException {
        return new BufferedInputStream(new MimeMessageInputStream(message));
    }
}
