/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import static dev.mailflow.delivery.testing.Connectors.connector;
import static dev.mailflow.delivery.testing.Outbound.RECIPIENT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

import org.apache.james.core.MailAddress;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.OutboundRecipient;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.RecipientOutcome.Deferred;
import dev.mailflow.delivery.RecipientOutcome.Delivered;
import dev.mailflow.delivery.RecipientOutcome.Failed;
import dev.mailflow.delivery.testing.Connectors;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.SmartHost;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import dev.mailflow.policy.envelope.RequestedTls;
import dev.mailflow.policy.testing.TestCertificates;

/** REQUIRETLS (RFC 8689) towards next hops. */
class RequireTlsTest {
    private static final TestCertificates.Authority AUTHORITY = TestCertificates.authority("Test CA");
    private static final TestCertificates.Issued GOOD =
            AUTHORITY.leaf("localhost").issue();

    private static Outbound outbound;

    @BeforeAll
    static void start() {
        outbound = Outbound.start();
    }

    @AfterAll
    static void stop() {
        outbound.close();
    }

    private static ScriptedSmtpPeer peer(TestCertificates.Issued shown, String... afterTls) {
        return ScriptedSmtpPeer.builder()
                .extensions("PIPELINING", "REQUIRETLS")
                .extensionsAfterTls(afterTls)
                .startTls(shown)
                .start();
    }

    private static OutboundConnector to(TlsRequirement tls, ScriptedSmtpPeer... peers) {
        SmartHost[] hosts = new SmartHost[peers.length];
        for (int i = 0; i < peers.length; i++) {
            hosts[i] = new SmartHost("localhost", peers[i].port(), i, 1);
        }
        return connector().to(hosts).tls(tls).build();
    }

    private static RecipientOutcome send(OutboundConnector connector, Optional<MailAddress> sender) {
        OutboundMessage usual = Outbound.message();
        return outbound.send(
                        connector,
                        new OutboundMessage(
                                "m1",
                                sender,
                                List.of(OutboundRecipient.of(RECIPIENT)),
                                usual.content(),
                                Optional.empty(),
                                Optional.empty(),
                                RequestedTls.REQUIRED))
                .outcomes()
                .get(RECIPIENT);
    }

    private static RecipientOutcome send(OutboundConnector connector) {
        return send(connector, Optional.of(Outbound.SENDER));
    }

    private static TlsRequirement trusting(TlsLevel level) {
        return Connectors.trusting(level, AUTHORITY);
    }

    @ParameterizedTest
    @EnumSource(
            value = TlsLevel.class,
            names = {"OPPORTUNISTIC", "ENCRYPT", "CA", "DOMAIN"})
    void anAuthenticatedNextHopThatPromisesTheSameShouldGetIt(TlsLevel level) {
        try (var peer = peer(GOOD, "PIPELINING", "REQUIRETLS")) {
            assertThat(send(to(trusting(level), peer))).isInstanceOf(Delivered.class);
            assertThat(peer.messages().get(0).mail()).endsWith(" REQUIRETLS");
            assertThat(peer.messages().get(0).overTls()).isTrue();
        }
    }

    @Test
    void oneThatDoesNotPromiseItUnderTlsShouldNotGetItButTheNextOne() {
        try (var liar = peer(GOOD, "PIPELINING");
                var peer = peer(GOOD, "PIPELINING", "REQUIRETLS")) {
            assertThat(send(to(trusting(TlsLevel.ENCRYPT), liar, peer))).isInstanceOf(Delivered.class);
            assertThat(liar.messages()).isEmpty();
            assertThat(liar.sessions().get(0).commands()).noneMatch(command -> command.startsWith("MAIL"));
        }
    }

    @Test
    void mailThatNobodyPromisesItForShouldFail() {
        try (var liar = peer(GOOD, "PIPELINING");
                var stranger = peer(TestCertificates.selfSigned("localhost"), "REQUIRETLS");
                var plain = ScriptedSmtpPeer.builder().start()) {
            for (ScriptedSmtpPeer each : List.of(liar, stranger, plain)) {
                assertThat(send(to(trusting(TlsLevel.OPPORTUNISTIC), each)))
                        .isInstanceOfSatisfying(Failed.class, failed -> {
                            assertThat(failed.enhancedStatus()).isEqualTo("5.7.30");
                            assertThat(failed.reason()).startsWith("REQUIRETLS support required: ");
                        });
                assertThat(each.messages()).isEmpty();
            }
            assertThat(send(to(TlsRequirement.of(TlsLevel.NONE), plain)))
                    .isInstanceOfSatisfying(Failed.class, failed -> assertThat(failed.enhancedStatus())
                            .isEqualTo("5.7.30"));
        }
    }

    @Test
    void mailShouldWaitWhileANextHopThatMayPromiseItIsDown() {
        try (var liar = peer(GOOD, "PIPELINING");
                var down = ScriptedSmtpPeer.builder()
                        .always("CONNECT", Action.reply("421 4.3.2 maintenance"))
                        .start()) {
            assertThat(send(to(trusting(TlsLevel.ENCRYPT), liar, down))).isInstanceOf(Deferred.class);
        }
    }

    private static ScriptedSmtpPeer.Builder promising() {
        return ScriptedSmtpPeer.builder()
                .startTls(GOOD)
                .extensionsAfterTls("PIPELINING", "REQUIRETLS")
                .always("MAIL", Action.reply("550 5.7.1 what comes here fails the test"));
    }

    static Stream<Arguments> passingTroubles() {
        return Stream.of(
                arguments(
                        "told to come later",
                        promising()
                                .always(
                                        "STARTTLS",
                                        Action.reply("454 4.7.0 TLS not available due to temporary reason"))),
                arguments("sent away", promising().always("STARTTLS", Action.replyThenDrop("421 4.3.2 shutting down"))),
                arguments("closed", promising().always("STARTTLS", Action.replyThenDrop("220 2.0.0 go ahead"))),
                arguments("broken", promising().brokenTls()),
                arguments("silent", promising().silentTls()));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("passingTroubles")
    void mailShouldWaitWhileANextHopHasPassingTroubleWithTls(String trouble, ScriptedSmtpPeer.Builder script) {
        try (var liar = peer(GOOD, "PIPELINING");
                var peer = script.start()) {
            for (TlsLevel level : List.of(TlsLevel.OPPORTUNISTIC, TlsLevel.ENCRYPT, TlsLevel.CA)) {
                assertThat(send(to(trusting(level), liar, peer)))
                        .as("%s at %s", trouble, level)
                        .isInstanceOfSatisfying(Deferred.class, deferred -> assertThat(deferred.enhancedStatus())
                                .startsWith("4."));
            }
            assertThat(peer.messages()).isEmpty();
            assertThat(peer.leakedInPlaintext()).isEmpty();
        }
    }

    @Test
    void mailShouldFailWhereANextHopRefusesTlsForGood() {
        try (var peer = promising()
                .always("STARTTLS", Action.reply("502 5.5.1 not implemented"))
                .start()) {
            assertThat(send(to(trusting(TlsLevel.OPPORTUNISTIC), peer)))
                    .isInstanceOfSatisfying(Failed.class, failed -> assertThat(failed.enhancedStatus())
                            .isEqualTo("5.7.30"));
            assertThat(peer.leakedInPlaintext()).isEmpty();
        }
    }

    @Test
    void aPromiseOfTheConnectorThatIsNotKeptShouldDeferAsEver() {
        try (var stranger = peer(TestCertificates.selfSigned("localhost"), "REQUIRETLS")) {
            assertThat(send(to(trusting(TlsLevel.DOMAIN), stranger))).isInstanceOf(Deferred.class);
        }
    }

    @Test
    void aReportShouldNotBeLostForWantOfThePromiseButNeverLeaveInPlaintext() {
        try (var liar = peer(TestCertificates.selfSigned("localhost"), "PIPELINING");
                var peer = peer(GOOD, "PIPELINING", "REQUIRETLS");
                var plain = ScriptedSmtpPeer.builder().start()) {
            assertThat(send(to(trusting(TlsLevel.OPPORTUNISTIC), liar), Optional.empty()))
                    .isInstanceOf(Delivered.class);
            assertThat(liar.messages().get(0).mail()).isEqualTo("MAIL FROM:<>");
            assertThat(send(to(trusting(TlsLevel.OPPORTUNISTIC), peer), Optional.empty()))
                    .isInstanceOf(Delivered.class);
            assertThat(peer.messages().get(0).mail()).isEqualTo("MAIL FROM:<> REQUIRETLS");
            assertThat(send(to(trusting(TlsLevel.OPPORTUNISTIC), plain), Optional.empty()))
                    .isInstanceOf(Deferred.class);
            assertThat(plain.messages()).isEmpty();
        }
    }
}
