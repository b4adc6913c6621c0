/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

import org.apache.mailet.Mail;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.ReceivedMessage;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.testing.TestCertificates;
import dev.mailflow.policy.testing.TestCertificates.Issued;

/**
 * The header field {@code TLS-Required: No} (RFC 8689) through a real gateway: an author waives what destinations publish,
 * never what a connector promises. The peer shows a certificate that neither TLSA records nor an authority vouch for.
 */
class WaivedTlsTest {
    private static final Issued UNKNOWN = TestCertificates.selfSigned("mx.unknown.test");

    @TempDir
    private static Path directory;

    private static LocalDns dns;
    private static ScriptedSmtpPeer peer;
    private static GatewayScenario scenario;

    @BeforeAll
    static void start() throws Exception {
        peer = ScriptedSmtpPeer.builder().startTls(UNKNOWN).start();
        dns = LocalDns.start();
        for (String domain : List.of("dane.test", "sts.test", "floor.test")) {
            dns.mx(domain, 10, "mx." + domain).a("mx." + domain, "127.0.0.1");
        }
        for (String domain : List.of("dane.test", "floor.test")) {
            dns.vouchFor(domain).tlsa("mx." + domain, peer.port(), "ab".repeat(32));
        }
        dns.txt("_mta-sts.sts.test", "v=STSv1; id=1;");
        // the policy was fetched before the gateway was started last
        Files.createDirectories(directory.resolve("data/mailflow"));
        Files.writeString(
                directory.resolve("data/mailflow/mta-sts.json"),
                """
                {"sts.test": {"id": "1", "mode": "enforce", "maxAge": 604800, "mx": ["mx.sts.test"], "fetched": %d}}
                """
                        .formatted(Instant.now().getEpochSecond()));
        scenario = GatewayScenario.in(directory)
                .policy(
                        """
                        <outboundConnectors>
                          <outboundConnector name="floor" type="partner">
                            <recipientDomain>floor.test</recipientDomain>
                            <useMx>true</useMx>
                            <tls level="ca" dane="true"/>
                          </outboundConnector>
                        </outboundConnectors>""")
                .edit(
                        "mailetcontainer.xml",
                        text -> text.replace(
                                "<mailet match=\"All\" class=\"dev.mailflow.mailets.RouteToConnector\"/>",
                                "<mailet match=\"All\" class=\"dev.mailflow.mailets.RouteToConnector\">"
                                        + "<mxPort>" + peer.port() + "</mxPort>"
                                        + "<trustedResolver>127.0.0.1:" + dns.port() + "</trustedResolver></mailet>"))
                .start();
    }

    @AfterAll
    static void stop() {
        if (scenario != null) {
            scenario.close();
        }
        peer.close();
        dns.close();
    }

    private static void send(String subject, String recipient, String header) throws Exception {
        scenario.sender().send("joe@contoso.com", List.of(recipient), header + SmtpSender.message(subject));
    }

    private static Optional<ReceivedMessage> received(String subject) {
        return peer.messages().stream()
                .filter(message -> message.text().contains("Subject: " + subject + "\r\n"))
                .findFirst();
    }

    private static void waits(String subject, String connector, String recipient) {
        GatewayScenario.await().untilAsserted(() -> assertThat(scenario.events(MailFlowEvent.Deferred.class))
                .anySatisfy(deferred -> {
                    assertThat(deferred.recipients()).containsExactly(recipient);
                    assertThat(deferred.status()).isEqualTo("4.7.5");
                }));
        GatewayScenario.await().untilAsserted(() -> assertThat(scenario.queued(connector))
                .flatExtracting(Mail::getRecipients)
                .extracting(Object::toString)
                .contains(recipient));
        assertThat(received(subject)).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"dane.test, usual-dane", "sts.test, usual-sts"})
    void whatADestinationPublishesShouldBeHeld(String domain, String subject) throws Exception {
        send(subject, "usual@" + domain, "");

        waits(subject, "internet", "usual@" + domain);
    }

    @ParameterizedTest
    @CsvSource({"dane.test, waived-dane", "sts.test, waived-sts"})
    void authorWhoWaivesTlsShouldBeDeliveredAllTheSameAndOverTlsWhereItIsOffered(String domain, String subject)
            throws Exception {
        send(subject, "waived@" + domain, "TLS-Required: No\r\n");

        GatewayScenario.await()
                .untilAsserted(() -> assertThat(received(subject)).isPresent());
        ReceivedMessage message = received(subject).orElseThrow();
        assertThat(message.overTls()).isTrue();
        // for the next server on the way
        assertThat(message.text()).contains("TLS-Required: No\r\n");
    }

    @Test
    void promiseOfAConnectorShouldNotBeWaived() throws Exception {
        send("floor", "waived@floor.test", "TLS-Required: No\r\n");

        waits("floor", "floor", "waived@floor.test");
    }

    @ParameterizedTest
    @CsvSource({"No|No, twice", "Yes, other"})
    void fieldThatMeansNothingShouldWaiveNothing(String values, String subject) throws Exception {
        StringBuilder header = new StringBuilder();
        for (String value : values.split("\\|", -1)) {
            header.append("TLS-Required: ").append(value).append("\r\n");
        }

        send(subject, subject + "@dane.test", header.toString());

        waits(subject, "internet", subject + "@dane.test");
    }
}
