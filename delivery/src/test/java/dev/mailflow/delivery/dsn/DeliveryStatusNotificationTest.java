/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.dsn;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Properties;

import javax.mail.Session;
import javax.mail.internet.MimeMessage;

import org.apache.james.core.MailAddress;
import org.junit.jupiter.api.Test;

import dev.mailflow.delivery.DsnReturn;
import dev.mailflow.delivery.MessageContent;
import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.SmtpReply;
import dev.mailflow.delivery.dsn.DeliveryStatusNotification.Action;
import dev.mailflow.delivery.dsn.DeliveryStatusNotification.Recipient;
import dev.mailflow.delivery.testing.Connectors;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;

class DeliveryStatusNotificationTest {
    private static final Instant ARRIVAL = Instant.parse("2026-11-23T12:00:00Z");
    private static final Instant NOW = Instant.parse("2026-11-23T13:30:00Z");
    private static final String ORIGINAL = "From: a@contoso.com\r\nSubject: hi\r\n\r\nbody, 8-bit: é\r\n";

    private static String compose(Optional<DsnReturn> wanted, Recipient... recipients) throws Exception {
        return compose(ORIGINAL, wanted, recipients);
    }

    private static String compose(String originalText, Optional<DsnReturn> wanted, Recipient... recipients)
            throws Exception {
        MimeMessage original = new MimeMessage(
                Session.getInstance(new Properties()),
                new ByteArrayInputStream(originalText.getBytes(StandardCharsets.UTF_8)));
        MimeMessage report = new DeliveryStatusNotification(
                        "gateway.contoso.com",
                        new MailAddress("postmaster@contoso.com"),
                        new MailAddress("a@contoso.com"),
                        Optional.of("QQ314159"),
                        ARRIVAL,
                        List.of(recipients))
                .compose(Optional.of(original), wanted, NOW);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        report.writeTo(bytes);
        return bytes.toString(StandardCharsets.UTF_8);
    }

    private static Recipient failed(String address) throws Exception {
        return new Recipient(
                Action.FAILED,
                new MailAddress(address),
                Optional.of("rfc822;orig@fabrikam.com"),
                "5.1.1",
                "the next hop refused the recipient",
                Optional.of(new SmtpReply(550, List.of("5.1.1 no such user\r\nAction: delivered"))),
                Optional.of("mx.fabrikam.com"),
                NOW,
                Optional.empty());
    }

    @Test
    void composeShouldReportAsRfc3464Prescribes() throws Exception {
        String report = compose(Optional.empty(), failed("joe@fabrikam.com"), failed("jim@fabrikam.com"));

        assertThat(report)
                .containsPattern("Content-Type: multipart/report; report-type=delivery-status;\\s+boundary=")
                .containsPattern("\r\nMessage-ID: <[^@>]+@gateway\\.contoso\\.com>\r\n")
                .contains("Auto-Submitted: auto-replied")
                .contains("To: a@contoso.com")
                .contains("Content-Type: message/delivery-status")
                .contains(
                        """
                        Reporting-MTA: dns; gateway.contoso.com\r
                        Original-Envelope-Id: QQ314159\r
                        Arrival-Date: Mon, 23 Nov 2026 12:00:00 +0000\r
                        \r
                        Original-Recipient: rfc822;orig@fabrikam.com\r
                        Final-Recipient: rfc822; joe@fabrikam.com\r
                        Action: failed\r
                        Status: 5.1.1\r
                        Remote-MTA: dns; mx.fabrikam.com\r
                        Diagnostic-Code: smtp; 550 5.1.1 no such user  Action: delivered\r
                        Last-Attempt-Date: Mon, 23 Nov 2026 13:30:00 +0000\r
                        \r
                        Original-Recipient:""")
                .contains("Final-Recipient: rfc822; jim@fabrikam.com");
    }

    @Test
    void composeShouldNotLetTheRemoteReplyForgeAField() throws Exception {
        assertThat(compose(Optional.empty(), failed("joe@fabrikam.com"))).doesNotContain("\nAction: delivered");
    }

    private static Recipient failed(String address, String original, String reply) throws Exception {
        return new Recipient(
                Action.FAILED,
                new MailAddress(address),
                Optional.of(original),
                "5.1.1",
                "the next hop refused the recipient",
                Optional.of(new SmtpReply(550, List.of(reply))),
                Optional.of("mx.fabrikam.com"),
                NOW,
                Optional.empty());
    }

    @Test
    void fieldsForProgramsShouldBeAscii() throws Exception {
        String report = compose(
                "Subject: hi\r\n\r\nbody\r\n",
                Optional.empty(),
                failed(
                        "joe@fabrikam.com",
                        "utf-8;jos\u00e9@fabrikam.com",
                        "5.1.1 Empf\u00e4nger unbekannt \ud83d\ude00"));

        assertThat(report)
                .contains("Original-Recipient: utf-8;jos\\x{E9}@fabrikam.com\r\n")
                .contains("Diagnostic-Code: smtp; 550 5.1.1 Empf\\x{E4}nger unbekannt \\x{1F600}\r\n")
                .doesNotContain("8bit")
                .matches(text -> text.chars().allMatch(c -> c < 128));
    }

    @Test
    void noLineShouldBecomeTooLong() throws Exception {
        String report = compose(
                Optional.empty(), failed("joe@fabrikam.com", "rfc822;joe@fabrikam.com", "\u00e4".repeat(5_000)));

        assertThat(report.lines()).allSatisfy(line -> assertThat(line.length()).isLessThanOrEqualTo(998));
    }

    @Test
    void reportShouldReachANextHopWithout8BitMime() throws Exception {
        String report = compose(
                "Subject: hi\r\n\r\nbody\r\n",
                Optional.empty(),
                failed("joe@fabrikam.com", "rfc822;joe@fabrikam.com", "5.1.1 Empf\u00e4nger unbekannt"));
        try (Outbound outbound = Outbound.start();
                ScriptedSmtpPeer peer =
                        ScriptedSmtpPeer.builder().extensions("PIPELINING").start()) {
            assertThat(outbound.send(
                                    Connectors.connector().to(peer).build(),
                                    OutboundMessage.of(
                                            "m1",
                                            Optional.empty(),
                                            List.of(Outbound.SENDER),
                                            MessageContent.of(report.getBytes(StandardCharsets.UTF_8))))
                            .outcomes()
                            .get(Outbound.SENDER))
                    .isInstanceOf(RecipientOutcome.Delivered.class);
            assertThat(peer.messages().get(0).text()).contains("Empf\\x{E4}nger unbekannt");
        }
    }

    @Test
    void composeShouldReturnASmallOriginalByteForByte() throws Exception {
        assertThat(compose(Optional.empty(), failed("joe@fabrikam.com")))
                .contains("Content-Type: message/rfc822")
                .contains("Content-Transfer-Encoding: 8bit")
                .contains("\r\n\r\n" + ORIGINAL);
    }

    @Test
    void composeShouldReturnTheHeaderOnlyWhenAskedTo() throws Exception {
        assertThat(compose(Optional.of(DsnReturn.HDRS), failed("joe@fabrikam.com")))
                .contains("Content-Type: text/rfc822-headers")
                .contains("Subject: hi")
                .doesNotContain("body, 8-bit");
    }

    @Test
    void composeShouldSayUntilWhenDelayedMailIsTried() throws Exception {
        Recipient delayed = new Recipient(
                Action.DELAYED,
                new MailAddress("joe@fabrikam.com"),
                Optional.empty(),
                "4.4.1",
                "connection refused",
                Optional.empty(),
                Optional.empty(),
                NOW,
                Optional.of(Instant.parse("2026-11-25T12:00:00Z")));

        assertThat(compose(Optional.of(DsnReturn.FULL), delayed))
                .contains("Action: delayed")
                .contains("Will-Retry-Until: Wed, 25 Nov 2026 12:00:00 +0000")
                .contains("Diagnostic-Code: X-Mailflow; connection refused")
                .doesNotContain("body, 8-bit");
    }
}
