/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import static dev.mailflow.delivery.testing.Connectors.address;
import static dev.mailflow.delivery.testing.Connectors.connector;
import static dev.mailflow.delivery.testing.Connectors.named;
import static dev.mailflow.delivery.testing.Connectors.pinned;
import static dev.mailflow.delivery.testing.Connectors.presenting;
import static dev.mailflow.delivery.testing.Connectors.trusting;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Optional;
import java.util.stream.Stream;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.RecipientOutcome.Deferred;
import dev.mailflow.delivery.RecipientOutcome.Delivered;
import dev.mailflow.delivery.TlsUsed;
import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Session;
import dev.mailflow.policy.connector.SmartHost;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import dev.mailflow.policy.testing.TestCertificates;

/** A TLS promise is kept or the mail waits with the reason visible; section 4 of the mail-flow behaviour. */
class ForcedTlsTest {
    private static final String HOST = "mail.fabrikam.com";
    private static final TestCertificates.Authority CA = TestCertificates.authority("Test CA");
    private static final TestCertificates.Authority OTHER_CA = TestCertificates.authority("Other CA");
    private static final TestCertificates.Issued GOOD = CA.leaf(HOST).issue();
    private static final TestCertificates.Issued UNDER_INTERMEDIATE =
            CA.intermediate("Test Intermediate").leaf(HOST).issue();
    private static final TestCertificates.Issued SELF_SIGNED = TestCertificates.selfSigned(HOST);
    private static final TestCertificates.Issued EXPIRED =
            CA.leaf(HOST).expired().issue();
    private static final TestCertificates.Issued NOT_YET =
            CA.leaf(HOST).notYetValid().issue();
    private static final TestCertificates.Issued FOREIGN = OTHER_CA.leaf(HOST).issue();
    private static final TestCertificates.Issued WRONG_NAME =
            CA.leaf("mail.northwind.com").issue();
    private static final TestCertificates.Issued NAME_ONLY_IN_CN =
            CA.leaf("mail.northwind.com").commonName(HOST).issue();
    private static final TestCertificates.Issued CN_WITHOUT_SAN =
            CA.leafWithoutSan(HOST).issue();
    private static final TestCertificates.Issued WILDCARD =
            CA.leaf("*.fabrikam.com").issue();
    private static final TestCertificates.Issued ELLIPTIC =
            CA.leaf(HOST).ellipticCurve().issue();
    private static final TestCertificates.Issued CLIENT =
            CA.leaf("gateway.contoso.com").issue();

    private static Outbound outbound;

    @BeforeAll
    static void start() {
        outbound = Outbound.start();
    }

    @AfterAll
    static void stop() {
        outbound.close();
    }

    private static ScriptedSmtpPeer.Builder peer(TestCertificates.Issued certificate) {
        return ScriptedSmtpPeer.builder().startTls(certificate);
    }

    static Stream<Arguments> promisesThatCanBeKept() {
        return Stream.of(
                arguments("good under encrypt", peer(GOOD), TlsRequirement.of(TlsLevel.ENCRYPT)),
                arguments("good under ca", peer(GOOD), trusting(TlsLevel.CA, CA)),
                arguments("good under domain", peer(GOOD), named(HOST, CA)),
                arguments("elliptic curve under domain", peer(ELLIPTIC), named(HOST, CA)),
                arguments("TLS 1.2 only", peer(GOOD).protocols("TLSv1.2"), named(HOST, CA)),
                arguments("TLS 1.3 only", peer(GOOD).protocols("TLSv1.3"), named(HOST, CA)),
                arguments("below an intermediate", peer(UNDER_INTERMEDIATE), named(HOST, CA)),
                arguments("self-signed under encrypt", peer(SELF_SIGNED), TlsRequirement.of(TlsLevel.ENCRYPT)),
                arguments("expired under encrypt", peer(EXPIRED), TlsRequirement.of(TlsLevel.ENCRYPT)),
                arguments(
                        "self-signed under opportunistic",
                        peer(SELF_SIGNED),
                        TlsRequirement.of(TlsLevel.OPPORTUNISTIC)),
                arguments("wrong name under ca", peer(WRONG_NAME), trusting(TlsLevel.CA, CA)),
                arguments("CN without SAN", peer(CN_WITHOUT_SAN), named(HOST, CA)),
                arguments("wildcard for one label", peer(WILDCARD), named(HOST, CA)),
                arguments("configured suffix", peer(GOOD), named("*.fabrikam.com", CA)),
                arguments(
                        "certificate pinned",
                        peer(SELF_SIGNED),
                        pinned(
                                TestCertificates.sha256(GOOD.certificate()),
                                TestCertificates.sha256(SELF_SIGNED.certificate()))),
                arguments(
                        "public key pinned",
                        peer(SELF_SIGNED),
                        pinned(TestCertificates.spkiSha256(SELF_SIGNED.certificate()))),
                arguments(
                        "client certificate demanded and configured, TLS 1.3",
                        peer(GOOD).needClientCertificate(),
                        presenting(CLIENT, named(HOST, CA))),
                arguments(
                        "client certificate demanded and configured, TLS 1.2",
                        peer(GOOD).needClientCertificate().protocols("TLSv1.2"),
                        presenting(CLIENT, named(HOST, CA))),
                arguments(
                        "client certificate wanted and none configured",
                        peer(GOOD).wantClientCertificate(),
                        named(HOST, CA)));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("promisesThatCanBeKept")
    void sendShouldDeliverOnceOverTlsWhenThePromiseCanBeKept(
            String name, ScriptedSmtpPeer.Builder script, TlsRequirement requirement) {
        try (var peer = script.start()) {
            RecipientOutcome outcome =
                    outbound.send(connector().to(peer).tls(requirement).build());

            assertThat(outcome).isInstanceOf(Delivered.class);
            assertThat(outcome.hop().flatMap(hop -> hop.tls()).map(TlsUsed::protocol))
                    .isEqualTo(peer.sessions().get(0).tlsProtocol());
            assertThat(peer.messages()).hasSize(1);
            assertThat(peer.messages().get(0).overTls()).isTrue();
            assertThat(peer.leakedInPlaintext()).isEmpty();
        }
    }

    static Stream<Arguments> promisesThatCannotBeKept() {
        String gateway = "certificate SHA-256 " + TestCertificates.sha256(SELF_SIGNED.certificate());
        return Stream.of(
                arguments(
                        "no STARTTLS offered",
                        ScriptedSmtpPeer.builder(),
                        TlsRequirement.of(TlsLevel.ENCRYPT),
                        "TLS required by connector 'test' but host",
                        "did not offer STARTTLS"),
                arguments(
                        "only HELO known",
                        ScriptedSmtpPeer.builder().always("EHLO", Action.reply("502 5.5.1 what")),
                        TlsRequirement.of(TlsLevel.ENCRYPT),
                        "did not offer STARTTLS",
                        ""),
                arguments(
                        "STARTTLS refused for now",
                        peer(GOOD).always("STARTTLS", Action.reply("454 4.7.0 not now")),
                        TlsRequirement.of(TlsLevel.ENCRYPT),
                        "454 4.7.0 not now",
                        "STARTTLS"),
                arguments(
                        "STARTTLS refused for good",
                        peer(GOOD).always("STARTTLS", Action.reply("501 5.5.4 no")),
                        trusting(TlsLevel.CA, CA),
                        "501 5.5.4 no",
                        ""),
                arguments(
                        "connection dropped at STARTTLS",
                        peer(GOOD).always("STARTTLS", Action.drop()),
                        TlsRequirement.of(TlsLevel.ENCRYPT),
                        "was closed while waiting for the reply to STARTTLS",
                        ""),
                arguments(
                        "handshake fails",
                        ScriptedSmtpPeer.builder().brokenTls(),
                        TlsRequirement.of(TlsLevel.ENCRYPT),
                        "TLS with",
                        "failed"),
                arguments(
                        "connection dropped in the handshake",
                        peer(GOOD).always("STARTTLS", Action.replyThenDrop("220 go ahead")),
                        TlsRequirement.of(TlsLevel.ENCRYPT),
                        "TLS with",
                        "failed"),
                arguments(
                        "self-signed under ca",
                        peer(SELF_SIGNED),
                        trusting(TlsLevel.CA, CA),
                        "is self-signed and not among file://conf/ca.pem",
                        HOST),
                arguments("self-signed under domain", peer(SELF_SIGNED), named(HOST, CA), "is self-signed", ""),
                arguments(
                        "wrong pin",
                        peer(SELF_SIGNED),
                        pinned(TestCertificates.sha256(GOOD.certificate())),
                        gateway,
                        "none of the 1 pinned"),
                arguments(
                        "expired under ca",
                        peer(EXPIRED),
                        trusting(TlsLevel.CA, CA),
                        "certificate expired on "
                                + EXPIRED.certificate().getNotAfter().toInstant(),
                        "connector 'test'"),
                arguments(
                        "not yet valid under ca",
                        peer(NOT_YET),
                        trusting(TlsLevel.CA, CA),
                        "certificate is not valid before "
                                + NOT_YET.certificate().getNotBefore().toInstant(),
                        ""),
                arguments(
                        "unknown CA",
                        peer(FOREIGN),
                        trusting(TlsLevel.CA, CA),
                        "issuer 'CN=Other CA', which does not lead to file://conf/ca.pem",
                        ""),
                arguments(
                        "test CA under the JDK's anchors",
                        peer(GOOD),
                        TlsRequirement.of(TlsLevel.CA),
                        "issuer 'CN=Test CA', which does not lead to the JDK's trust anchors",
                        ""),
                arguments(
                        "wrong name under domain",
                        peer(WRONG_NAME),
                        named(HOST, CA),
                        "certificate names mail.northwind.com do not match 'mail.fabrikam.com'",
                        ""),
                arguments(
                        "name only in CN with SAN present",
                        peer(NAME_ONLY_IN_CN),
                        named(HOST, CA),
                        "certificate names mail.northwind.com do not match 'mail.fabrikam.com'",
                        ""),
                arguments(
                        "wildcard for two labels",
                        peer(WILDCARD),
                        named("a.mail.fabrikam.com", CA),
                        "certificate names *.fabrikam.com do not match 'a.mail.fabrikam.com'",
                        ""),
                arguments(
                        "wildcard for its own base",
                        peer(WILDCARD),
                        named("fabrikam.com", CA),
                        "do not match 'fabrikam.com'",
                        ""),
                arguments(
                        "TLS 1.1 only",
                        peer(GOOD).protocols("TLSv1.1"),
                        TlsRequirement.of(TlsLevel.ENCRYPT),
                        "TLS with",
                        "protocol"),
                arguments(
                        "client certificate demanded and none configured, TLS 1.3",
                        peer(GOOD).needClientCertificate(),
                        named(HOST, CA),
                        "TLS with",
                        "failed"),
                arguments(
                        "client certificate demanded and none configured, TLS 1.2",
                        peer(GOOD).needClientCertificate().protocols("TLSv1.2"),
                        named(HOST, CA),
                        "TLS with",
                        "failed"),
                arguments(
                        "plaintext injected with the reply to STARTTLS",
                        peer(GOOD).injectWithStartTls("250 injected"),
                        TlsRequirement.of(TlsLevel.ENCRYPT),
                        "sent plaintext after its reply to STARTTLS",
                        "attack"),
                arguments(
                        "half a line injected with the reply to STARTTLS",
                        peer(GOOD).injectWithStartTls("2"),
                        TlsRequirement.of(TlsLevel.ENCRYPT),
                        "sent plaintext after its reply to STARTTLS",
                        ""),
                arguments(
                        "dane",
                        peer(GOOD),
                        TlsRequirement.of(TlsLevel.DANE),
                        "TLS level 'dane'",
                        "no DNS resolver is trusted"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("promisesThatCannotBeKept")
    void sendShouldDeferWithTheReasonAndSendNothingInPlaintextWhenThePromiseCannotBeKept(
            String name,
            ScriptedSmtpPeer.Builder script,
            TlsRequirement requirement,
            String reason,
            String alsoInReason) {
        try (var peer = script.start()) {
            RecipientOutcome outcome =
                    outbound.send(connector().to(peer).tls(requirement).build());

            assertThat(outcome).isInstanceOf(Deferred.class);
            assertThat(((Deferred) outcome).reason()).contains(reason).contains(alsoInReason);
            assertThat(((Deferred) outcome).enhancedStatus()).startsWith("4.");
            assertThat(peer.messages()).isEmpty();
            assertThat(peer.leakedInPlaintext()).isEmpty();
        }
    }

    static Stream<Arguments> brokenTls() {
        return Stream.of(
                arguments("not offered", ScriptedSmtpPeer.builder(), 1),
                arguments("refused", peer(GOOD).always("STARTTLS", Action.reply("454 4.7.0 not now")), 2),
                arguments("handshake fails", ScriptedSmtpPeer.builder().brokenTls(), 2),
                arguments("TLS 1.1 only", peer(GOOD).protocols("TLSv1.1"), 2),
                arguments("client certificate demanded", peer(GOOD).needClientCertificate(), 2),
                arguments("plaintext injected", peer(GOOD).injectWithStartTls("250 injected"), 2));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("brokenTls")
    void opportunisticShouldUsePlaintextOnlyOnAConnectionWhereNothingFailed(
            String name, ScriptedSmtpPeer.Builder script, int connections) {
        try (var peer = script.start()) {
            RecipientOutcome outcome = outbound.send(
                    connector().to(peer).tls(TlsLevel.OPPORTUNISTIC).build());

            assertThat(outcome).isInstanceOf(Delivered.class);
            assertThat(outcome.hop().flatMap(hop -> hop.tls())).isEmpty();
            assertThat(peer.sessions()).hasSize(connections);
            assertThat(peer.sessions().get(connections - 1).commands()).noneMatch("STARTTLS"::equals);
        }
    }

    @ParameterizedTest(name = "{0}: {1}")
    @CsvSource({
        "MAIL, 530 5.7.0 Must issue a STARTTLS command first, true",
        "RCPT, 550 5.7.10 Encryption needed, true",
        "RCPT, 554 5.7.3 TLS is required here, true",
        "MAIL, 550 5.7.1 you are on a list, false"
    })
    void refusalOfPlaintextAfterTlsHadFailedShouldNotBeTheLastWord(String step, String reply, boolean waits) {
        try (var peer = peer(GOOD)
                .always("STARTTLS", Action.reply("454 4.7.0 not now"))
                .always(step, Action.reply(reply))
                .start()) {
            RecipientOutcome outcome = outbound.send(
                    connector().to(peer).tls(TlsLevel.OPPORTUNISTIC).build());

            assertThat(outcome).isInstanceOf(waits ? Deferred.class : RecipientOutcome.Failed.class);
            assertThat(outcome.toString()).contains(reply).contains(waits ? "after TLS with it had failed" : reply);
        }
    }

    @Test
    void refusalOfPlaintextWhereTlsWasNotOfferedShouldFail() {
        try (var peer = ScriptedSmtpPeer.builder()
                .always("MAIL", Action.reply("530 5.7.0 Must issue a STARTTLS command first"))
                .start()) {
            assertThat(outbound.send(
                            connector().to(peer).tls(TlsLevel.OPPORTUNISTIC).build()))
                    .isInstanceOf(RecipientOutcome.Failed.class);
        }
    }

    @Test
    void noneShouldNotUseTlsWhenOffered() {
        try (var peer = peer(GOOD).start()) {
            assertThat(outbound.send(connector().to(peer).tls(TlsLevel.NONE).build()))
                    .isInstanceOf(Delivered.class);
            assertThat(peer.sessions().get(0).tlsProtocol()).isEmpty();
        }
    }

    @Test
    void capabilitiesShouldBeReadAgainAfterTls() {
        try (var peer = peer(GOOD)
                .extensions("PIPELINING", "8BITMIME", "SIZE 0", "DSN")
                .extensionsAfterTls("SIZE 20", "STARTTLS")
                .start()) {
            RecipientOutcome outcome =
                    outbound.send(connector().to(peer).tls(TlsLevel.ENCRYPT).build());

            assertThat(outcome).isInstanceOf(RecipientOutcome.Failed.class);
            assertThat(((RecipientOutcome.Failed) outcome).enhancedStatus()).isEqualTo("5.3.4");
            assertThat(peer.sessions().get(0).commands())
                    .filteredOn("STARTTLS"::equals)
                    .hasSize(1);
        }
    }

    @Test
    void clientCertificateShouldBeShownWhenAskedFor() {
        try (var peer = peer(GOOD).wantClientCertificate().start()) {
            outbound.send(connector()
                    .to(peer)
                    .tls(presenting(CLIENT, named(HOST, CA)))
                    .build());

            assertThat(peer.sessions().get(0).clientChain()).isEqualTo(CLIENT.chain());
        }
    }

    @Test
    void serverNameShouldBeSentAndBeTheNameThatIsCheckedWhenTheSmartHostIsAName() {
        try (var dns = LocalDns.start().a(HOST, "127.0.0.1").a("mail.northwind.com", "127.0.0.1");
                var named = Outbound.start(
                        Outbound.config().resolver(dns.resolver()).build());
                var peer = peer(GOOD).start()) {
            TlsRequirement domain = trusting(TlsLevel.DOMAIN, CA);
            RecipientOutcome right = named.send(connector()
                    .to(new SmartHost(HOST, peer.port(), 10, 1))
                    .tls(domain)
                    .build());
            RecipientOutcome wrong = named.send(connector()
                    .to(new SmartHost("mail.northwind.com", peer.port(), 10, 1))
                    .tls(domain)
                    .build());

            assertThat(right).isInstanceOf(Delivered.class);
            assertThat(peer.sessions().get(0).serverName()).isEqualTo(Optional.of(HOST));
            assertThat(((Deferred) wrong).reason())
                    .contains("certificate names mail.fabrikam.com do not match 'mail.northwind.com'");
        }
    }

    @Test
    void addressOfASmartHostShouldNotStandForAName() {
        TlsRequirement domain = trusting(TlsLevel.DOMAIN, CA);
        try (var peer = peer(CA.leaf(HOST).ipAddress("127.0.0.1").issue()).start()) {
            assertThat(((Deferred) outbound.send(
                                    connector().to(peer).tls(domain).build()))
                            .reason())
                    .contains("cannot match the address '127.0.0.1'; give the connector's tls element a name");
        }
    }

    @Test
    void recipientDomainShouldBeCheckedWhenDeliveringByMx() {
        try (var dns = LocalDns.start()
                        .mx("fabrikam.com", 10, HOST)
                        .mx("northwind.com", 10, HOST)
                        .a(HOST, "127.0.0.1");
                var peer = peer(CA.leaf("fabrikam.com").issue()).start();
                var byMx = Outbound.start(Outbound.config()
                        .resolver(dns.resolver())
                        .mxPort(peer.port())
                        .build())) {
            var connector = connector().tls(trusting(TlsLevel.DOMAIN, CA)).build();
            var northwind = address("bob@northwind.com");

            var outcomes = byMx.send(connector, Outbound.message(Outbound.RECIPIENT, northwind))
                    .outcomes();

            assertThat(outcomes.get(Outbound.RECIPIENT)).isInstanceOf(Delivered.class);
            assertThat(((Deferred) outcomes.get(northwind)).reason())
                    .contains("certificate names fabrikam.com do not match 'northwind.com'");
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = TlsLevel.class,
            names = {"OPPORTUNISTIC", "ENCRYPT", "CA"})
    void resumedSessionsShouldNotWeakenAnotherRequirement(TlsLevel first) {
        try (var peer = peer(SELF_SIGNED).protocols("TLSv1.2").start();
                var fresh = Outbound.start()) {
            fresh.send(connector()
                    .to(peer)
                    .tls(first)
                    .limits(5, 5, 1, Duration.ofSeconds(5))
                    .build());
            RecipientOutcome strict = fresh.send(
                    connector().to(peer).tls(trusting(TlsLevel.CA, CA)).build());

            assertThat(strict).isInstanceOf(Deferred.class);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
    void tlsSessionShouldBeResumedByConnectionsWithTheSameRequirement(String protocol) {
        try (var peer = peer(GOOD).protocols(protocol).start()) {
            var connector = connector()
                    .to(peer)
                    .tls(named(HOST, CA))
                    .limits(5, 5, 1, Duration.ofSeconds(5))
                    .build();
            outbound.send(connector);
            outbound.send(connector);
            outbound.send(connector().to(peer).tls(trusting(TlsLevel.CA, CA)).build());

            assertThat(peer.sessions()).extracting(Session::tlsSince).satisfies(since -> {
                assertThat(since.get(1)).isEqualTo(since.get(0));
                assertThat(since.get(2)).isGreaterThan(since.get(0));
            });
        }
    }

    @Test
    void tlsShouldBeSpokenFromTheFirstByteOnPort465() {
        try (var good = implicitTlsPeer(GOOD, "127.0.0.46");
                var bad = implicitTlsPeer(SELF_SIGNED, "127.0.0.47")) {
            assertThat(outbound.send(connector().to(good).tls(named(HOST, CA)).build()))
                    .isInstanceOf(Delivered.class);
            assertThat(good.sessions().get(0).commands()).doesNotContain("STARTTLS");
            assertThat(good.leakedInPlaintext()).isEmpty();

            assertThat(((Deferred) outbound.send(
                                    connector().to(bad).tls(named(HOST, CA)).build()))
                            .reason())
                    .contains("is self-signed");
            assertThat(((Deferred) outbound.send(
                                    connector().to(bad).tls(TlsLevel.NONE).build()))
                            .reason())
                    .contains("connector 'test' forbids TLS, but port 465");
            assertThat(outbound.send(
                            connector().to(bad).tls(TlsLevel.OPPORTUNISTIC).build()))
                    .isInstanceOf(Delivered.class);
        }
    }

    private static ScriptedSmtpPeer implicitTlsPeer(TestCertificates.Issued certificate, String address) {
        try {
            return ScriptedSmtpPeer.builder()
                    .implicitTls(certificate)
                    .address(address)
                    .port(465)
                    .start();
        } catch (UncheckedIOException e) {
            return abort("this user may not listen on port 465: " + e.getMessage());
        }
    }
}
