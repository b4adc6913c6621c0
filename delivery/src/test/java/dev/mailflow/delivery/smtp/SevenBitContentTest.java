/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;

import javax.mail.Session;
import javax.mail.internet.MimeMessage;
import javax.mail.internet.MimeMultipart;
import javax.mail.internet.MimePart;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.delivery.MessageContent;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.CharRange;
import net.jqwik.api.constraints.Chars;
import net.jqwik.api.constraints.StringLength;

class SevenBitContentTest {
    private static final String NESTED =
            """
            From: joe@contoso.com
            MIME-Version: 1.0
            Content-Type: multipart/mixed;
             boundary="outer"
            Content-Transfer-Encoding: 8bit

            Vorspann mit Ümläuten
            --outer
            Content-Type: multipart/alternative; boundary=inner

            --inner
            Content-Type: text/plain; charset=utf-8
            Content-Transfer-Encoding: 8bit

            Grüße = Gruesse, und eine Zeile mit Leerzeichen am Ende:\s
            .
            --inner
            Content-Type: text/html; charset=us-ascii

            <p>Gruesse = plain</p>
            --inner--
            --outer
            Content-Type: application/octet-stream
            Content-Transfer-Encoding: 8bit

            bytes äöü
            and more
            --outer
            Content-Type: message/rfc822
            Content-Transfer-Encoding: 8bit

            Subject: embedded
            Content-Type: text/plain; charset=utf-8

            mislabelled: ß
            --outer--
            Nachspann: ß
            """;

    private static byte[] convert(String message) throws Exception {
        try (InputStream in = SevenBitContent.of(MessageContent.of(message.getBytes(StandardCharsets.UTF_8)))
                .open()) {
            return in.readAllBytes();
        }
    }

    /** All leaves, decoded. */
    private static List<String> leaves(byte[] message) throws Exception {
        List<String> leaves = new ArrayList<>();
        collect(new MimeMessage(Session.getInstance(new Properties()), new ByteArrayInputStream(message)), leaves);
        return leaves;
    }

    private static void collect(MimePart part, List<String> leaves) throws Exception {
        if (part.isMimeType("multipart/*")) {
            MimeMultipart parts = (MimeMultipart) part.getContent();
            for (int i = 0; i < parts.getCount(); i++) {
                collect((MimePart) parts.getBodyPart(i), leaves);
            }
        } else if (part.isMimeType("message/rfc822")) {
            collect((MimeMessage) part.getContent(), leaves);
        } else {
            leaves.add(part.getContentType() + ": "
                    + new String(part.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"\r\n", "\n"})
    void everyPartShouldSayTheSameInSevenBits(String lineEnd) throws Exception {
        byte[] canonical = NESTED.replace("\n", "\r\n").getBytes(StandardCharsets.UTF_8);

        byte[] converted = convert(NESTED.replace("\n", lineEnd));

        assertThat(new String(converted, StandardCharsets.UTF_8))
                .matches("(?s)\\p{ASCII}*")
                .doesNotContainPattern("(?i)encoding: 8bit")
                .contains("Content-Transfer-Encoding: quoted-printable")
                .contains("Content-Transfer-Encoding: base64")
                .contains("<p>Gruesse = plain</p>");
        assertThat(leaves(converted)).hasSize(4).isEqualTo(leaves(canonical));
    }

    @Test
    void linesShouldBeShortWhateverTheirLength() throws Exception {
        String body = "ä".repeat(40_000) + " \r\n" + "x y\t".repeat(30_000) + "\r\n";

        byte[] converted = convert("Content-Type: text/plain; charset=utf-8\r\n\r\n" + body);

        assertThat(new String(converted, StandardCharsets.US_ASCII).lines())
                .allMatch(line -> line.length() <= 76 && !line.endsWith(" ") && !line.endsWith("\t"));
        assertThat(leaves(converted)).containsExactly("text/plain; charset=utf-8: " + body);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "DKIM-Signature: v=1\n\nß",
                "Content-Type: multipart/signed; boundary=b\n\n--b\n\nß\n--b--\n",
                "Content-Type: multipart/mixed; boundary=b\n\n"
                        + "--b\n"
                        + "Content-Type: application/pkcs7-mime\n\n"
                        + "x\n"
                        + "--b\n\n"
                        + "ß\n"
                        + "--b--",
                "Subject: x\n\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nß\n",
                "Subject: ß\n\nß",
                "Content-Type: multipart/mixed\n\nß",
                "Content-Type: text\n\nß",
                "Content-Transfer-Encoding: base64\n\nß",
                "Content-Type: message/delivery-status\n\nß"
            })
    void whatIsSignedOrNotUnderstoodShouldStayAsItIs(String message) {
        assertThatThrownBy(() -> convert(message)).isInstanceOf(MimeWalk.NotUnderstoodException.class);
    }

    @Test
    void aHeaderOfManyFoldsShouldNotExhaustTheStack() throws Exception {
        assertThat(convert("Content-Type: text/plain;\r\n" + " \r\n x=y;\r\n".repeat(20_000) + " z=1\r\n\r\nß\r\n"))
                .isNotEmpty();
    }

    @Property
    void anyBodyShouldSayTheSame(
            @ForAll
                    @StringLength(max = 300)
                    @Chars({'\n', '=', ' ', '\t', '.', '-', 'ß', '\r'})
                    @CharRange(from = 'a', to = 'e')
                    String text)
            throws Exception {
        String body = text.replace("\r\n", "\n").replace("\n", "\r\n") + "ß\r\n";

        assertThat(leaves(convert("Content-Type: text/plain; charset=utf-8\r\n\r\n" + body)))
                .containsExactly("text/plain; charset=utf-8: " + body);
    }
}
