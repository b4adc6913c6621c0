/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import static dev.mailflow.delivery.testing.Connectors.address;
import static dev.mailflow.delivery.testing.Connectors.connector;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import javax.mail.internet.AddressException;
import javax.mail.internet.MimeUtility;

import org.apache.james.core.MailAddress;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.delivery.DeliveryReport;
import dev.mailflow.delivery.DsnReturn;
import dev.mailflow.delivery.MessageContent;
import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.OutboundRecipient;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.RecipientOutcome.Deferred;
import dev.mailflow.delivery.RecipientOutcome.Delivered;
import dev.mailflow.delivery.RecipientOutcome.Failed;
import dev.mailflow.delivery.SmtpReply;
import dev.mailflow.delivery.SmtpTimeouts;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.policy.envelope.RequestedTls;

/** What is said to a next hop, and what its answers mean for each recipient. */
class SmtpDialogueTest {
    private static final MailAddress ANN = address("ann@fabrikam.com");
    private static final MailAddress BAD = address("bad@fabrikam.com");
    private static final MailAddress FULL = address("full@fabrikam.com");

    private static Outbound outbound;
    /** For peers that make it wait for nothing. */
    private static Outbound impatient;

    @BeforeAll
    static void start() {
        outbound = waiting(Duration.ofSeconds(20));
        impatient = waiting(Duration.ofMillis(700));
    }

    private static Outbound waiting(Duration limit) {
        return Outbound.start(
                Outbound.config().timeouts(SmtpTimeouts.DEFAULT.atMost(limit)).build());
    }

    @AfterAll
    static void stop() {
        outbound.close();
        impatient.close();
    }

    @ParameterizedTest(name = "pipelining {0}")
    @ValueSource(booleans = {true, false})
    void sendShouldSettleEachRecipientByItsOwnReply(boolean pipelining) {
        try (var peer = ScriptedSmtpPeer.builder()
                .extensions(pipelining ? "PIPELINING" : "8BITMIME")
                .when("RCPT", "bad@", Action.reply("550 5.1.1 no such user"))
                .when("RCPT", "full@", Action.reply("452 4.2.2 mailbox full"))
                .start()) {
            var outcomes = outbound.send(connector().to(peer).build(), Outbound.message(BAD, ANN, FULL))
                    .outcomes();

            assertThat(outcomes.keySet()).containsExactly(BAD, ANN, FULL);
            assertThat(outcomes.get(ANN)).isInstanceOf(Delivered.class);
            assertThat(((Failed) outcomes.get(BAD)).enhancedStatus()).isEqualTo("5.1.1");
            assertThat(((Failed) outcomes.get(BAD)).reply())
                    .contains(new SmtpReply(550, List.of("5.1.1 no such user")));
            assertThat(((Failed) outcomes.get(BAD)).reason()).contains("550 5.1.1 no such user (in reply to RCPT TO)");
            assertThat(((Deferred) outcomes.get(FULL)).enhancedStatus()).isEqualTo("4.2.2");
            assertThat(peer.messages()).hasSize(1);
            assertThat(peer.messages().get(0).recipients()).containsExactly("RCPT TO:<ann@fabrikam.com>");
        }
    }

    @ParameterizedTest(name = "{0}, pipelining {1}")
    @CsvSource({"552 too many recipients, true", "552 too many recipients, false", "552 5.5.3 too many recipients, true"
    })
    void oldCodeForTooManyRecipientsShouldDeferThoseThatWereTooMany(String reply, boolean pipelining) {
        try (var peer = ScriptedSmtpPeer.builder()
                .extensions(pipelining ? "PIPELINING" : "8BITMIME")
                .when("RCPT", "full@", Action.reply(reply))
                .start()) {
            var outcomes = outbound.send(connector().to(peer).build(), Outbound.message(ANN, FULL))
                    .outcomes();

            assertThat(outcomes.get(ANN)).isInstanceOf(Delivered.class);
            assertThat(outcomes.get(FULL)).isInstanceOf(Deferred.class);
        }
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"FULL, ANN: 552 too large", "ANN, FULL: 552 5.2.2 mailbox full"})
    void code552ThatDoesNotMeanTooManyRecipientsShouldFail(String row) {
        MailAddress[] order = row.startsWith("ANN") ? new MailAddress[] {ANN, FULL} : new MailAddress[] {FULL, ANN};
        try (var peer = ScriptedSmtpPeer.builder()
                .when("RCPT", "full@", Action.reply(row.substring(row.indexOf(':') + 2)))
                .start()) {
            var outcomes = outbound.send(connector().to(peer).build(), Outbound.message(order))
                    .outcomes();

            assertThat(outcomes.get(ANN)).isInstanceOf(Delivered.class);
            assertThat(outcomes.get(FULL)).isInstanceOf(Failed.class);
        }
    }

    @ParameterizedTest(name = "pipelining {0}")
    @ValueSource(booleans = {true, false})
    void connectionShouldServeTheNextMessageWhenAllRecipientsWereRefused(boolean pipelining) {
        try (var peer = ScriptedSmtpPeer.builder()
                .extensions(pipelining ? "PIPELINING" : "8BITMIME")
                .when("RCPT", "bad@", Action.reply("550 5.1.1 no such user"))
                .start()) {
            var connector = connector().to(peer).build();

            assertThat(outbound.send(connector, Outbound.message(BAD))
                            .outcomes()
                            .get(BAD))
                    .isInstanceOf(Failed.class);
            assertThat(outbound.send(connector)).isInstanceOf(Delivered.class);
            assertThat(peer.sessions()).hasSize(1);
            assertThat(peer.sessions().get(0).commands()).contains("RSET");
        }
    }

    @Test
    void sendShouldEndTheContentWhenThePeerTakesDataWithoutRecipients() {
        try (var peer = ScriptedSmtpPeer.builder()
                .when("RCPT", "bad@", Action.reply("550 5.1.1 no such user"))
                .on("DATA", Action.reply("354 whatever"))
                .start()) {
            var connector = connector().to(peer).build();

            assertThat(outbound.send(connector, Outbound.message(BAD))
                            .outcomes()
                            .get(BAD))
                    .isInstanceOf(Failed.class);
            assertThat(outbound.send(connector)).isInstanceOf(Delivered.class);
            assertThat(peer.messages()).hasSize(1);
            assertThat(peer.messages().get(0).text()).isEqualTo(Outbound.TEXT);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"451 4.3.0 not now", "550 5.7.1 not you"})
    void nobodyShouldGetAnEmptyMessageFromAPeerThatForgetsItsRefusal(String refusal) {
        try (var peer = ScriptedSmtpPeer.builder()
                .always("MAIL", Action.reply(refusal))
                .always("RCPT", Action.reply("250 2.1.5 welcome"))
                .always("DATA", Action.reply("354 go ahead"))
                .start()) {
            RecipientOutcome outcome = outbound.send(connector().to(peer).build());

            assertThat(outcome).isInstanceOf(refusal.startsWith("5") ? Failed.class : Deferred.class);
            assertThat(reasonOf(outcome)).contains(refusal);
            assertThat(peer.messages()).isEmpty();
            assertThat(peer.sessions().get(0).commands()).last().isEqualTo("DATA");
        }
    }

    static Stream<Arguments> refusals() {
        return Stream.of(
                arguments("CONNECT", "554 5.3.2 not here", "4.3.2", false),
                arguments("CONNECT", "421 4.3.2 too busy", "4.3.2", false),
                arguments("EHLO", "421 4.7.0 go away", "4.7.0", false),
                arguments("MAIL", "451 4.7.1 greylisted", "4.7.1", false),
                arguments("MAIL", "550 5.7.1 not you", "5.7.1", true),
                arguments("RCPT", "450 4.2.0 later", "4.2.0", false),
                arguments("RCPT", "550 5.1.1 unknown", "5.1.1", true),
                arguments("RCPT", "550 no enhanced status", "5.0.0", true),
                arguments("RCPT", "550 4.1.1 status of the wrong class", "5.0.0", true),
                arguments("DATA", "451 4.3.0 disk full", "4.3.0", false),
                arguments("DATA", "554 5.6.0 never", "5.6.0", true),
                arguments("BODY", "452 4.3.1 no space", "4.3.1", false),
                arguments("BODY", "554 5.7.1 spam", "5.7.1", true),
                arguments("BODY", "421 4.3.2 closing", "4.3.2", false));
    }

    @ParameterizedTest(name = "{0}: {1}, pipelining")
    @MethodSource("refusals")
    void refusalShouldDeferOrFailByItsClassWithPipelining(String step, String reply, String status, boolean fails) {
        refusalShouldDeferOrFail(step, reply, status, fails, "PIPELINING");
    }

    @ParameterizedTest(name = "{0}: {1}, no pipelining")
    @MethodSource("refusals")
    void refusalShouldDeferOrFailByItsClassWithoutPipelining(String step, String reply, String status, boolean fails) {
        refusalShouldDeferOrFail(step, reply, status, fails, "8BITMIME");
    }

    private void refusalShouldDeferOrFail(String step, String reply, String status, boolean fails, String extension) {
        try (var peer = ScriptedSmtpPeer.builder()
                .extensions(extension)
                .always(step, Action.reply(reply))
                .start()) {
            RecipientOutcome outcome = outbound.send(connector().to(peer).build());

            assertThat(outcome).isInstanceOf(fails ? Failed.class : Deferred.class);
            assertThat(statusOf(outcome)).isEqualTo(status);
            assertThat(reasonOf(outcome)).contains(reply);
            assertThat(peer.messages()).isEmpty();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY"})
    void sendShouldDeferWhenThePeerClosesAtAnyStep(String step) {
        try (var peer = ScriptedSmtpPeer.builder().always(step, Action.drop()).start()) {
            RecipientOutcome outcome = outbound.send(connector().to(peer).build());

            assertThat(outcome).isInstanceOf(Deferred.class);
            assertThat(reasonOf(outcome)).contains("the connection to");
            assertThat(reasonOf(outcome).contains("may have been accepted")).isEqualTo(step.equals("BODY"));
            assertThat(statusOf(outcome)).isEqualTo("4.4.2");
            // one attempt: after the final dot a second one would be a duplicate
            assertThat(peer.sessions()).hasSize(1);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY"})
    void sendShouldDeferWithinTheTimeoutWhenThePeerFallsSilentAtAnyStep(String step) {
        try (var peer =
                ScriptedSmtpPeer.builder().always(step, Action.silence()).start()) {
            RecipientOutcome outcome = impatient.send(connector().to(peer).build());

            assertThat(outcome).isInstanceOf(Deferred.class);
            assertThat(reasonOf(outcome)).contains("timed out after");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"CONNECT", "EHLO", "MAIL", "BODY"})
    void sendShouldDeferWithinTheTimeoutWhenRepliesDripIn(String step) {
        try (var peer = ScriptedSmtpPeer.builder()
                .always(step, Action.drip("250 " + "x".repeat(200), Duration.ofMillis(100)))
                .start()) {
            RecipientOutcome outcome = impatient.send(connector().to(peer).build());

            assertThat(outcome).isInstanceOf(Deferred.class);
            assertThat(reasonOf(outcome)).contains("timed out after");
        }
    }

    static Stream<Arguments> nonsense() {
        return Stream.of(
                arguments("a line of 1 MB", "250 " + "x".repeat(1 << 20), "a reply line of more than"),
                arguments("20,000 lines", "250-more\r\n".repeat(20_000) + "250 end", "a reply of more than"),
                arguments("no reply", "HTTP/1.1 400 Bad Request", "which is not an SMTP reply"),
                arguments("two codes in one reply", "250-a\r\n251 b", "which is not an SMTP reply"),
                arguments("a code that does not belong", "354 go ahead", "makes no sense"),
                arguments("two replies", "250 a\r\n250 b\r\n250 c\r\n250 d\r\n250 e", "answered '250 c' to DATA"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("nonsense")
    void sendShouldDeferWhenThePeerSpeaksNonsense(String name, String reply, String reason) {
        try (var peer =
                ScriptedSmtpPeer.builder().always("MAIL", Action.reply(reply)).start()) {
            RecipientOutcome outcome = outbound.send(connector().to(peer).build());

            assertThat(outcome).isInstanceOf(Deferred.class);
            assertThat(reasonOf(outcome)).contains(reason).doesNotContain("\n").hasSizeLessThan(400);
        }
    }

    @Test
    void controlCharactersInRepliesShouldNotReachReasons() {
        try (var peer = ScriptedSmtpPeer.builder()
                .always("MAIL", Action.reply("550 5.7.1 \u001b[31mred\u0007"))
                .start()) {
            assertThat(reasonOf(outbound.send(connector().to(peer).build()))).contains("?[31mred?");
        }
    }

    @Test
    void contentShouldArriveWithCanonicalLineEndsAndItsDots() {
        String content = "Subject: dots\n\n.\n..two\r\n.three\rfour\n\r\n.\r\nend without line end";
        try (var peer = ScriptedSmtpPeer.builder().start()) {
            outbound.send(
                    connector().to(peer).build(), Outbound.message(content.getBytes(StandardCharsets.US_ASCII), ANN));

            assertThat(peer.messages().get(0).text())
                    .isEqualTo(
                            "Subject: dots\r\n\r\n.\r\n..two\r\n.three\r\nfour\r\n\r\n.\r\nend without line end\r\n");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 65_535, 65_536, 65_537, 131_072, 5_000_000})
    void contentOfAnySizeShouldArriveWhole(int size) {
        StringBuilder text = new StringBuilder();
        while (text.length() < size) {
            text.append(".line ").append(text.length()).append("\r\n");
        }
        text.setLength(size);
        try (var peer = ScriptedSmtpPeer.builder().start()) {
            outbound.send(
                    connector().to(peer).build(),
                    Outbound.message(text.toString().getBytes(StandardCharsets.US_ASCII), ANN));

            String expected = size == 0 || text.toString().endsWith("\r\n")
                    ? text.toString()
                    : text.toString().endsWith("\r") ? text + "\n" : text + "\r\n";
            assertThat(peer.messages().get(0).text()).isEqualTo(expected);
        }
    }

    @Test
    void sendShouldDeferWhenThePeerTakesNoMoreOfTheContent() {
        try (var peer =
                ScriptedSmtpPeer.builder().always("BODY", Action.stopReading()).start()) {
            RecipientOutcome outcome = impatient
                    .send(connector().to(peer).build(), Outbound.message(new byte[20_000_000], ANN))
                    .outcomes()
                    .get(ANN);

            assertThat(outcome).isInstanceOf(Deferred.class);
            assertThat(reasonOf(outcome)).contains("has taken nothing of the message for");
        }
    }

    @Test
    void earlyRefusalOfTheContentShouldCount() {
        try (var peer = ScriptedSmtpPeer.builder()
                .always("BODY", Action.earlyReply("552 5.3.4 too big after all"))
                .start()) {
            RecipientOutcome outcome = outbound.send(
                            connector().to(peer).build(), Outbound.message(new byte[20_000_000], ANN))
                    .outcomes()
                    .get(ANN);

            assertThat(statusOf(outcome)).isEqualTo("5.3.4");
            assertThat(outcome).isInstanceOf(Failed.class);
        }
    }

    @Test
    void earlyAcceptanceOfTheContentShouldNotCount() {
        try (var peer = ScriptedSmtpPeer.builder()
                .always("BODY", Action.earlyReply("250 2.0.0 thanks"))
                .start()) {
            assertThat(outbound.send(connector().to(peer).build(), Outbound.message(new byte[20_000_000], ANN))
                            .outcomes()
                            .get(ANN))
                    .isInstanceOf(Deferred.class);
        }
    }

    @Test
    void largeContentShouldOnlyBeReadAsFastAsItIsTaken() throws Exception {
        long size = 300_000_000;
        var read = new AtomicLong();
        MessageContent endless = new MessageContent() {
            @Override
            public long size() {
                return size;
            }

            @Override
            public InputStream open() {
                return new InputStream() {
                    private long left = size;

                    @Override
                    public int read() {
                        read.incrementAndGet();
                        return left-- > 0 ? 'x' : -1;
                    }

                    @Override
                    public int read(byte[] into, int from, int length) {
                        if (left <= 0) {
                            return -1;
                        }
                        int n = (int) Math.min(length, left);
                        Arrays.fill(into, from, from + n, (byte) 'x');
                        left -= n;
                        read.addAndGet(n);
                        return n;
                    }
                };
            }
        };
        try (var peer =
                ScriptedSmtpPeer.builder().always("BODY", Action.stopReading()).start()) {
            var connector = connector().to(peer).build();
            DeliveryReport report = impatient
                    .transport()
                    .send(
                            connector,
                            connector.tls(),
                            OutboundMessage.of("big", Optional.of(Outbound.SENDER), List.of(ANN), endless))
                    .toCompletableFuture()
                    .get(30, TimeUnit.SECONDS);

            assertThat(report.outcomes().get(ANN)).isInstanceOf(Deferred.class);
            // socket buffers of both ends, and the window
            assertThat(read.get()).isLessThan(30_000_000);
        }
    }

    @Test
    void sendShouldDeferWhenTheContentCannotBeReadAndNotEndTheMessage() {
        MessageContent broken = new MessageContent() {
            @Override
            public long size() {
                return 1_000_000;
            }

            @Override
            public InputStream open() {
                return new SequenceInputStream(new ByteArrayInputStream(new byte[200_000]), new InputStream() {
                    @Override
                    public int read() throws IOException {
                        throw new IOException("disk on fire");
                    }

                    @Override
                    public int read(byte[] into, int from, int length) throws IOException {
                        throw new IOException("disk on fire");
                    }
                });
            }
        };
        try (var peer = ScriptedSmtpPeer.builder().start()) {
            RecipientOutcome outcome = outbound.send(
                            connector().to(peer).build(),
                            OutboundMessage.of("m", Optional.empty(), List.of(ANN), broken))
                    .outcomes()
                    .get(ANN);

            assertThat(outcome).isInstanceOf(Deferred.class);
            assertThat(reasonOf(outcome)).contains("disk on fire");
            assertThat(peer.messages()).isEmpty();
        }
    }

    @Test
    void parametersShouldBeSentWhenOffered() {
        OutboundMessage message = new OutboundMessage(
                "m",
                Optional.empty(),
                List.of(new OutboundRecipient(
                        ANN, Optional.of("SUCCESS,FAILURE"), Optional.of("rfc822;Ann@fabrikam.com"))),
                MessageContent.of("Subject: x\r\n\r\nx\r\n".getBytes(StandardCharsets.US_ASCII)),
                Optional.of("QQ314159"),
                Optional.of(DsnReturn.HDRS),
                RequestedTls.UNSPECIFIED);
        try (var modern = ScriptedSmtpPeer.builder()
                        .extensions("PIPELINING", "8BITMIME", "SIZE 1000000", "DSN", "SMTPUTF8")
                        .start();
                var old = ScriptedSmtpPeer.builder()
                        .always("EHLO", Action.reply("500 what"))
                        .start()) {
            outbound.send(connector().to(modern).build(), message);
            outbound.send(connector().to(old).build(), message);

            assertThat(modern.messages().get(0).mail())
                    .isEqualTo("MAIL FROM:<> SIZE=17 BODY=7BIT RET=HDRS ENVID=QQ314159");
            assertThat(modern.messages().get(0).recipients())
                    .containsExactly("RCPT TO:<ann@fabrikam.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Ann@fabrikam.com");
            assertThat(old.messages().get(0).mail()).isEqualTo("MAIL FROM:<>");
            assertThat(old.sessions().get(0).commands()).contains("HELO gateway.contoso.com");
        }
    }

    @Test
    void parametersThatAreNoXtextShouldNotBeSent() {
        OutboundMessage message = new OutboundMessage(
                "m",
                Optional.empty(),
                List.of(new OutboundRecipient(ANN, Optional.of("NEVER\r\nRSET"), Optional.empty())),
                MessageContent.of(new byte[0]),
                Optional.of("a b"),
                Optional.empty(),
                RequestedTls.UNSPECIFIED);
        try (var peer = ScriptedSmtpPeer.builder().extensions("DSN").start()) {
            outbound.send(connector().to(peer).build(), message);

            assertThat(peer.sessions().get(0).commands())
                    .contains("MAIL FROM:<>", "RCPT TO:<ann@fabrikam.com>")
                    .doesNotContain("RSET");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {100, 200_000})
    void eightBitContentShouldBeDeclaredWhenOfferedAndConvertedOrFailWhenNot(int padding) throws Exception {
        byte[] eightBit = ("Subject: x\r\n\r\n" + "x".repeat(padding) + "grüße\r\n").getBytes(StandardCharsets.UTF_8);
        try (var modern = ScriptedSmtpPeer.builder().start();
                var old = ScriptedSmtpPeer.builder().extensions("PIPELINING").start()) {
            outbound.send(connector().to(modern).build(), Outbound.message(eightBit, ANN));
            RecipientOutcome converted = outbound.send(connector().to(old).build(), Outbound.message(eightBit, ANN))
                    .outcomes()
                    .get(ANN);
            byte[] signed = ("DKIM-Signature: v=1; d=contoso.com\r\n" + new String(eightBit, StandardCharsets.UTF_8))
                    .getBytes(StandardCharsets.UTF_8);
            RecipientOutcome refused = outbound.send(connector().to(old).build(), Outbound.message(signed, ANN))
                    .outcomes()
                    .get(ANN);

            assertThat(modern.messages().get(0).mail()).contains("BODY=8BITMIME");
            assertThat(modern.messages().get(0).content()).isEqualTo(eightBit);
            assertThat(converted).isInstanceOf(Delivered.class);
            assertThat(old.messages()).singleElement().satisfies(message -> {
                assertThat(message.mail()).isEqualTo("MAIL FROM:<joe@contoso.com>");
                assertThat(message.text()).matches("\\p{ASCII}*");
                assertThat(MimeUtility.decode(
                                        new ByteArrayInputStream(message.text()
                                                .substring(message.text().indexOf("\r\n\r\n") + 4)
                                                .getBytes(StandardCharsets.US_ASCII)),
                                        "quoted-printable")
                                .readAllBytes())
                        .isEqualTo(("x".repeat(padding) + "grüße\r\n").getBytes(StandardCharsets.UTF_8));
            });
            assertThat(refused).isInstanceOf(Failed.class);
            assertThat(statusOf(refused)).isEqualTo("5.6.3");
            assertThat(reasonOf(refused)).contains("not converted because it has a signature (DKIM-Signature)");
        }
    }

    @Test
    void messageShouldFailWhenLargerThanThePeerTakes() {
        try (var peer = ScriptedSmtpPeer.builder().extensions("SIZE 10").start()) {
            RecipientOutcome outcome = outbound.send(connector().to(peer).build());

            assertThat(statusOf(outcome)).isEqualTo("5.3.4");
            assertThat(peer.sessions().get(0).commands()).noneMatch(command -> command.startsWith("MAIL"));
        }
    }

    @Test
    void internationalAddressShouldFailAloneWhenNotOffered() throws Exception {
        Optional<MailAddress> grete = international();
        assumeThat(grete).as("this James knows international addresses").isPresent();
        try (var peer = ScriptedSmtpPeer.builder().start();
                var modern = ScriptedSmtpPeer.builder()
                        .extensions("PIPELINING", "8BITMIME", "SMTPUTF8")
                        .start()) {
            var outcomes = outbound.send(connector().to(peer).build(), Outbound.message(grete.orElseThrow(), ANN))
                    .outcomes();
            assertThat(statusOf(outcomes.get(grete.orElseThrow()))).isEqualTo("5.6.7");
            assertThat(outcomes.get(ANN)).isInstanceOf(Delivered.class);

            outbound.send(connector().to(modern).build(), Outbound.message(grete.orElseThrow()));
            assertThat(modern.messages().get(0).mail()).endsWith(" SMTPUTF8");
        }
    }

    private static Optional<MailAddress> international() {
        try {
            return Optional.of(new MailAddress("größe@fabrikam.com"));
        } catch (AddressException e) {
            return Optional.empty();
        }
    }

    @Test
    void manyRecipientsShouldBeSpreadOverTransactions() {
        MailAddress[] many = IntStream.range(0, 250)
                .mapToObj(i -> address("user" + i + "@fabrikam.com"))
                .toArray(MailAddress[]::new);
        try (var peer = ScriptedSmtpPeer.builder().start()) {
            var outcomes = outbound.send(connector().to(peer).build(), Outbound.message(many))
                    .outcomes();

            assertThat(outcomes).hasSize(250);
            assertThat(outcomes.values()).allMatch(Delivered.class::isInstance);
            assertThat(peer.messages()).hasSize(3);
        }
    }

    private static String statusOf(RecipientOutcome outcome) {
        return outcome instanceof Failed failed
                ? failed.enhancedStatus()
                : outcome instanceof Deferred deferred ? deferred.enhancedStatus() : "2.0.0";
    }

    private static String reasonOf(RecipientOutcome outcome) {
        return outcome instanceof Failed failed
                ? failed.reason()
                : outcome instanceof Deferred deferred ? deferred.reason() : "delivered";
    }
}
