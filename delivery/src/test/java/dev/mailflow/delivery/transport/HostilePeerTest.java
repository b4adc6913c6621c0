/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import static dev.mailflow.delivery.testing.Connectors.address;
import static dev.mailflow.delivery.testing.Connectors.connector;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertTimeout;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

import org.apache.james.core.MailAddress;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.RecipientOutcome.Deferred;
import dev.mailflow.delivery.RecipientOutcome.Delivered;
import dev.mailflow.delivery.RecipientOutcome.Failed;
import dev.mailflow.delivery.SmtpTimeouts;
import dev.mailflow.delivery.testing.Connectors;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.policy.Secret;
import dev.mailflow.policy.connector.Credentials;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.domain.SenderPattern;
import dev.mailflow.policy.testing.TestCertificates;

/**
 * Every step of the longest dialogue there is, STARTTLS and AUTH included, against everything a peer may do to us: each
 * recipient gets its outcome within the timeouts, nothing leaves in plaintext, and nothing is left behind.
 */
class HostilePeerTest {
    private static final TestCertificates.Authority AUTHORITY = TestCertificates.authority("Test CA");
    private static final TestCertificates.Issued CERTIFICATE =
            AUTHORITY.leaf("peer.test").issue();
    private static final Duration STEP = Duration.ofMillis(400);
    /** No dialogue has more steps that can each take their time; the rest is for a busy machine. */
    private static final Duration LIMIT = Duration.ofSeconds(15);

    private static final MailAddress ANN = address("ann@fabrikam.com");
    private static final MailAddress BAD = address("bad@fabrikam.com");

    private static Outbound outbound;
    /** For peers from whom something in particular is expected, which a busy machine must not time out. */
    private static Outbound patient;

    @BeforeAll
    static void start() {
        outbound = Outbound.start(
                Outbound.config().timeouts(SmtpTimeouts.DEFAULT.atMost(STEP)).build());
        patient = Outbound.start(
                Outbound.config().timeouts(SmtpTimeouts.DEFAULT.atMost(LIMIT)).build());
    }

    @AfterAll
    static void stop() {
        outbound.close();
        patient.close();
        // an executor has ended a moment before its last thread is gone
        await().atMost(LIMIT)
                .untilAsserted(() -> assertThat(Thread.getAllStackTraces().keySet())
                        .extracting(Thread::getName)
                        .noneMatch(name -> name.startsWith("mailflow-delivery")));
    }

    private static ScriptedSmtpPeer.Builder peer() {
        return ScriptedSmtpPeer.builder().startTls(CERTIFICATE).user("gateway", "secret");
    }

    private static OutboundConnector connectorTo(ScriptedSmtpPeer peer) {
        return connector()
                .to(peer)
                .tls(Connectors.named("peer.test", AUTHORITY))
                .credentials(new Credentials(SenderPattern.ANY, "gateway", Secret.of("secret")))
                .build();
    }

    static Stream<Arguments> attacks() {
        Map<String, Action> actions = Map.of(
                "drop", Action.drop(),
                "silence", Action.silence(),
                "1 MB in a line", Action.reply("250 " + "x".repeat(1 << 20)),
                "1 MB in lines", Action.reply("250-more\r\n".repeat(100_000) + "250 end"),
                "drip", Action.drip("250 " + "x".repeat(200), Duration.ofMillis(50)),
                "bytes that are no reply", Action.reply("\u0000\u0001\u0002GET / HTTP/1.1"),
                "421 and drop", Action.replyThenDrop("421 4.3.2 going down"),
                "421 and no end", Action.reply("421 4.3.2 going down"),
                "lines of several codes", Action.reply("250-so far so good\r\n550 not at all"));
        return Stream.of("CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BODY")
                .flatMap(step -> actions.entrySet().stream()
                        .map(action -> Arguments.arguments(step, action.getKey(), action.getValue())));
    }

    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("attacks")
    void everyRecipientShouldBeDeferredInTimeAndNothingBeLeft(String step, String name, Action action) {
        try (var peer = peer().always(step, action).start()) {
            Map<MailAddress, RecipientOutcome> outcomes =
                    assertTimeout(LIMIT, () -> outbound.send(connectorTo(peer), Outbound.message(ANN, BAD))
                            .outcomes());

            assertThat(outcomes.keySet()).containsExactly(ANN, BAD);
            assertThat(outcomes.values()).allMatch(Deferred.class::isInstance);
            assertThat(peer.sessions()).allSatisfy(session -> assertThat(session.plaintextCommands())
                    .noneMatch(command -> command.startsWith("MAIL") || command.startsWith("AUTH")));
            await().atMost(LIMIT)
                    .untilAsserted(
                            () -> assertThat(outbound.transport().connections()).isZero());
        }
    }

    /** What a peer does in the middle of a flight of pipelined commands. */
    static Stream<Arguments> slips() {
        return Stream.of(
                Arguments.arguments("MAIL", "", Action.swallow()),
                Arguments.arguments("RCPT", "ann@", Action.swallow()),
                Arguments.arguments("RCPT", "bad@", Action.swallow()),
                Arguments.arguments("DATA", "", Action.swallow()),
                Arguments.arguments("MAIL", "", Action.reply("250 2.1.0 ok\r\n250 2.1.0 ok")),
                Arguments.arguments("RCPT", "ann@", Action.reply("250 2.1.5 ok\r\n250 2.1.5 ok")),
                Arguments.arguments("RCPT", "bad@", Action.reply("250 2.1.5 ok\r\n250 2.1.5 ok")),
                Arguments.arguments("MAIL", "", Action.reply("354 go ahead")),
                Arguments.arguments("RCPT", "ann@", Action.reply("354 go ahead")),
                Arguments.arguments("RCPT", "bad@", Action.reply("354 go ahead")),
                Arguments.arguments("DATA", "", Action.reply("250 2.0.0 thanks")),
                Arguments.arguments("DATA", "", Action.reply("150 wait")),
                Arguments.arguments("DATA", "", Action.reply("334 Zm9v")),
                Arguments.arguments("BODY", "", Action.reply("354 once more")),
                Arguments.arguments("BODY", "", Action.swallow()));
    }

    @ParameterizedTest(name = "{0} {1}: {2}")
    @MethodSource("slips")
    void repliesThatDoNotFitShouldDeferEverybodyAndTakeNobodysNameInVain(String step, String containing, Action slip) {
        for (boolean secured : new boolean[] {false, true}) {
            var builder = secured ? peer() : ScriptedSmtpPeer.builder();
            try (var peer = builder.when(step, containing, slip).start()) {
                OutboundConnector connector =
                        secured ? connectorTo(peer) : connector().to(peer).build();
                Map<MailAddress, RecipientOutcome> outcomes =
                        assertTimeout(LIMIT, () -> outbound.send(connector, Outbound.message(ANN, BAD))
                                .outcomes());

                assertThat(outcomes.keySet()).containsExactly(ANN, BAD);
                assertThat(outcomes.values()).allMatch(Deferred.class::isInstance);
                assertThat(peer.messages()).hasSizeLessThanOrEqualTo(step.equals("BODY") ? 1 : 0);
                await().atMost(LIMIT)
                        .untilAsserted(() ->
                                assertThat(outbound.transport().connections()).isZero());
            }
        }
    }

    @Test
    void refusalThatMayBelongToAnotherRecipientShouldBounceNobody() {
        // the reply for the first recipient is missing, so that the refusal of the second comes in its place
        try (var peer = ScriptedSmtpPeer.builder()
                .when("RCPT", "ann@", Action.swallow())
                .when("RCPT", "bad@", Action.reply("550 5.1.1 no such user"))
                .start()) {
            Map<MailAddress, RecipientOutcome> outcomes = outbound.send(
                            connector().to(peer).build(), Outbound.message(ANN, BAD))
                    .outcomes();

            assertThat(outcomes.values()).allMatch(Deferred.class::isInstance);
            assertThat(peer.messages()).isEmpty();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"EHLO", "AUTH", "MAIL", "RCPT", "DATA", "BODY"})
    void endOfTlsWithoutEndOfTcpShouldDefer(String step) {
        // the first EHLO is before TLS
        Action[] actions = step.equals("EHLO")
                ? new Action[] {Action.delay(Duration.ZERO), Action.closeNotify()}
                : new Action[] {Action.closeNotify()};
        for (String version : List.of("TLSv1.2", "TLSv1.3")) {
            try (var peer = peer().protocols(version).on(step, actions).start()) {
                RecipientOutcome outcome =
                        assertTimeout(LIMIT, () -> outbound.send(connectorTo(peer), Outbound.message(ANN))
                                .outcomes()
                                .get(ANN));

                assertThat(outcome).isInstanceOf(Deferred.class);
                await().atMost(LIMIT)
                        .untilAsserted(() ->
                                assertThat(outbound.transport().connections()).isZero());
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"AUTH", "MAIL", "RCPT", "DATA"})
    void anotherHandshakeShouldNeitherBreakNorLoseAnything(String step) {
        for (String version : List.of("TLSv1.2", "TLSv1.3")) {
            try (var peer =
                    peer().protocols(version).on(step, Action.renegotiate()).start()) {
                RecipientOutcome outcome =
                        assertTimeout(LIMIT, () -> patient.send(connectorTo(peer), Outbound.message(ANN))
                                .outcomes()
                                .get(ANN));

                assertThat(outcome instanceof Delivered)
                        .isEqualTo(peer.messages().size() == 1);
                assertThat(outcome).isNotInstanceOf(Failed.class);
                assertThat(peer.leakedInPlaintext()).isEmpty();
            }
        }
    }

    @Test
    void eightBitTextInRepliesShouldBeTaken() {
        try (var peer = peer().on("MAIL", Action.reply("250 2.1.0 angenehm, sch\u00f6ne Gr\u00fc\u00dfe"))
                .on("BODY", Action.reply("250-2.0.0 \u4f60\u597d\r\n250 2.0.0 \ud83d\udc4d"))
                .start()) {
            assertThat(patient.send(connectorTo(peer), Outbound.message(ANN))
                            .outcomes()
                            .get(ANN))
                    .isInstanceOf(Delivered.class);
        }
    }

    @Test
    void whatWasSaidOfARecipientShouldStandWhenThePeerThenGoesAway() {
        try (var peer = peer().when("RCPT", "bad@", Action.reply("550 5.1.1 no such user"))
                .always("DATA", Action.drop())
                .start()) {
            Map<MailAddress, RecipientOutcome> outcomes =
                    patient.send(connectorTo(peer), Outbound.message(ANN, BAD)).outcomes();

            assertThat(outcomes.get(ANN)).isInstanceOf(Deferred.class);
            assertThat(outcomes.get(BAD)).isInstanceOf(Failed.class);
        }
    }

    @Test
    void anAnswerToContentThatWasNotSentYetShouldNotBeBelieved() {
        try (var plain = ScriptedSmtpPeer.builder()
                        .always("DATA", Action.reply("354 go on\r\n250 2.0.0 thanks, that was quick"))
                        .start();
                var secured = peer().always("DATA", Action.reply("354 go on\r\n250 2.0.0 thanks, that was quick"))
                        .start()) {
            for (OutboundConnector connector : List.of(connector().to(plain).build(), connectorTo(secured))) {
                RecipientOutcome outcome = patient.send(connector, Outbound.message(ANN))
                        .outcomes()
                        .get(ANN);

                assertThat(outcome).isInstanceOfSatisfying(Deferred.class, deferred -> assertThat(deferred.reason())
                        .contains("to content it had not got yet, which makes no sense"));
            }
        }
    }

    @Test
    void plaintextInjectedAfterStartTlsShouldEndTheConnection() {
        try (var peer = peer().injectWithStartTls("250 2.1.0 injected\r\n").start()) {
            RecipientOutcome outcome = patient.send(connectorTo(peer), Outbound.message(ANN))
                    .outcomes()
                    .get(ANN);

            assertThat(outcome).isInstanceOfSatisfying(Deferred.class, deferred -> assertThat(deferred.reason())
                    .contains("STARTTLS"));
            assertThat(peer.messages()).isEmpty();
        }
    }

    @Test
    void whatIsOfferedAfterTlsShouldCountAndNothingElse() {
        try (var silentAfterTls = peer().extensions("PIPELINING", "8BITMIME", "SIZE 1000000", "DSN", "SMTPUTF8")
                        .extensionsAfterTls()
                        .start();
                var refusing = ScriptedSmtpPeer.builder()
                        .startTls(CERTIFICATE)
                        .on("EHLO", Action.delay(Duration.ZERO), Action.reply("502 5.5.1 not any more"))
                        .start()) {
            patient.send(connectorTo(silentAfterTls), Outbound.message(ANN));
            assertThat(silentAfterTls.messages().get(0).mail()).isEqualTo("MAIL FROM:<joe@contoso.com>");

            var encrypt = connector().to(refusing).tls(TlsLevel.ENCRYPT).build();
            patient.send(encrypt, Outbound.message(ANN));
            assertThat(refusing.messages()).allMatch(ScriptedSmtpPeer.ReceivedMessage::overTls);
        }
    }
}
