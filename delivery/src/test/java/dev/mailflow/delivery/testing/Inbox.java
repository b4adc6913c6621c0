/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.testing;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;

import javax.mail.Folder;
import javax.mail.Message;
import javax.mail.MessagingException;
import javax.mail.Session;
import javax.mail.Store;

import com.sun.mail.iap.BadCommandException;
import com.sun.mail.util.MailSSLSocketFactory;

/** Reads a user's INBOX on this host over IMAP, as a mail program does. */
public final class Inbox {
    private static final int READINGS = 10;

    private final String protocol;
    private final int port;

    private Inbox(String protocol, int port) {
        this.protocol = protocol;
        this.port = port;
    }

    /** TLS from the first byte; any certificate will do, what is read here is not about trust. */
    public static Inbox imaps(int port) {
        return new Inbox("imaps", port);
    }

    /** Without TLS. */
    public static Inbox imap(int port) {
        return new Inbox("imap", port);
    }

    /**
     * The messages, whole, in the order of the mailbox.
     *
     * @throws IOException the mailbox cannot be read: no connection, login refused
     */
    public List<byte[]> messages(String user, String password) throws IOException {
        MessagingException last = null;
        for (int reading = 0; reading < READINGS; reading++) {
            try {
                return read(user, password);
            } catch (MessagingException e) {
                last = e;
                // James lists a mailbox first and counts it later: it answers BAD to who asks for a message that came
                // in
                // between, and has it at the next SELECT
                if (!(e.getCause() instanceof BadCommandException)) {
                    break;
                }
            }
        }
        throw new IOException("the mailbox of " + user + " cannot be read: " + last.getMessage(), last);
    }

    private List<byte[]> read(String user, String password) throws MessagingException, IOException {
        Properties properties = new Properties();
        properties.put("mail.imaps.ssl.socketFactory", trusting());
        List<byte[]> messages = new ArrayList<>();
        try (Store store = Session.getInstance(properties).getStore(protocol)) {
            store.connect("127.0.0.1", port, user, password);
            try (Folder inbox = store.getFolder("INBOX")) {
                inbox.open(Folder.READ_ONLY);
                for (Message message : inbox.getMessages()) {
                    ByteArrayOutputStream content = new ByteArrayOutputStream();
                    message.writeTo(content);
                    messages.add(content.toByteArray());
                }
            }
        }
        return messages;
    }

    private static MailSSLSocketFactory trusting() {
        try {
            MailSSLSocketFactory factory = new MailSSLSocketFactory();
            factory.setTrustedHosts(new String[] {"127.0.0.1"});
            return factory;
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }
}
