/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import java.io.ByteArrayInputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;

import javax.mail.Message;
import javax.mail.MessagingException;
import javax.mail.Session;
import javax.mail.Transport;
import javax.mail.internet.InternetAddress;
import javax.mail.internet.MimeMessage;

import com.sun.mail.util.MailSSLSocketFactory;

import dev.mailflow.delivery.testing.Inbox;

/** Sends and reads mail the way a user's program does. */
public final class MailClient {
    private MailClient() {}

    static MimeMessage message(String from, String to, String subject) throws MessagingException {
        MimeMessage message = new MimeMessage(Session.getInstance(new Properties()));
        message.setFrom(new InternetAddress(from));
        message.setRecipient(Message.RecipientType.TO, new InternetAddress(to));
        message.setSubject(subject);
        message.setText("Text of " + subject + "\n");
        return message;
    }

    /** Over port 25's like: no TLS, no authentication. */
    public static void send(int port, String from, String to, String subject) throws MessagingException {
        Properties properties = new Properties();
        properties.put("mail.smtp.from", from);
        try (Transport transport = Session.getInstance(properties).getTransport("smtp")) {
            transport.connect("127.0.0.1", port, null, null);
            transport.sendMessage(message(from, to, subject), new InternetAddress[] {new InternetAddress(to)});
        }
    }

    /** Over a submission port: STARTTLS required, then authentication. */
    static void submit(int port, String user, String password, String to, String subject) throws Exception {
        Properties properties = new Properties();
        properties.put("mail.smtp.from", user);
        properties.put("mail.smtp.auth", "true");
        properties.put("mail.smtp.starttls.enable", "true");
        properties.put("mail.smtp.starttls.required", "true");
        properties.put("mail.smtp.ssl.socketFactory", trustingTheHost());
        try (Transport transport = Session.getInstance(properties).getTransport("smtp")) {
            transport.connect("127.0.0.1", port, user, password);
            transport.sendMessage(message(user, to, subject), new InternetAddress[] {new InternetAddress(to)});
        }
    }

    /** The subjects in INBOX, in its order, over IMAPS. */
    static List<String> subjects(int port, String user, String password) throws Exception {
        List<String> subjects = new ArrayList<>();
        for (byte[] message : Inbox.imaps(port).messages(user, password)) {
            subjects.add(new MimeMessage(null, new ByteArrayInputStream(message)).getSubject());
        }
        return subjects;
    }

    public static List<String> subjects(Gateway gateway, FirstMailbox mailbox) throws Exception {
        return subjects(gateway.port("imaps"), mailbox.address(), password(mailbox.passwordFile()));
    }

    static String password(Path file) throws Exception {
        return java.nio.file.Files.readString(file).trim();
    }

    /** The certificate under test is self-signed; these tests are not about trust. */
    private static MailSSLSocketFactory trustingTheHost() throws Exception {
        MailSSLSocketFactory factory = new MailSSLSocketFactory();
        factory.setTrustedHosts(new String[] {"127.0.0.1"});
        return factory;
    }
}
