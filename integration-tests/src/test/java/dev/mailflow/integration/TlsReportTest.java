/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.zip.GZIPInputStream;

import javax.mail.Session;
import javax.mail.internet.MimeMessage;
import javax.mail.internet.MimeMultipart;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import com.codahale.metrics.MetricRegistry;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.ReceivedMessage;
import dev.mailflow.delivery.testing.WebServer;
import dev.mailflow.policy.testing.TestCertificates;

/** The daily report on TLS (RFC 8460) that leaves a gateway. */
class TlsReportTest {
    private static final TestCertificates.Authority AUTHORITY = TestCertificates.authority("Test Web CA");
    /** By which a JVM is told whom it trusts on the web. */
    private static final String TRUST_STORE = "javax.net.ssl.trustStore";

    private static final String TRUST_STORE_PASSWORD = "javax.net.ssl.trustStorePassword";
    /** After the hours over which reports are spread. */
    private static final int WHEN_ALL_ARE_SENT = 5;

    @TempDir
    Path directory;

    private LocalDns dns;
    private WebServer web;
    private ScriptedSmtpPeer partner;
    private final Properties usual = (Properties) System.getProperties().clone();

    @BeforeEach
    void start() {
        dns = LocalDns.start();
        web = WebServer.start(AUTHORITY.leaf("reports.partner.test").issue());
        partner = ScriptedSmtpPeer.builder()
                .address("127.0.0.1")
                .startTls(TestCertificates.selfSigned("mx.partner.test"))
                .start();
        dns.mx("partner.test", 10, "mx.partner.test")
                .a("mx.partner.test", "127.0.0.1")
                .a("reports.partner.test", "127.0.0.1")
                .txt(
                        "_smtp._tls.partner.test",
                        "v=TLSRPTv1; rua=mailto:tls@partner.test,https://reports.partner.test:" + web.port() + "/in");
        web.page("reports.partner.test/in", 201, "text/plain", "");
        System.setProperty(
                TRUST_STORE,
                TestCertificates.writeTrustStore(directory.resolve("web.p12"), AUTHORITY.certificate())
                        .toString());
        System.setProperty(TRUST_STORE_PASSWORD, TestCertificates.PASSWORD);
    }

    @AfterEach
    void stop() {
        System.setProperties(usual);
        partner.close();
        web.close();
        dns.close();
    }

    private GatewayScenario gateway(Clock clock) throws Exception {
        return GatewayScenario.in(directory)
                .policy(
                        """
                        <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                        <outboundConnectors>
                          <outboundConnector name="internet" type="internet">
                            <recipientDomain>*</recipientDomain>
                            <useMx>true</useMx>
                            <tls level="opportunistic" mtaSts="true" dane="true"/>
                          </outboundConnector>
                        </outboundConnectors>""")
                .edit(
                        "mailetcontainer.xml",
                        text -> text.replace(
                                "<mailet match=\"All\" class=\"dev.mailflow.mailets.RouteToConnector\"/>",
                                "<mailet match=\"All\" class=\"dev.mailflow.mailets.RouteToConnector\">"
                                        + "<heloName>mail.contoso.com</heloName>"
                                        + "<mxPort>" + partner.port() + "</mxPort>"
                                        + "<trustedResolver>127.0.0.1:" + dns.port() + "</trustedResolver>"
                                        + "<tlsReportFrom>tls@contoso.com</tlsReportFrom></mailet>"))
                .clock(clock)
                .start();
    }

    private Optional<ReceivedMessage> received(String text) {
        return partner.messages().stream()
                .filter(message -> message.text().contains(text))
                .findFirst();
    }

    private static JsonNode report(byte[] compressed) throws IOException {
        return new ObjectMapper().readTree(new GZIPInputStream(new ByteArrayInputStream(compressed)));
    }

    @Test
    void reportOfADayShouldLeaveByMailAndWebOnTheNext() throws Exception {
        Clock today = Clock.systemUTC();
        String day = today.instant().atOffset(ZoneOffset.UTC).toLocalDate().toString();
        try (GatewayScenario scenario = gateway(today)) {
            scenario.sender().send("joe@contoso.com", List.of("x@partner.test"), SmtpSender.message("usual"));
            GatewayScenario.await().until(() -> received("Subject: usual").isPresent());
            assertThat(scenario.gateway()
                            .instance(MetricRegistry.class)
                            .meter("mailflow.tls.no-policy-found.success")
                            .getCount())
                    .isEqualTo(1);
        }
        assertThat(Files.readString(directory.resolve("data/mailflow/tls-reports.json")))
                .contains(day, "partner.test");

        Instant tomorrow = Instant.parse(day + "T00:00:00Z").plus(Duration.ofHours(24 + WHEN_ALL_ARE_SENT));
        Clock then = Clock.offset(today, Duration.between(today.instant(), tomorrow));
        try (GatewayScenario running = gateway(then)) {
            GatewayScenario.await()
                    .until(() -> received("TLS-Report-Domain: partner.test").isPresent()
                            && !web.posted().isEmpty());
            GatewayScenario.await().until(() -> running.queued("internet").isEmpty());
        }

        ReceivedMessage mail = received("TLS-Report-Domain: partner.test").orElseThrow();
        assertThat(mail.mail()).startsWith("MAIL FROM:<tls@contoso.com>");
        assertThat(mail.recipients()).singleElement().asString().startsWith("RCPT TO:<tls@partner.test>");
        assertThat(mail.overTls()).isTrue();
        MimeMessage message = new MimeMessage(
                (Session) null, new ByteArrayInputStream(mail.text().getBytes(StandardCharsets.ISO_8859_1)));
        assertThat(message.getMessageID()).endsWith("@mail.contoso.com>");
        assertThat(message.getSubject())
                .startsWith("Report Domain: partner.test Submitter: mail.contoso.com Report-ID: <");
        MimeMultipart parts = (MimeMultipart) message.getContent();
        JsonNode report = report(parts.getBodyPart(1).getInputStream().readAllBytes());
        assertThat(web.posted()).hasSize(1);
        assertThat(report(web.posted().get(0).content())).isEqualTo(report);
        assertThat(report.path("date-range").path("start-datetime").asText()).startsWith(day);
        assertThat(report.path("contact-info").asText()).isEqualTo("mailto:tls@contoso.com");
        assertThat(report.path("policies")).hasSize(1);
        JsonNode policy = report.path("policies").get(0);
        assertThat(policy.path("policy").path("policy-type").asText()).isEqualTo("no-policy-found");
        assertThat(policy.path("policy").path("policy-domain").asText()).isEqualTo("partner.test");
        assertThat(policy.path("summary").path("total-successful-session-count").asInt())
                .isEqualTo(1);
        assertThat(policy.path("summary").path("total-failure-session-count").asInt(-1))
                .isZero();
    }
}
