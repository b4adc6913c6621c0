/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import static dev.mailflow.delivery.testing.Connectors.address;
import static dev.mailflow.delivery.testing.Connectors.connector;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.zip.GZIPInputStream;

import javax.mail.internet.MimeMessage;
import javax.mail.internet.MimeMultipart;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

import dev.mailflow.delivery.DeliveryConfig.Dnssec;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.RecipientOutcome.Deferred;
import dev.mailflow.delivery.RecipientOutcome.Delivered;
import dev.mailflow.delivery.RecipientOutcome.Failed;
import dev.mailflow.delivery.TlsUsed;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.SettableClock;
import dev.mailflow.delivery.testing.SignedDns;
import dev.mailflow.delivery.tlsrpt.ReportSettings;
import dev.mailflow.policy.connector.SmartHost;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import dev.mailflow.policy.testing.TestCertificates;

/** The table of DANE of the delivery design, over real handshakes, with really signed zones. */
class DaneTest {
    private static final TestCertificates.Authority CA = TestCertificates.authority("Test CA");
    private static final TestCertificates.Authority BETWEEN = CA.intermediate("Test Intermediate");
    private static final X509Certificate ROOT = CA.certificate();
    private static final TestCertificates.Issued OWN = TestCertificates.selfSigned("anything.example");
    private static final TestCertificates.Issued LATE =
            TestCertificates.selfSignedDraft("anything.example").expired().issue();

    private static final Map<String, ScriptedSmtpPeer> PEERS = new LinkedHashMap<>();
    private static final Map<String, List<String>> TLSA = new LinkedHashMap<>();
    private static final StringBuilder SIGNED = new StringBuilder();
    private static final StringBuilder PLAIN = new StringBuilder();
    private static int port;

    @TempDir
    static Path directory;

    private static SignedDns dns;
    private static Outbound outbound;
    private static Outbound believingNobody;
    private static Outbound validatingItself;

    @BeforeAll
    static void start() {
        boolean available = SignedDns.isAvailable();
        if (!available && Boolean.getBoolean("mailflow.ci")) {
            throw new IllegalStateException("found no knotd, keymgr and unbound, expected them in CI");
        }
        assumeTrue(available, "SKIPPED: install knot and unbound");
        String own = key(OWN.certificate());
        host("ee", OWN, "3 1 1 " + own);
        host("ee-whole", OWN, "3 0 0 " + der(OWN.certificate()));
        host(
                "ee-key",
                OWN,
                "3 1 0 "
                        + HexFormat.of()
                                .formatHex(OWN.certificate().getPublicKey().getEncoded()));
        host("ee-512", OWN, "3 0 2 " + digest("SHA-512", certificateBytes(OWN.certificate())));
        host("ee-mismatch", OWN, "3 1 1 " + key(ROOT));
        host("ee-expired", LATE, "3 1 1 " + key(LATE.certificate()));
        host("ee-second", OWN, "3 1 1 " + key(ROOT), "3 1 1 " + own, "1 1 1 " + key(ROOT));
        host("ee-agility", OWN, "3 1 1 " + own, "3 1 2 " + "ab".repeat(64));
        host("ee-plain", Optional.empty(), "3 1 1 " + own);
        TestCertificates.Issued named = BETWEEN.leaf("mx-ta-in.sec.test").issue();
        host("ta-in", withRoot(named), "2 0 1 " + sha256(ROOT));
        TestCertificates.Issued middle = BETWEEN.leaf("mx-ta-middle.sec.test").issue();
        host("ta-middle", middle, "2 1 1 " + key(BETWEEN.certificate()));
        host("ta-out", BETWEEN.leaf("mx-ta-out.sec.test").issue(), "2 0 1 " + sha256(ROOT));
        host("ta-out-whole", BETWEEN.leaf("mx-ta-out-whole.sec.test").issue(), "2 0 0 " + der(ROOT));
        host(
                "ta-out-key",
                BETWEEN.leaf("mx-ta-out-key.sec.test").issue(),
                "2 1 0 " + HexFormat.of().formatHex(ROOT.getPublicKey().getEncoded()));
        host(
                "ta-forged",
                TestCertificates.authority("Test CA")
                        .leaf("mx-ta-forged.sec.test")
                        .issue(),
                "2 1 0 " + HexFormat.of().formatHex(ROOT.getPublicKey().getEncoded()));
        host("ta-name", withRoot(CA.leaf("elsewhere.example").issue()), "2 0 1 " + sha256(ROOT));
        host("ta-domain", withRoot(CA.leaf("ta-domain.sec.test").issue()), "2 0 1 " + sha256(ROOT));
        host("ta-expired", withRoot(CA.leaf("mx-ta-expired.sec.test").expired().issue()), "2 0 1 " + sha256(ROOT));
        host("shared", OWN, "3 1 1 " + own, "3 0 1 " + sha256(OWN.certificate()));
        SIGNED.append("shared-too MX 10 mx-shared\n");
        host(
                "ta-shared",
                withRoot(CA.leaf("ta-shared.sec.test").issue()),
                "2 0 1 " + sha256(ROOT),
                "3 1 1 " + key(ROOT));
        SIGNED.append("ta-shared-too MX 10 mx-ta-shared\n");
        host("unusable", OWN, "1 1 1 " + own, "3 1 9 " + own, "3 1 1 abcd");
        host("unusable-plain", Optional.empty(), "0 0 1 " + own);
        host("absent", OWN);
        host("absent-plain", Optional.empty());
        host("bogus", OWN);
        host("dead", OWN);
        // the alias is signed, what it leads to is not
        host("cname-out", OWN, "3 1 1 " + own);
        alias("cname-out", "host.plain.test.");
        PLAIN.append("host A ").append(PEERS.get("cname-out").address()).append('\n');
        host("cname-out-mismatch", OWN, "3 1 1 " + key(ROOT));
        alias("cname-out-mismatch", "host2.plain.test.");
        PLAIN.append("host2 A ")
                .append(PEERS.get("cname-out-mismatch").address())
                .append('\n');
        host("cname-out-absent", OWN);
        alias("cname-out-absent", "host3.plain.test.");
        PLAIN.append("host3 A ").append(PEERS.get("cname-out-absent").address()).append('\n');
        // the end of a signed alias comes first
        host("cname-in", OWN, "3 1 1 " + key(ROOT));
        alias("cname-in", "real");
        SIGNED.append("real A ").append(PEERS.get("cname-in").address()).append('\n');
        SIGNED.append("_%d._tcp.real TLSA 3 1 1 %s%n".formatted(port, own));
        // MX records that are not signed prove nothing, whatever the host has
        PLAIN.append("insecure MX 10 mx-ee-mismatch.sec.test.\n");
        PLAIN.append("insecure-match MX 10 mx-ee.sec.test.\n");

        for (String domain : List.of("ee", "ee-mismatch", "ee-512", "ee-key", "bogus", "absent", "unusable")) {
            SIGNED.append("_smtp._tls.%s TXT \"v=TLSRPTv1; rua=mailto:r@%s.sec.test\"%n".formatted(domain, domain));
        }

        dns = SignedDns.start(directory, SIGNED.toString(), PLAIN.toString());
        outbound = Outbound.start(Outbound.config()
                .mxPort(port)
                .dnssec(new Dnssec.TrustedResolver(dns.resolver()))
                .build());
        believingNobody = Outbound.start(Outbound.config()
                .mxPort(port)
                .resolver(new org.xbill.DNS.SimpleResolver(dns.resolver()))
                .build());
        validatingItself = Outbound.start(Outbound.config()
                .mxPort(port)
                .resolver(new org.xbill.DNS.SimpleResolver(dns.resolver()))
                .dnssec(new Dnssec.Validated(dns.trustAnchor()))
                .build());
    }

    @AfterAll
    static void stop() {
        if (dns != null) {
            outbound.close();
            believingNobody.close();
            validatingItself.close();
            dns.close();
        }
        PEERS.values().forEach(ScriptedSmtpPeer::close);
    }

    private static void host(String name, TestCertificates.Issued certificate, String... tlsa) {
        host(name, Optional.of(certificate), tlsa);
    }

    private static void host(String name, Optional<TestCertificates.Issued> certificate, String... tlsa) {
        var builder = ScriptedSmtpPeer.builder()
                .address("127.0.2." + (PEERS.size() + 1))
                .extensionsAfterTls(name.equals("ee-512") ? "PIPELINING" : "REQUIRETLS");
        if (port != 0) {
            builder.port(port);
        }
        certificate.ifPresent(builder::startTls);
        ScriptedSmtpPeer peer = builder.start();
        port = peer.port();
        PEERS.put(name, peer);
        TLSA.put(name, List.of(tlsa));
        SIGNED.append("%s MX 10 mx-%s%n".formatted(name, name));
        SIGNED.append("mx-%s A %s%n".formatted(name, peer.address()));
        for (String each : tlsa) {
            SIGNED.append("_%d._tcp.mx-%s TLSA %s%n".formatted(port, name, each));
        }
    }

    private static void alias(String name, String target) {
        String address = "mx-%s A %s%n".formatted(name, PEERS.get(name).address());
        int at = SIGNED.indexOf(address);
        SIGNED.replace(at, at + address.length(), "mx-%s CNAME %s%n".formatted(name, target));
    }

    private static TestCertificates.Issued withRoot(TestCertificates.Issued issued) {
        List<X509Certificate> chain = new ArrayList<>(issued.chain());
        chain.add(ROOT);
        return new TestCertificates.Issued(issued.key(), chain);
    }

    private static String sha256(X509Certificate certificate) {
        return TestCertificates.sha256(certificate);
    }

    private static String key(X509Certificate certificate) {
        return TestCertificates.spkiSha256(certificate);
    }

    private static String der(X509Certificate certificate) {
        return HexFormat.of().formatHex(certificateBytes(certificate));
    }

    private static byte[] certificateBytes(X509Certificate certificate) {
        try {
            return certificate.getEncoded();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String digest(String algorithm, byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance(algorithm).digest(bytes));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static RecipientOutcome send(Outbound engine, String domain, TlsRequirement tls) {
        var recipient = address("x@" + domain);
        return engine.send(connector().tls(tls).build(), Outbound.message(recipient))
                .outcomes()
                .get(recipient);
    }

    private static RecipientOutcome sendRequiringTls(String domain, TlsRequirement tls) {
        var recipient = address("x@" + domain);
        return outbound.send(connector().tls(tls).build(), Outbound.requiringTls(recipient))
                .outcomes()
                .get(recipient);
    }

    private static String verification(RecipientOutcome outcome) {
        return outcome.hop()
                .flatMap(hop -> hop.tls())
                .map(TlsUsed::verification)
                .orElse("plaintext");
    }

    @ParameterizedTest
    @CsvSource({
        "ee.sec.test, dane: _",
        "ee-whole.sec.test, dane: _",
        "ee-key.sec.test, dane: _",
        "ee-512.sec.test, dane: _",
        "ee-expired.sec.test, dane: _",
        "ee-second.sec.test, dane: _",
        "ta-in.sec.test, dane: _",
        "ta-middle.sec.test, dane: _",
        "ta-out-whole.sec.test, dane: _",
        "ta-out-key.sec.test, dane: _",
        "ta-domain.sec.test, dane: _",
        "cname-out.sec.test, dane: _",
        "cname-in.sec.test, dane: _",
        "unusable.sec.test, dane: no usable TLSA record",
        "absent.sec.test, opportunistic",
        "absent-plain.sec.test, plaintext",
        "cname-out-absent.sec.test, opportunistic",
        "insecure.plain.test, opportunistic",
        "insecure-match.plain.test, opportunistic"
    })
    void opportunisticShouldDeliverWhen(String domain, String verification) {
        RecipientOutcome outcome =
                send(outbound, domain, TlsRequirement.of(TlsLevel.OPPORTUNISTIC).heeding(false, true));

        assertThat(outcome).isInstanceOf(Delivered.class);
        assertThat(verification(outcome)).startsWith(verification);
    }

    @ParameterizedTest
    @CsvSource({
        "ee-mismatch.sec.test, none of the TLSA records vouches for",
        "ee-agility.sec.test, none of the TLSA records vouches for",
        "ee-plain.sec.test, did not offer STARTTLS",
        "ta-out.sec.test, none of the TLSA records vouches for",
        "ta-forged.sec.test, none of the TLSA records vouches for",
        "ta-name.sec.test, certificate names elsewhere.example do not match",
        "ta-expired.sec.test, is valid from",
        "unusable-plain.sec.test, did not offer STARTTLS",
        "bogus.sec.test, SERVFAIL",
        "dead.sec.test, cannot be looked up",
        "cname-out-mismatch.sec.test, none of the TLSA records vouches for"
    })
    void opportunisticShouldDeferAndSendNothingWhen(String domain, String reason) {
        ScriptedSmtpPeer peer = PEERS.get(domain.substring(0, domain.indexOf('.')));
        int before = peer.messages().size();

        RecipientOutcome outcome =
                send(outbound, domain, TlsRequirement.of(TlsLevel.OPPORTUNISTIC).heeding(false, true));

        assertThat(outcome).isInstanceOf(Deferred.class);
        assertThat(((Deferred) outcome).reason()).contains(reason);
        assertThat(peer.messages()).hasSize(before);
    }

    @ParameterizedTest
    @CsvSource({
        "ee.sec.test, dane: _",
        "ta-in.sec.test, dane: _",
        "cname-in.sec.test, dane: _",
        "cname-out.sec.test, dane: _",
        "unusable.sec.test, dane: no usable TLSA record",
        "absent.sec.test, opportunistic",
        "insecure.plain.test, opportunistic",
        "ee-mismatch.sec.test, none of the TLSA records vouches for",
        "bogus.sec.test, DANE: TLSA records of",
        "dead.sec.test, DANE: TLSA records of"
    })
    void ourOwnValidationShouldComeToTheSameAs(String domain, String expected) {
        RecipientOutcome outcome = send(
                validatingItself,
                domain,
                TlsRequirement.of(TlsLevel.OPPORTUNISTIC).heeding(false, true));

        assertThat(outcome instanceof Deferred deferred ? deferred.reason() : verification(outcome))
                .contains(expected);
    }

    @ParameterizedTest
    @CsvSource({
        "unusable.sec.test, is of a kind that counts for mail",
        "absent.sec.test, has no signed TLSA records",
        "insecure-match.plain.test, are not signed",
        "ee-mismatch.sec.test, none of the TLSA records vouches for",
        "bogus.sec.test, SERVFAIL"
    })
    void levelDaneShouldDeferWhen(String domain, String reason) {
        RecipientOutcome outcome = send(outbound, domain, TlsRequirement.of(TlsLevel.DANE));

        assertThat(outcome).isInstanceOf(Deferred.class);
        assertThat(((Deferred) outcome).reason()).contains(reason);
    }

    @Test
    void levelDaneShouldDeliverByTlsaRecords() {
        assertThat(verification(send(outbound, "ee.sec.test", TlsRequirement.of(TlsLevel.DANE))))
                .isEqualTo("dane: _" + port + "._tcp.mx-ee.sec.test");
    }

    @Test
    void levelDaneShouldHoldForSmartHosts() {
        RecipientOutcome good = outbound.send(connector()
                .tls(TlsLevel.DANE)
                .to(new SmartHost("mx-ee.sec.test", port, 10, 1))
                .build());
        RecipientOutcome bad = outbound.send(connector()
                .tls(TlsLevel.DANE)
                .to(new SmartHost("mx-ee-mismatch.sec.test", port, 10, 1))
                .build());

        assertThat(verification(good)).startsWith("dane: _");
        assertThat(bad).isInstanceOf(Deferred.class);
    }

    @ParameterizedTest
    @CsvSource({
        // whatever the connector heeds by itself
        "ee.sec.test, true",
        "ee.sec.test, false",
        "ta-in.sec.test, false",
        "ta-domain.sec.test, false"
    })
    void mailThatRequiresTlsShouldGoToHostsThatTlsaRecordsAuthenticate(String domain, boolean dane) {
        RecipientOutcome outcome = sendRequiringTls(
                domain, TlsRequirement.of(TlsLevel.OPPORTUNISTIC).heeding(false, dane));

        assertThat(outcome).isInstanceOf(Delivered.class);
        assertThat(verification(outcome)).contains("dane: _");
        assertThat(PEERS.get(domain.substring(0, domain.indexOf('.'))).messages())
                .anyMatch(message -> message.mail().endsWith(" REQUIRETLS"));
    }

    @ParameterizedTest
    @CsvSource({
        // the host does not promise the same
        "ee-512.sec.test, does not offer REQUIRETLS",
        // nothing that is published authenticates it, and neither does its certificate
        "absent.sec.test, self-signed",
        "unusable.sec.test, self-signed",
        "insecure-match.plain.test, self-signed",
        "ee-mismatch.sec.test, none of the TLSA records vouches for",
        "absent-plain.sec.test, did not offer STARTTLS"
    })
    void mailThatRequiresTlsShouldComeBackWhen(String domain, String reason) {
        RecipientOutcome outcome = sendRequiringTls(domain, TlsRequirement.of(TlsLevel.OPPORTUNISTIC));

        assertThat(outcome).isInstanceOfSatisfying(Failed.class, failed -> {
            assertThat(failed.enhancedStatus()).isEqualTo("5.7.30");
            assertThat(failed.reason()).contains(reason);
        });
    }

    @ParameterizedTest
    @CsvSource({"bogus.sec.test", "dead.sec.test"})
    void mailThatRequiresTlsShouldWaitWhileDnssecCannotBeChecked(String domain) {
        assertThat(sendRequiringTls(domain, TlsRequirement.of(TlsLevel.OPPORTUNISTIC)))
                .isInstanceOf(Deferred.class);
    }

    @Test
    void domainsOfAHostWhoseRecordsIgnoreNamesShouldShareAConnection() {
        TlsRequirement tls = TlsRequirement.of(TlsLevel.DANE);

        assertThat(send(outbound, "shared.sec.test", tls)).isInstanceOf(Delivered.class);
        assertThat(send(outbound, "shared-too.sec.test", tls)).isInstanceOf(Delivered.class);

        ScriptedSmtpPeer peer = PEERS.get("shared");
        assertThat(peer.messages()).hasSize(2);
        assertThat(peer.sessions()).hasSize(1);
    }

    @Test
    void certificateOfAnAuthorityShouldServeOnlyTheDomainsThatItNames() {
        TlsRequirement tls = TlsRequirement.of(TlsLevel.DANE);

        assertThat(send(outbound, "ta-shared.sec.test", tls)).isInstanceOf(Delivered.class);
        // now there are a connection and a TLS session that somebody found good
        assertThat(send(outbound, "ta-shared-too.sec.test", tls)).isInstanceOfSatisfying(Deferred.class, deferred -> {
            assertThat(deferred.reason()).contains("certificate names ta-shared.sec.test do not match");
        });
        assertThat(send(outbound, "ta-shared.sec.test", tls)).isInstanceOf(Delivered.class);

        assertThat(PEERS.get("ta-shared").messages())
                .hasSize(2)
                .allMatch(message -> message.recipients().toString().contains("x@ta-shared.sec.test"));
    }

    @Test
    void floorShouldBeKeptBesidesTlsa() {
        RecipientOutcome outcome =
                send(outbound, "ee.sec.test", TlsRequirement.of(TlsLevel.CA).heeding(false, true));

        assertThat(outcome).isInstanceOf(Deferred.class);
        assertThat(((Deferred) outcome).reason()).contains("self-signed");
    }

    @ParameterizedTest
    @CsvSource({
        "ee, DANE, tlsa, ''",
        "ee-512, DANE, tlsa, ''",
        "ee-key, DANE, tlsa, ''",
        "ee-mismatch, OPPORTUNISTIC, tlsa, tlsa-invalid",
        "bogus, OPPORTUNISTIC, no-policy-found, dnssec-invalid",
        "absent, DANE, no-policy-found, dane-required",
        "unusable, DANE, tlsa, dane-required",
        "unusable, OPPORTUNISTIC, tlsa, ''"
    })
    void reportShouldNameTheResult(String domain, TlsLevel level, String policy, String result, @TempDir Path state)
            throws Exception {
        SettableClock clock =
                new SettableClock(Instant.now().truncatedTo(ChronoUnit.DAYS).plusSeconds(3600));
        List<MimeMessage> mailed = new CopyOnWriteArrayList<>();
        try (Outbound reporting = Outbound.start(Outbound.config()
                .mxPort(port)
                .dnssec(new Dnssec.TrustedResolver(dns.resolver()))
                .clock(clock)
                .stateDirectory(state)
                .reports(new ReportSettings(
                        "Contoso",
                        "gateway.contoso.com",
                        address("tls@contoso.com"),
                        "mailto:tls@contoso.com",
                        (from, to, message) -> mailed.add(message)))
                .build())) {
            send(reporting, domain + ".sec.test", TlsRequirement.of(level).heeding(false, true));
            reporting.transport().tick();
            clock.forward(Duration.ofHours(28));
            reporting.transport().tick();
            await().until(() -> mailed.size() == 1);
        }

        JsonNode report = new ObjectMapper()
                .readTree(new GZIPInputStream(((MimeMultipart) mailed.get(0).getContent())
                        .getBodyPart(1)
                        .getInputStream()));
        assertThat(report.findValuesAsText("policy-type")).containsExactly(policy);
        assertThat(report.findValuesAsText("result-type")).isEqualTo(result.isEmpty() ? List.of() : List.of(result));
        assertThat(report.findValuesAsText("total-successful-session-count"))
                .containsExactly(result.isEmpty() ? "1" : "0");
        assertThat(report.path("policies").get(0).path("policy").path("policy-string"))
                .extracting(JsonNode::asText)
                .containsExactlyInAnyOrderElementsOf(policy.equals("tlsa") ? TLSA.get(domain) : List.of());
    }

    @Test
    void serverNameShouldBeTheTlsaBaseDomain() {
        send(outbound, "cname-in.sec.test", TlsRequirement.of(TlsLevel.DANE));

        assertThat(PEERS.get("cname-in").sessions())
                .anyMatch(session -> session.serverName().equals(Optional.of("real.sec.test")));
    }

    @Test
    void wordOfAResolverThatIsNotTrustedShouldNotCount() {
        assertThat(verification(send(
                        believingNobody,
                        "ee-mismatch.sec.test",
                        TlsRequirement.of(TlsLevel.OPPORTUNISTIC).heeding(false, true))))
                .isEqualTo("opportunistic");
        assertThat(((Deferred) send(believingNobody, "ee.sec.test", TlsRequirement.of(TlsLevel.DANE))).reason())
                .contains("no DNS resolver is trusted");
    }
}
