/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

import java.util.Properties;

import javax.mail.Session;
import javax.mail.internet.MimeMessage;

/** Begins messages that this host writes itself. */
public final class OwnMessage {
    private OwnMessage() {}

    /**
     * An empty message.
     *
     * @param host our name, in which its Message-ID ends; without it JavaMail would ask the system, which may know
     *     {@code localhost} only
     */
    public static MimeMessage of(String host) {
        Properties properties = new Properties();
        properties.setProperty("mail.from", "postmaster@" + host);
        return new MimeMessage(Session.getInstance(properties));
    }
}
