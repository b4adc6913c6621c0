/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.storage;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Properties;

import javax.mail.Session;
import javax.mail.internet.MimeMessage;

import org.apache.james.core.MailAddress;
import org.apache.james.server.core.MailImpl;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;
import org.apache.mailet.PerRecipientHeaders.Header;

/** Mails with something in every field, and a look at their bytes. */
public final class SampleMail {
    /** A body that any re-encoding would change: a lone dot, trailing blanks, no final line end, an odd header fold. */
    public static final String CONTENT = "Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=\r\nX-Odd:  two\r\n\tfolded\r\n"
            + "Content-Transfer-Encoding: 8bit\r\n\r\n.\r\ntrailing  \r\ngr\u00fc\u00dfe without end";

    private SampleMail() {}

    public static Mail named(String name) throws Exception {
        return of(name, CONTENT);
    }

    /** With another body. */
    public static Mail withBody(String name, String body) throws Exception {
        return of(name, "Subject: large\r\n\r\n" + body);
    }

    private static Mail of(String name, String content) throws Exception {
        MimeMessage message = new MimeMessage(
                Session.getInstance(new Properties()),
                new ByteArrayInputStream(content.getBytes(StandardCharsets.ISO_8859_1)));
        return MailImpl.builder()
                .name(name)
                .sender("ann@example.net")
                .addRecipients("bob@example.com", "\"odd name\"@example.com")
                .state("relay")
                .errorMessage("451 later")
                .remoteHost("client.example.net")
                .remoteAddr("192.0.2.1")
                .mimeMessage(message)
                .addAttribute(
                        new Attribute(AttributeName.of("mailflow.inbound"), AttributeValue.of("{\"ip\":\"::1\"}")))
                .addAttribute(new Attribute(AttributeName.of("count"), AttributeValue.of(7)))
                .addHeaderForRecipient(
                        Header.builder().name("X-For").value("bob").build(), new MailAddress("bob@example.com"))
                .build();
    }

    public static byte[] bytes(Mail mail) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        mail.getMessage().writeTo(out);
        return out.toByteArray();
    }
}
