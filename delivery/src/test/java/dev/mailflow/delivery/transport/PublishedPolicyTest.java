/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import static dev.mailflow.delivery.testing.Connectors.address;
import static dev.mailflow.delivery.testing.Connectors.connector;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.ByteArrayInputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.zip.GZIPInputStream;

import javax.mail.internet.MimeMessage;
import javax.mail.internet.MimeMultipart;

import org.apache.james.metrics.tests.RecordingMetricFactory;
import org.apache.james.queue.api.RawMailQueueItemDecoratorFactory;
import org.apache.james.queue.memory.MemoryMailQueueFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.RecipientOutcome.Deferred;
import dev.mailflow.delivery.RecipientOutcome.Delivered;
import dev.mailflow.delivery.RecipientOutcome.Failed;
import dev.mailflow.delivery.TlsUsed;
import dev.mailflow.delivery.queue.DeliveryService;
import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.SettableClock;
import dev.mailflow.delivery.testing.WebServer;
import dev.mailflow.delivery.tlsrpt.ReportSettings;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import dev.mailflow.policy.envelope.RequestedTls;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.testing.GivenPolicy;
import dev.mailflow.policy.testing.TestCertificates;

/** MTA-STS and TLS reports with a real DNS server, web server and handshakes. */
class PublishedPolicyTest {
    private static final TestCertificates.Authority CA = TestCertificates.authority("Test Web CA");
    private static final TestCertificates.Issued WEB =
            CA.leaf("mta-sts.d.test", "reports.d.test").issue();
    private static final TestCertificates.Issued GOOD = CA.leaf("mx.d.test").issue();
    private static final TestCertificates.Issued WRONG =
            CA.leaf("mx.elsewhere.test").issue();
    private static final TestCertificates.Issued LATE =
            CA.leaf("mx.d.test").expired().issue();
    private static final TestCertificates.Issued CN_ONLY =
            CA.leafWithoutSan("mx.d.test").issue();
    private static final TestCertificates.Issued OWN = TestCertificates.selfSigned("mx.d.test");
    private static final String POLICY = "mta-sts.d.test/.well-known/mta-sts.txt";
    private static final TlsRequirement TLS =
            TlsRequirement.of(TlsLevel.OPPORTUNISTIC).heeding(true, true);

    private final SettableClock clock =
            new SettableClock(Instant.now().truncatedTo(ChronoUnit.DAYS).plusSeconds(3600));
    private final RecordingMetricFactory metrics = new RecordingMetricFactory();
    private final List<MimeMessage> mailed = new CopyOnWriteArrayList<>();
    private final List<AutoCloseable> open = new ArrayList<>();

    @TempDir
    Path state;

    private LocalDns dns;
    private WebServer web;
    private ScriptedSmtpPeer peer;
    private Outbound outbound;

    @BeforeEach
    void start() {
        dns = keep(LocalDns.start()).mx("d.test", 10, "mx.d.test").a("mta-sts.d.test", "127.0.0.1");
        web = keep(WebServer.start(WEB));
    }

    @AfterEach
    void stop() throws Exception {
        if (outbound != null) {
            outbound.close();
        }
        for (AutoCloseable each : open) {
            each.close();
        }
    }

    private <T extends AutoCloseable> T keep(T each) {
        open.add(each);
        return each;
    }

    private void peer(String kind) {
        peer(kind, "127.0.0.1");
        dns.a("mx.d.test", "127.0.0.1");
    }

    private void peer(String kind, String address) {
        var builder = ScriptedSmtpPeer.builder().address(address).extensionsAfterTls("REQUIRETLS");
        switch (kind) {
            case "good" -> builder.startTls(GOOD);
            case "wrong name" -> builder.startTls(WRONG);
            case "self-signed" -> builder.startTls(OWN);
            case "expired" -> builder.startTls(LATE);
            case "no SAN" -> builder.startTls(CN_ONLY);
            case "no TLS at all" -> builder.brokenTls();
            default -> {
                // without TLS
            }
        }
        peer = keep(builder.start());
        engine();
    }

    private void engine() {
        if (outbound != null) {
            outbound.close();
        }
        outbound = Outbound.start(Outbound.config()
                .tlsObserver(new DeliveryService(
                                GivenPolicy.of(""),
                                new MemoryMailQueueFactory(new RawMailQueueItemDecoratorFactory()),
                                metrics,
                                new MailFlowEvents())
                        .tlsMetrics())
                .mxPort(peer.port())
                .httpsPort(web.port())
                .resolver(dns.resolver())
                .clock(clock)
                .webAuthorities(new TrustAnchors(Optional.of("file://conf/web.pem"), List.of(CA.certificate())))
                .stateDirectory(state)
                .reports(new ReportSettings(
                        "Contoso",
                        "gateway.contoso.com",
                        address("tls@contoso.com"),
                        "mailto:tls@contoso.com",
                        (from, to, message) -> mailed.add(message)))
                .build());
    }

    /** A web server with another certificate. */
    private void another(TestCertificates.Issued certificate) {
        web = keep(WebServer.start(certificate));
        publish("1", "enforce", "mx.d.test");
    }

    private void publish(String id, String mode, String mx) {
        dns.forget("_mta-sts.d.test").txt("_mta-sts.d.test", "v=STSv1; id=" + id + ";");
        web.page(
                POLICY,
                200,
                "text/plain; charset=utf-8",
                "version: STSv1\r\nmode: " + mode + "\r\nmx: " + mx + "\r\nmax_age: 86400\r\n");
    }

    private RecipientOutcome send() {
        var recipient = address("x@d.test");
        return outbound.send(connector().tls(TLS).build(), Outbound.message(recipient))
                .outcomes()
                .get(recipient);
    }

    private static String result(RecipientOutcome outcome) {
        return outcome instanceof Deferred deferred
                ? "deferred: " + deferred.reason()
                : outcome.hop()
                        .flatMap(hop -> hop.tls())
                        .map(TlsUsed::verification)
                        .orElse("plaintext");
    }

    @ParameterizedTest
    @CsvSource({
        "enforce, mx.d.test, good, mta-sts: mx.d.test",
        "enforce, *.d.test, good, mta-sts: mx.d.test",
        "enforce, *.test, good, does not name MX host 'mx.d.test'",
        "enforce, other.d.test, good, does not name MX host 'mx.d.test'",
        "enforce, mx.d.test, wrong name, do not match 'mx.d.test'",
        "enforce, mx.d.test, no SAN, do not match 'mx.d.test'",
        "enforce, mx.d.test, self-signed, is self-signed",
        "enforce, mx.d.test, plain, did not offer STARTTLS",
        "testing, mx.d.test, good, opportunistic",
        "testing, other.d.test, good, opportunistic",
        "testing, mx.d.test, self-signed, opportunistic",
        "testing, mx.d.test, plain, plaintext",
        "none, mx.d.test, self-signed, opportunistic"
    })
    void policyShouldBeHeld(String mode, String mx, String kind, String expected) {
        publish("1", mode, mx);
        peer(kind);

        RecipientOutcome outcome = send();

        assertThat(result(outcome)).contains(expected);
        assertThat(outcome instanceof Delivered).isEqualTo(!result(outcome).startsWith("deferred"));
        assertThat(peer.messages()).hasSize(outcome instanceof Delivered ? 1 : 0);
    }

    @ParameterizedTest
    @CsvSource({
        "enforce, mx.d.test, good, mta-sts: mx.d.test",
        "enforce, mx.d.test, self-signed, failed 5.7.30",
        "enforce, other.d.test, good, failed 5.7.30",
        // only reported on: the certificate must name the recipient domain
        "testing, mx.d.test, good, failed 5.7.30",
        "none, mx.d.test, good, failed 5.7.30"
    })
    void mailThatRequiresTlsShouldGoWherePolicyAuthenticates(String mode, String mx, String kind, String expected) {
        publish("1", mode, mx);
        peer(kind);

        RecipientOutcome outcome = sendRequiringTls();

        assertThat(outcome instanceof Failed failed ? "failed " + failed.enhancedStatus() : result(outcome))
                .contains(expected);
        assertThat(peer.messages()).hasSize(outcome instanceof Delivered ? 1 : 0);
    }

    private RecipientOutcome sendRequiringTls() {
        var recipient = address("x@d.test");
        return outbound.send(connector().tls(TlsLevel.OPPORTUNISTIC).build(), Outbound.requiringTls(recipient))
                .outcomes()
                .get(recipient);
    }

    @ParameterizedTest
    @CsvSource({
        "gone, good, deferred, MTA-STS policy of 'd.test': the server answered 404",
        "html, good, deferred, MTA-STS policy of 'd.test': found media type",
        "broken, good, deferred, MTA-STS policy of 'd.test': ",
        "SERVFAIL, good, deferred, MTA-STS policy of 'd.test': ",
        // no policy can make up for these
        "gone, plain, failed, did not offer STARTTLS",
        "SERVFAIL, plain, failed, did not offer STARTTLS",
        "unpublished, good, failed, does not trust mx.d.test"
    })
    void mailThatRequiresTlsShouldWaitWhileThePolicyCannotBeHadAndGoWhenItCan(
            String trouble, String kind, String expected, String reason) {
        switch (trouble) {
            case "gone" -> web.page(POLICY, 404, "text/plain", "");
            case "html" -> web.page(POLICY, 200, "text/html", "<p>");
            case "broken" -> web.page(POLICY, 200, "text/plain", "version: STSv1\r\nmode: strict\r\n");
            case "SERVFAIL" -> dns.servfail("_mta-sts.d.test");
            default -> {
                // nothing is published
            }
        }
        if (!trouble.equals("unpublished") && !trouble.equals("SERVFAIL")) {
            dns.txt("_mta-sts.d.test", "v=STSv1; id=1;");
        }
        peer(kind);

        RecipientOutcome outcome = sendRequiringTls();

        assertThat(peer.messages()).isEmpty();
        if (expected.equals("failed")) {
            assertThat(outcome).isInstanceOfSatisfying(Failed.class, failed -> {
                assertThat(failed.enhancedStatus()).isEqualTo("5.7.30");
                assertThat(failed.reason()).contains(reason);
            });
            return;
        }
        assertThat(outcome).isInstanceOfSatisfying(Deferred.class, deferred -> {
            assertThat(deferred.enhancedStatus()).startsWith("4.7.");
            assertThat(deferred.reason()).contains("does not trust mx.d.test", reason);
        });

        publish("2", "enforce", "mx.d.test");
        clock.forward(Duration.ofMinutes(10));
        assertThat(result(sendRequiringTls())).isEqualTo("encrypt; mta-sts: mx.d.test");
    }

    @ParameterizedTest
    @ValueSource(strings = {"A", "AAAA"})
    void mailThatRequiresTlsShouldNotWaitForAddressesOfAHostThatItsOthersSpeakFor(String untold) {
        dns.servfail("mx.d.test", untold);
        if (untold.equals("A")) {
            dns.aaaa("mx.d.test", "::1");
            peer("plain", "::1");
        } else {
            peer("plain");
        }

        assertThat(sendRequiringTls()).isInstanceOfSatisfying(Failed.class, failed -> {
            assertThat(failed.enhancedStatus()).isEqualTo("5.7.30");
            assertThat(failed.reason()).contains("did not offer STARTTLS");
        });
        assertThat(dns.queries()).contains("mx.d.test/" + untold);
    }

    @Test
    void mailThatRequiresTlsShouldWaitWhileTheAddressOfANextHopCannotBeHad() {
        dns.mx("d.test", 20, "mx2.d.test").servfail("mx2.d.test");
        peer("plain");

        assertThat(sendRequiringTls()).isInstanceOf(Deferred.class);
    }

    @Test
    void policyShouldHoldUntilItEndsWhateverBecomesOfDnsAndWebServerAndAcrossARestart() {
        publish("1", "enforce", "mx.d.test");
        peer("self-signed");
        assertThat(result(send())).contains("is self-signed");

        dns.forget("_mta-sts.d.test");
        web.forget(POLICY);
        clock.forward(Duration.ofHours(2));
        assertThat(result(send())).contains("is self-signed");

        engine();
        assertThat(result(send())).contains("is self-signed");

        dns.txt("_mta-sts.d.test", "v=STSv1; id=2;");
        clock.forward(Duration.ofHours(1));
        assertThat(result(send())).contains("is self-signed");

        clock.forward(Duration.ofHours(22));
        assertThat(result(send())).isEqualTo("opportunistic");
    }

    @Test
    void newIdShouldBringTheNewPolicy() {
        publish("1", "enforce", "other.d.test");
        peer("good");
        assertThat(result(send())).contains("does not name MX host");

        publish("2", "enforce", "mx.d.test");
        clock.forward(Duration.ofMinutes(2));
        assertThat(result(send())).isEqualTo("mta-sts: mx.d.test");
    }

    @ParameterizedTest
    @CsvSource({"301, text/plain", "404, text/plain", "200, text/html"})
    void policyThatCannotBeFetchedShouldNotHold(int status, String mediaType) {
        publish("1", "enforce", "other.d.test");
        web.page(POLICY, status, mediaType, "version: STSv1\nmode: enforce\nmx: other.d.test\nmax_age: 86400\n");
        peer("good");

        assertThat(result(send())).isEqualTo("opportunistic");
    }

    @Test
    void reportsShouldTellOfTheDayOnceByMailAndWebAlsoAfterARestart() throws Exception {
        publish("1", "enforce", "mx.d.test");
        dns.a("reports.d.test", "127.0.0.1")
                .txt(
                        "_smtp._tls.d.test",
                        "v=TLSRPTv1; rua=mailto:r@d.test,https://reports.d.test/in?x=1,mailto:r@d.test");
        web.page("reports.d.test/in", 201, "text/plain", "");
        peer("self-signed");
        send();
        send();
        outbound.transport().tick();
        engine();
        send();

        clock.forward(Duration.ofHours(12));
        outbound.transport().tick();
        assertThat(mailed).isEmpty();

        clock.forward(Duration.ofHours(16));
        outbound.transport().tick();
        await().until(() -> mailed.size() == 1 && web.posted().size() == 1);
        clock.forward(Duration.ofHours(2));
        outbound.transport().tick();
        engine();
        outbound.transport().tick();

        MimeMessage message = mailed.get(0);
        assertThat(message.getSubject())
                .matches("Report Domain: d\\.test Submitter: gateway\\.contoso\\.com Report-ID: <.+@.+>");
        assertThat(message.getMessageID()).endsWith("@gateway.contoso.com>");
        assertThat(message.getHeader("TLS-Report-Domain", null)).isEqualTo("d.test");
        assertThat(message.getHeader("TLS-Report-Submitter", null)).isEqualTo("gateway.contoso.com");
        assertThat(message.getHeader("TLS-Required", null)).isEqualTo("No");
        assertThat(message.getContentType()).startsWith("multipart/report").contains("report-type=\"tlsrpt\"");
        MimeMultipart parts = (MimeMultipart) message.getContent();
        assertThat(parts.getBodyPart(1).getContentType()).startsWith("application/tlsrpt+gzip");
        assertThat(parts.getBodyPart(1).getFileName())
                .matches("gateway\\.contoso\\.com!d\\.test![0-9]+![0-9]+!1\\.json\\.gz");
        WebServer.Posted posted = web.posted().get(0);
        assertThat(posted.mediaType()).isEqualTo("application/tlsrpt+gzip");
        assertThat(posted.path()).isEqualTo("/in?x=1");
        JsonNode report = new ObjectMapper().readTree(new GZIPInputStream(new ByteArrayInputStream(posted.content())));
        assertThat(report)
                .isEqualTo(new ObjectMapper()
                        .readTree(new GZIPInputStream(parts.getBodyPart(1).getInputStream())));
        assertThat(report.path("organization-name").asText()).isEqualTo("Contoso");
        assertThat(report.path("contact-info").asText()).isEqualTo("mailto:tls@contoso.com");
        assertThat(report.path("report-id").asText()).endsWith("@gateway.contoso.com");
        Instant begin =
                Instant.parse(report.path("date-range").path("start-datetime").asText());
        assertThat(Instant.parse(report.path("date-range").path("end-datetime").asText()))
                .isEqualTo(begin.plus(1, ChronoUnit.DAYS).minusSeconds(1));
        assertThat(report.path("policies")).hasSize(1);
        JsonNode policy = report.path("policies").get(0);
        assertThat(policy.path("policy").path("policy-type").asText()).isEqualTo("sts");
        assertThat(policy.path("policy").path("policy-domain").asText()).isEqualTo("d.test");
        assertThat(policy.path("policy").path("policy-string"))
                .extracting(JsonNode::asText)
                .containsExactly("version: STSv1", "mode: enforce", "mx: mx.d.test", "max_age: 86400");
        assertThat(policy.path("policy").path("mx-host"))
                .extracting(JsonNode::asText)
                .containsExactly("mx.d.test");
        assertThat(policy.path("summary").path("total-successful-session-count").asInt(-1))
                .isZero();
        assertThat(policy.path("summary").path("total-failure-session-count").asInt())
                .isEqualTo(3);
        JsonNode failure = policy.path("failure-details").get(0);
        assertThat(failure.path("result-type").asText()).isEqualTo("certificate-not-trusted");
        assertThat(failure.path("receiving-mx-hostname").asText()).isEqualTo("mx.d.test");
        assertThat(failure.path("receiving-ip").asText()).isEqualTo("127.0.0.1");
        assertThat(failure.path("failed-session-count").asInt()).isEqualTo(3);
        assertThat(mailed).hasSize(1);
        assertThat(web.posted()).hasSize(1);
    }

    /** What testing mode judges is judged after delivery. */
    private void awaitCounts() {
        await().until(() -> {
            outbound.transport().tick();
            return java.nio.file.Files.exists(state.resolve("tls-reports.json"));
        });
    }

    @ParameterizedTest
    @CsvSource({
        "testing, mx.d.test, good, sts, ''",
        "testing, mx.d.test, self-signed, sts, certificate-not-trusted",
        "testing, mx.d.test, wrong name, sts, certificate-host-mismatch",
        "testing, mx.d.test, no SAN, sts, certificate-host-mismatch",
        "testing, other.d.test, good, sts, validation-failure",
        "testing, other.d.test, self-signed, sts, validation-failure",
        "testing, other.d.test, plain, sts, starttls-not-supported",
        "enforce, mx.d.test, plain, sts, starttls-not-supported",
        "enforce, mx.d.test, self-signed, sts, certificate-not-trusted",
        "enforce, mx.d.test, wrong name, sts, certificate-host-mismatch",
        "enforce, mx.d.test, expired, sts, certificate-expired",
        "testing, mx.d.test, expired, sts, certificate-expired",
        "enforce, mx.d.test, no TLS at all, sts, validation-failure",
        "testing, mx.d.test, no TLS at all, sts, validation-failure",
        "enforce, other.d.test, good, sts, validation-failure",
        "gone, mx.d.test, good, no-policy-found, sts-policy-fetch-error",
        "gone, mx.d.test, plain, no-policy-found, starttls-not-supported",
        "moved, mx.d.test, good, no-policy-found, sts-policy-fetch-error",
        "html, mx.d.test, good, no-policy-found, sts-policy-fetch-error",
        "huge, mx.d.test, good, no-policy-found, sts-policy-fetch-error",
        "stranger, mx.d.test, good, no-policy-found, sts-webpki-invalid",
        "late, mx.d.test, good, no-policy-found, sts-webpki-invalid",
        "no SAN, mx.d.test, good, no-policy-found, sts-webpki-invalid",
        "broken, mx.d.test, good, no-policy-found, sts-policy-invalid",
        "none, mx.d.test, good, no-policy-found, ''"
    })
    void reportShouldNameTheResult(String mode, String mx, String kind, String policy, String result) throws Exception {
        publish("1", "enforce", mx);
        switch (mode) {
            case "gone" -> web.page(POLICY, 404, "text/plain", "");
            case "moved" -> web.page(POLICY, 302, "text/plain", "");
            case "html" -> web.page(POLICY, 200, "text/html", "<p>version: STSv1</p>");
            case "huge" -> web.page(POLICY, 200, "text/plain", "mx: mx.d.test\r\n".repeat(10_000));
            case "stranger" -> another(TestCertificates.selfSigned("mta-sts.d.test"));
            case "late" -> another(CA.leaf("mta-sts.d.test").expired().issue());
            case "no SAN" -> another(CA.leafWithoutSan("mta-sts.d.test").issue());
            default -> publish("1", mode, mx);
        }
        dns.txt("_smtp._tls.d.test", "v=TLSRPTv1;rua=mailto:r@d.test");
        peer(kind);
        send();

        awaitCounts();
        JsonNode report = report();

        assertThat(report.findValuesAsText("policy-type")).containsExactly(policy);
        assertThat(report.findValuesAsText("result-type")).isEqualTo(result.isEmpty() ? List.of() : List.of(result));
        assertThat(report.findValuesAsText("total-successful-session-count"))
                .containsExactly(result.isEmpty() ? "1" : "0");
        assertThat(report.findValuesAsText("total-failure-session-count"))
                .containsExactly(result.isEmpty() ? "0" : "1");
        boolean connected = !mode.equals("enforce") || !mx.startsWith("other");
        if (!result.isEmpty() && connected) {
            assertThat(report.findValuesAsText("receiving-mx-hostname")).containsExactly("mx.d.test");
            assertThat(report.findValuesAsText("receiving-ip")).containsExactly("127.0.0.1");
            assertThat(report.findValuesAsText("sending-mta-ip")).containsExactly("127.0.0.1");
        }
    }

    /** Of the day; it is the next one then. */
    private JsonNode report() throws Exception {
        clock.forward(Duration.ofHours(28));
        outbound.transport().tick();
        await().until(() -> mailed.size() == 1);
        return new ObjectMapper()
                .readTree(new GZIPInputStream(((MimeMultipart) mailed.get(0).getContent())
                        .getBodyPart(1)
                        .getInputStream()));
    }

    @ParameterizedTest
    @CsvSource({
        "testing, mx.d.test, sts, ''",
        "testing, other.d.test, sts, validation-failure",
        "gone, mx.d.test, no-policy-found, sts-policy-fetch-error",
        "none, mx.d.test, no-policy-found, ''"
    })
    void messagesOfOneConnectionShouldCountAsOneSession(String mode, String mx, String policy, String result)
            throws Exception {
        publish("1", mode, mx);
        if (mode.equals("gone")) {
            web.page(POLICY, 404, "text/plain", "");
        }
        dns.txt("_smtp._tls.d.test", "v=TLSRPTv1;rua=mailto:r@d.test");
        peer("good");
        for (int i = 0; i < 5; i++) {
            assertThat(send()).isInstanceOf(Delivered.class);
        }
        assertThat(peer.sessions()).hasSize(1);

        awaitCounts();
        JsonNode report = report();

        assertThat(report.findValuesAsText("policy-type")).containsExactly(policy);
        assertThat(report.findValuesAsText("result-type")).isEqualTo(result.isEmpty() ? List.of() : List.of(result));
        assertThat(report.findValuesAsText("total-successful-session-count"))
                .containsExactly(result.isEmpty() ? "1" : "0");
        assertThat(report.findValuesAsText("total-failure-session-count"))
                .containsExactly(result.isEmpty() ? "0" : "1");
    }

    @Test
    void mailThatWaitsForTheSameReasonShouldCountAsOneSessionForAWhile() throws Exception {
        publish("1", "enforce", "other.d.test");
        dns.txt("_smtp._tls.d.test", "v=TLSRPTv1;rua=mailto:r@d.test");
        peer("good");
        for (int i = 0; i < 5; i++) {
            assertThat(result(send())).contains("does not name MX host");
        }
        clock.forward(Duration.ofMinutes(5));
        assertThat(result(send())).contains("does not name MX host");

        JsonNode report = report();

        assertThat(report.findValuesAsText("policy-type")).containsExactly("sts");
        assertThat(report.findValuesAsText("failed-session-count")).containsExactly("2");
        assertThat(report.findValuesAsText("total-successful-session-count")).containsExactly("0");
    }

    @ParameterizedTest
    @CsvSource({
        "enforce, good, sts.success",
        "enforce, self-signed, sts.certificate-not-trusted",
        "enforce, wrong name, sts.certificate-host-mismatch",
        "enforce, expired, sts.certificate-expired",
        "enforce, plain, sts.starttls-not-supported",
        "testing, self-signed, sts.certificate-not-trusted",
        "none, good, no-policy-found.success",
        "none, plain, no-policy-found.starttls-not-supported"
    })
    void metricsShouldCountTheResult(String mode, String kind, String expected) {
        publish("1", mode, "mx.d.test");
        peer(kind);

        send();

        await().untilAsserted(() -> assertThat(tlsMetrics()).containsExactly(Map.entry("mailflow.tls." + expected, 1)));
    }

    @Test
    void metricsShouldTellOnceOfASessionWithoutThePolicyThatCannotBeFetched() {
        publish("1", "enforce", "mx.d.test");
        web.page(POLICY, 404, "text/plain", "");
        peer("good");

        send();

        await().untilAsserted(() -> assertThat(tlsMetrics())
                .containsExactly(Map.entry("mailflow.tls.no-policy-found.sts-policy-fetch-error", 1)));
    }

    private Map<String, Integer> tlsMetrics() {
        return metrics.countForPrefixName("mailflow.tls.");
    }

    @Test
    void policyThatGetsOldShouldBeFetchedAgainBeforeItEnds() {
        publish("1", "enforce", "mx.d.test");
        peer("self-signed");
        assertThat(result(send())).contains("is self-signed");

        // the same id: only a fetch that nobody's mail asked for brings the new one
        publish("1", "enforce", "other.d.test");
        clock.forward(Duration.ofHours(13));
        outbound.transport().tick();

        await().until(() -> result(send()).contains("does not name MX host"));
        // without that fetch the policy would have ended by now
        clock.forward(Duration.ofHours(23));
        assertThat(result(send())).contains("does not name MX host");
    }

    @Test
    void reportsShouldNotBeReportedOn() throws Exception {
        dns.txt("_smtp._tls.d.test", "v=TLSRPTv1;rua=mailto:r@d.test");
        peer("good");
        send();
        awaitCounts();
        clock.forward(Duration.ofHours(28));
        outbound.transport().tick();
        await().until(() -> mailed.size() == 1);

        // the report is mail for the same domain, and goes the way of all mail
        MimeMessage report = mailed.get(0);
        java.io.ByteArrayOutputStream bytes = new java.io.ByteArrayOutputStream();
        report.writeTo(bytes);
        var recipient = address("r@d.test");
        OutboundMessage plain = Outbound.message(bytes.toByteArray(), recipient);
        assertThat(outbound.send(
                                connector().tls(TLS).build(),
                                new OutboundMessage(
                                        "report",
                                        plain.sender(),
                                        plain.recipients(),
                                        plain.content(),
                                        Optional.empty(),
                                        Optional.empty(),
                                        RequestedTls.of(false, Optional.of(report.getHeader("TLS-Required", null)))))
                        .outcomes()
                        .get(recipient))
                .isInstanceOf(Delivered.class);
        outbound.transport().tick();
        clock.forward(Duration.ofHours(28));
        outbound.transport().tick();

        assertThat(mailed).hasSize(1);
    }

    @Test
    void nothingShouldBeKeptOfDomainsThatAskForNoReport() {
        peer("good");
        send();
        await().until(() -> dns.queries().contains("_smtp._tls.d.test/TXT"));

        clock.forward(Duration.ofHours(28));
        outbound.transport().tick();

        assertThat(mailed).isEmpty();
    }
}
