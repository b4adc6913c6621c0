/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import static dev.mailflow.delivery.testing.Connectors.address;
import static dev.mailflow.delivery.testing.Connectors.connector;
import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Optional;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.delivery.MessageContent;
import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.RecipientOutcome.Deferred;
import dev.mailflow.delivery.RecipientOutcome.Delivered;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.policy.Secret;
import dev.mailflow.policy.connector.Credentials;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.domain.SenderPattern;
import dev.mailflow.policy.testing.TestCertificates;

/** Credentials go to the right peer, over TLS, and to nobody else. */
class AuthenticationTest {
    private static final TestCertificates.Issued CERTIFICATE = TestCertificates.selfSigned("relay.test");
    private static final Credentials GATEWAY = credentials("*", "gateway", "s3cret");

    private static Outbound outbound;

    @BeforeAll
    static void start() {
        outbound = Outbound.start();
    }

    @AfterAll
    static void stop() {
        outbound.close();
    }

    private static Credentials credentials(String sender, String user, String secret) {
        return new Credentials(SenderPattern.parse(sender), user, Secret.of(secret));
    }

    private static RecipientOutcome sendOverTls(ScriptedSmtpPeer peer) {
        return outbound.send(
                connector().to(peer).tls(TlsLevel.ENCRYPT).credentials(GATEWAY).build());
    }

    @ParameterizedTest
    @ValueSource(strings = {"AUTH PLAIN LOGIN XOAUTH2", "AUTH LOGIN", "AUTH XOAUTH2", "AUTH=PLAIN", "auth plain"})
    void credentialsShouldBeShownByAMechanismThatIsOffered(String offer) {
        try (var peer = ScriptedSmtpPeer.builder()
                .startTls(CERTIFICATE)
                .extensions("PIPELINING", offer)
                .user("gateway", "s3cret")
                .start()) {
            RecipientOutcome outcome = sendOverTls(peer);

            assertThat(outcome).isInstanceOf(Delivered.class);
            assertThat(peer.sessions().get(0).user()).contains("gateway");
            assertThat(peer.leakedInPlaintext()).isEmpty();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "eyJhbGciOiJSUzI1NiJ9.e30.c2ln, AUTH XOAUTH2",
        "ya29.a0AfH6SM, AUTH XOAUTH2",
        "correct horse battery staple, AUTH PLAIN"
    })
    void aTokenShouldBeShownAsOneWhereTokensAndPasswordsAreTaken(String secret, String mechanism) {
        try (var peer = ScriptedSmtpPeer.builder()
                .startTls(CERTIFICATE)
                .extensions("AUTH LOGIN PLAIN XOAUTH2")
                .user("gateway", secret)
                .start()) {
            RecipientOutcome outcome = outbound.send(connector()
                    .to(peer)
                    .tls(TlsLevel.ENCRYPT)
                    .credentials(new Credentials(SenderPattern.ANY, "gateway", Secret.of(secret)))
                    .build());

            assertThat(outcome).isInstanceOf(Delivered.class);
            assertThat(peer.sessions().get(0).commands()).anyMatch(command -> command.startsWith(mechanism));
        }
    }

    @Test
    void mailShouldBeDeferredAndNoSecretToldWhenCredentialsAreRefused() {
        try (var peer = ScriptedSmtpPeer.builder()
                .startTls(CERTIFICATE)
                .user("gateway", "another")
                .start()) {
            RecipientOutcome outcome = sendOverTls(peer);

            assertThat(((Deferred) outcome).reason())
                    .contains("did not accept the credentials of user 'gateway' of connector 'test': 535 5.7.8")
                    .doesNotContain("s3cret");
            assertThat(((Deferred) outcome).enhancedStatus()).isEqualTo("4.7.8");
            assertThat(peer.messages()).isEmpty();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"PLAIN", "XOAUTH2"})
    void whatThePeerRepeatsOfASecretShouldNotBeTold(String mechanism) {
        String response = mechanism.equals("PLAIN") ? "\0gateway\0s3cret" : "user=gateway\1auth=Bearer s3cret\1\1";
        String told = Base64.getEncoder().encodeToString(response.getBytes(StandardCharsets.UTF_8));
        try (var peer = ScriptedSmtpPeer.builder()
                .startTls(CERTIFICATE)
                .extensions("AUTH " + mechanism)
                .when("AUTH", told, Action.reply("535 5.7.8 no to 'AUTH " + mechanism + " " + told + "'"))
                .start()) {
            RecipientOutcome outcome = sendOverTls(peer);

            assertThat(((Deferred) outcome).reason())
                    .contains("535 5.7.8 no to 'AUTH " + mechanism + " (secret)'")
                    .doesNotContain(told);
            assertThat(((Deferred) outcome).reply().toString()).doesNotContain(told);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"NONE", "OPPORTUNISTIC"})
    void credentialsShouldNotBeShownWithoutTls(TlsLevel level) {
        try (var peer = ScriptedSmtpPeer.builder()
                .extensions("AUTH PLAIN LOGIN")
                .user("gateway", "s3cret")
                .start()) {
            RecipientOutcome outcome = outbound.send(
                    connector().to(peer).tls(level).credentials(GATEWAY).build());

            assertThat(((Deferred) outcome).reason()).contains("are sent over TLS only");
            assertThat(peer.leakedInPlaintext()).isEmpty();
        }
    }

    @Test
    void mailShouldBeDeferredWhenNoKnownMechanismIsOffered() {
        try (var peer = ScriptedSmtpPeer.builder()
                .startTls(CERTIFICATE)
                .extensions("AUTH GSSAPI")
                .start()) {
            RecipientOutcome outcome = sendOverTls(peer);

            assertThat(((Deferred) outcome).reason()).contains("offers AUTH GSSAPI, expected PLAIN, LOGIN or XOAUTH2");
        }
    }

    @Test
    void connectionsShouldNotBeSharedBySendersWithOtherCredentials() {
        var sales = credentials("*@sales.contoso.com", "sales", "s3cret");
        try (var peer = ScriptedSmtpPeer.builder()
                .startTls(CERTIFICATE)
                .user("gateway", "s3cret")
                .start()) {
            var connector = connector()
                    .to(peer)
                    .tls(TlsLevel.ENCRYPT)
                    .credentials(GATEWAY, sales)
                    .build();
            var bySales = OutboundMessage.of(
                    "s",
                    Optional.of(address("bob@sales.contoso.com")),
                    List.of(Outbound.RECIPIENT),
                    MessageContent.of(new byte[0]));

            assertThat(outbound.send(connector)).isInstanceOf(Delivered.class);
            assertThat(outbound.send(connector, bySales).outcomes().get(Outbound.RECIPIENT))
                    .isInstanceOf(Deferred.class);
            assertThat(outbound.send(connector)).isInstanceOf(Delivered.class);
            assertThat(peer.messages())
                    .extracting(message -> message.session())
                    .containsOnly(peer.sessions().get(0));
        }
    }
}
