/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.List;

import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.testing.TestCertificates;
import dev.mailflow.policy.testing.TestCertificates.Authority;
import dev.mailflow.policy.testing.TestCertificates.Issued;

/** Keys, certificates, trust anchors and secrets are replaced as files, while the gateway runs. */
class CertificateReloadTest {
    private static final Authority OLD = TestCertificates.authority("Old CA");
    private static final Authority NEW = TestCertificates.authority("New CA");

    @TempDir
    private static Path directory;

    private static ScriptedSmtpPeer known;
    private static ScriptedSmtpPeer moved;
    private static GatewayScenario scenario;

    @BeforeAll
    static void start() throws Exception {
        known = ScriptedSmtpPeer.builder()
                .startTls(OLD.leaf("known.test").issue())
                .wantClientCertificate()
                .start();
        moved = ScriptedSmtpPeer.builder()
                .startTls(NEW.leaf("moved.test").issue())
                .user("gateway", "second")
                .start();
        GatewayScenario.Builder builder = GatewayScenario.in(directory)
                .policy("<outboundConnectors>"
                        + connector(
                                "known",
                                known,
                                "<clientCertificate keystore=\"file://conf/client.p12\" alias=\"client\" secret=\""
                                        + "${file:p12.secret}\"/>",
                                "")
                        + connector(
                                "moved", moved, "", "<credentials user=\"gateway\" secret=\"${file:moved.secret}\"/>")
                        + "</outboundConnectors>")
                .file("p12.secret", TestCertificates.PASSWORD)
                .file("moved.secret", "first");
        Path conf = builder.configuration();
        TestCertificates.writePem(conf.resolve("known.pem"), OLD.certificate());
        TestCertificates.writePem(conf.resolve("moved.pem"), OLD.certificate());
        OLD.leaf("client-one.test").issue().writePkcs12(conf.resolve("client.p12"), "client");
        scenario = builder.start();
    }

    @AfterAll
    static void stop() {
        scenario.close();
        known.close();
        moved.close();
    }

    private static String connector(String name, ScriptedSmtpPeer peer, String inTls, String credentials) {
        return "<outboundConnector name=\"" + name + "\" type=\"partner\"><recipientDomain>" + name
                + ".test</recipientDomain><smartHost>127.0.0.1:" + peer.port()
                + "</smartHost><tls level=\"domain\" name=\""
                + name + ".test\" trustAnchors=\"file://conf/" + name + ".pem\">" + inTls + "</tls>" + credentials
                + "<retry schedule=\"1s\"/></outboundConnector>";
    }

    private static Path conf() {
        return directory.resolve("conf");
    }

    private static X509Certificate shown() throws Exception {
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, new TrustManager[] {new Anyone()}, null);
        try (SSLSocket socket = (SSLSocket) context.getSocketFactory()
                .createSocket("127.0.0.1", scenario.gateway().port("smtps"))) {
            socket.setSoTimeout(10_000);
            socket.startHandshake();
            return (X509Certificate) socket.getSession().getPeerCertificates()[0];
        }
    }

    @Test
    void certificateOfTheDoorShouldBeReplacedWhenItsFilesAre() throws Exception {
        X509Certificate before = shown();
        Issued next = NEW.leaf("gateway.test").issue();
        Path tls = directory.resolve("data/tls");

        // half of the change, as it is for a moment in every renewal
        next.writeKeyPem(tls.resolve("server.key"));
        GatewayScenario.await()
                .during(Duration.ofSeconds(4))
                .pollInterval(Duration.ofMillis(500))
                .untilAsserted(() -> assertThat(shown()).isEqualTo(before));
        next.writeChainPem(tls.resolve("server.crt"));

        GatewayScenario.await().untilAsserted(() -> assertThat(shown()).isEqualTo(next.certificate()));
    }

    @Test
    void clientCertificateShouldBeReplacedWhenItsKeyStoreIs() throws Exception {
        scenario.sender().send("joe@contoso.com", List.of("a@known.test"), SmtpSender.message("one"));
        GatewayScenario.await().untilAsserted(() -> assertThat(known.messages()).hasSize(1));
        Issued next = OLD.leaf("client-two.test").issue();

        next.writePkcs12(conf().resolve("client.p12"), "client");

        GatewayScenario.await().pollInterval(Duration.ofSeconds(1)).untilAsserted(() -> {
            scenario.sender().send("joe@contoso.com", List.of("a@known.test"), SmtpSender.message("two"));
            assertThat(known.messages())
                    .anySatisfy(message ->
                            assertThat(message.session().clientChain()).contains(next.certificate()));
        });
        assertThat(known.messages().get(0).session().clientChain()).doesNotContain(next.certificate());
    }

    @Test
    void mailThatWaitsForAnchorsAndASecretShouldLeaveWhenTheirFilesAreRight() throws Exception {
        scenario.sender().send("joe@contoso.com", List.of("a@moved.test"), SmtpSender.message("moved"));
        GatewayScenario.await()
                .untilAsserted(() -> assertThat(reasons()).anyMatch(reason -> reason.contains("does not trust")));

        TestCertificates.writePem(conf().resolve("moved.pem"), NEW.certificate());
        GatewayScenario.await().untilAsserted(() -> assertThat(reasons())
                .anyMatch(reason -> reason.contains("did not accept the credentials")));
        Files.writeString(conf().resolve("moved.secret"), "second");

        GatewayScenario.await().untilAsserted(() -> assertThat(moved.messages()).hasSize(1));
        assertThat(moved.messages().get(0).session().user()).contains("gateway");
    }

    private static List<String> reasons() {
        return scenario.events(MailFlowEvent.Deferred.class).stream()
                .map(MailFlowEvent.Deferred::reason)
                .toList();
    }

    private static final class Anyone implements X509TrustManager {
        @Override
        public void checkClientTrusted(X509Certificate[] chain, String authType) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String authType) {}

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }
}
