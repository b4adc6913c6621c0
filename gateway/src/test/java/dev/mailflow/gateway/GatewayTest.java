/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;

import javax.mail.MessagingException;

import org.apache.james.core.Domain;
import org.apache.james.domainlist.api.DomainList;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;

class GatewayTest {
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    @TempDir
    Path temporary;

    private SampleConfiguration conf;
    private Path data;

    @BeforeEach
    void copySample() {
        conf = SampleConfiguration.copyTo(temporary.resolve("conf"));
        data = temporary.resolve("data");
    }

    private Gateway gateway() {
        return Gateway.builder()
                .conf(conf.directory())
                .data(data)
                .ephemeralPorts()
                .build();
    }

    @Test
    void firstMailShouldArriveAndStillBeThereAfterARestart() throws Exception {
        String confBefore = conf.fingerprint();
        FirstMailbox mailbox;
        byte[] certificate;
        try (Gateway gateway = gateway().start()) {
            mailbox = gateway.firstMailbox().orElseThrow();
            assertThat(mailbox.address()).isEqualTo("postmaster@example.com");
            certificate = Files.readAllBytes(data.resolve("tls/server.crt"));

            MailClient.send(gateway.port("smtp"), "you@example.net", mailbox.address(), "First");

            await().atMost(PATIENCE).untilAsserted(() -> assertThat(
                            MailClient.subjects(gateway, gateway.firstMailbox().orElseThrow()))
                    .containsExactly("First"));
        }

        try (Gateway again = gateway().start()) {
            assertThat(again.firstMailbox()).contains(mailbox);
            assertThat(MailClient.subjects(again, mailbox)).containsExactly("First");
            assertThat(data.resolve("tls/server.crt")).hasBinaryContent(certificate);
        }

        assertThat(conf.fingerprint()).isEqualTo(confBefore);
        for (String secret : List.of("tls/server.key", "webadmin.password", "first-mailbox/postmaster@example.com")) {
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(data.resolve(secret))))
                    .as(secret)
                    .isEqualTo("rw-------");
        }
    }

    @Test
    void strangersShouldNotRelayAndUsersShouldAuthenticateUnderTls() throws Exception {
        try (Gateway gateway = gateway().start()) {
            FirstMailbox mailbox = gateway.firstMailbox().orElseThrow();
            String password = MailClient.password(mailbox.passwordFile());

            assertThatThrownBy(() ->
                            MailClient.send(gateway.port("smtp"), "a@example.net", "b@elsewhere.example", "Relay"))
                    .hasStackTraceContaining("550 5.7.64 Relay access denied");
            assertThatThrownBy(() ->
                            MailClient.send(gateway.port("smtp"), "a@example.net", "nobody@example.com", "Unknown"))
                    .hasStackTraceContaining("550 5.1.10 Recipient not found");
            assertThatThrownBy(() -> MailClient.send(
                            gateway.port("submission"), "a@example.net", mailbox.address(), "Without a password"))
                    .isInstanceOf(MessagingException.class)
                    .hasStackTraceContaining("530 5.7.0");
            assertThatThrownBy(() -> MailClient.submit(
                            gateway.port("submission"), mailbox.address(), "wrong", mailbox.address(), "Wrong"))
                    .hasStackTraceContaining("Authentication");

            MailClient.submit(gateway.port("submission"), mailbox.address(), password, mailbox.address(), "Submitted");
            await().atMost(PATIENCE).untilAsserted(() -> assertThat(MailClient.subjects(gateway, mailbox))
                    .containsExactly("Submitted"));
        }
    }

    @Test
    void twoGatewaysShouldRunSideBySideButNotOnOneDataDirectory() throws Exception {
        Gateway second = Gateway.builder()
                .conf(conf.directory())
                .data(temporary.resolve("other"))
                .ephemeralPorts()
                .build();
        try (Gateway first = gateway().start();
                second) {
            second.start();
            first.addUser("bob@example.com", "secret");
            second.addUser("bob@example.com", "secret");

            MailClient.send(second.port("smtp"), "you@example.net", "bob@example.com", "To the second");

            await().atMost(PATIENCE).untilAsserted(() -> assertThat(
                            MailClient.subjects(second.port("imaps"), "bob@example.com", "secret"))
                    .containsExactly("To the second"));
            assertThat(MailClient.subjects(first.port("imaps"), "bob@example.com", "secret"))
                    .isEmpty();
            assertThatThrownBy(() -> gateway().start())
                    .isInstanceOf(GatewayStartException.class)
                    .hasMessageContaining(data.toString())
                    .hasMessageContaining("in use by another gateway");
        }
    }

    @Test
    void localDomainsShouldFollowThePolicy() throws Exception {
        try (Gateway gateway = gateway().start()) {
            DomainList domains = gateway.instance(DomainList.class);
            assertThat(domains.getDomains()).containsExactly(Domain.of("example.com"));

            conf.replace(
                    "mailflow.xml",
                    "<acceptedDomains>",
                    "<acceptedDomains><domain type=\"internalRelay\">relay.example</domain>"
                            + "<domain type=\"externalRelay\">outside.example</domain>"
                            + "<domain matchSubdomains=\"true\">wide.example</domain>");

            await().atMost(Duration.ofSeconds(60)).untilAsserted(() -> assertThat(domains.getDomains())
                    .containsExactly(Domain.of("relay.example"), Domain.of("wide.example"), Domain.of("example.com")));
            assertThat(domains.containsDomain(Domain.of("sub.wide.example"))).isTrue();
            assertThat(domains.containsDomain(Domain.of("outside.example"))).isFalse();
            gateway.addUser("ann@relay.example", "secret");
            MailClient.send(gateway.port("smtp"), "you@example.net", "ann@relay.example", "To the new domain");
            await().atMost(PATIENCE).untilAsserted(() -> assertThat(
                            MailClient.subjects(gateway.port("imaps"), "ann@relay.example", "secret"))
                    .containsExactly("To the new domain"));
        }
    }

    @Test
    void webAdminShouldAskForThePasswordButTellItsHealthToAnyone() throws Exception {
        try (Gateway gateway = gateway().start()) {
            String password = MailClient.password(data.resolve("webadmin.password"));

            assertThat(get(gateway, "/healthcheck", "")).isEqualTo(200);
            assertThat(get(gateway, "/users", "")).isEqualTo(401);
            assertThat(get(gateway, "/users", "guess")).isEqualTo(401);
            assertThat(get(gateway, "/users", password)).isEqualTo(200);
            assertThat(gateway.endpoint("webadmin").address().getAddress().isLoopbackAddress())
                    .isTrue();
        }
    }

    private static int get(Gateway gateway, String path, String password) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(
                URI.create("http://" + gateway.endpoint("webadmin").hostAndPort() + path));
        if (!password.isEmpty()) {
            request.header("Password", password);
        }
        return HttpClient.newHttpClient()
                .send(request.build(), HttpResponse.BodyHandlers.discarding())
                .statusCode();
    }

    @Test
    void startShouldListEveryMistakeOfABrokenPolicyAndNothingElse() {
        conf.write(
                "mailflow.xml",
                """
                <mailflow>
                  <acceptedDomains>
                    <domain type="sometimes">example.com</domain>
                  </acceptedDomains>
                  <connectionFilter>
                    <allow>300.1.2.3</allow>
                  </connectionFilter>
                </mailflow>
                """);

        assertThatThrownBy(() -> gateway().start())
                .isInstanceOf(GatewayStartException.class)
                .hasMessageContaining("mailflow.xml")
                .hasMessageContaining("sometimes")
                .hasMessageContaining("300.1.2.3")
                .hasMessageNotContaining("Guice");
        assertThat(data.resolve("store")).doesNotExist();
        assertThat(data.resolve("queue")).doesNotExist();
    }

    @Test
    void startShouldNameTheAddressThatIsTaken() throws Exception {
        try (ServerSocket taken = new ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress())) {
            conf.replace("smtpserver.xml", "127.0.0.1:2525", "127.0.0.1:" + taken.getLocalPort());
            Gateway gateway =
                    Gateway.builder().conf(conf.directory()).data(data).build();

            assertThatThrownBy(gateway::start)
                    .isInstanceOf(GatewayStartException.class)
                    .hasMessageContaining("127.0.0.1 port " + taken.getLocalPort())
                    .hasMessageContaining("smtpserver.xml")
                    .hasMessageContaining("'smtp'");
        }
        // the failed start let go of everything
        try (Gateway gateway = gateway().start()) {
            assertThat(gateway.endpoints()).hasSize(7);
        }
    }

    @Test
    void startShouldNameTheUnknownConnectorOfAMailet() {
        conf.replace(
                "mailetcontainer.xml",
                "class=\"dev.mailflow.mailets.RouteToConnector\"/>",
                "class=\"dev.mailflow.mailets.RouteToConnector\"><connector>fabrikam-otu</connector></mailet>");

        ListAppender<ILoggingEvent> log = new ListAppender<>();
        Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
        log.start();
        root.addAppender(log);
        try {
            assertThatThrownBy(() -> gateway().start())
                    .isInstanceOf(GatewayStartException.class)
                    .hasMessageContaining("fabrikam-otu")
                    .hasMessageContaining("internet");
        } finally {
            root.detachAppender(log);
        }
        // that one line says it: James's stack traces are for those who ask for them
        assertThat(log.list)
                .filteredOn(line -> line.getLevel().isGreaterOrEqual(Level.WARN))
                .isEmpty();
    }

    @Test
    void startShouldNameThePlaceOfAValueThatJamesCannotTake() {
        conf.replace("lmtpserver.xml", "<connectionBacklog>200<", "<connectionBacklog>few<");

        assertThatThrownBy(() -> gateway().start())
                .isInstanceOf(GatewayStartException.class)
                .message()
                .matches("lmtpserver\\.xml:\\d+: error: <connectionBacklog>: found 'few', expected a whole number");
    }

    @Test
    void startShouldSayWhichConfigurationDirectoryIsMissing() {
        Path nowhere = temporary.resolve("nowhere");

        assertThatThrownBy(
                        () -> Gateway.builder().conf(nowhere).data(data).build().start())
                .isInstanceOf(GatewayStartException.class)
                .hasMessageContaining(nowhere.toString())
                .hasMessageContaining("--conf");
    }

    @Test
    void ownCertificateShouldKeepOursFromBeingMade() throws Exception {
        Path own = temporary.resolve("own");
        new dev.mailflow.gateway.tls.SelfSignedCertificate(
                        own.resolve("key.pem"), own.resolve("cert.pem"), java.time.Clock.systemUTC())
                .createIfAbsent();
        for (String file : List.of("smtpserver.xml", "imapserver.xml")) {
            conf.replace(file, "file://var/tls/server.key", "file://" + own.resolve("key.pem"))
                    .replace(file, "file://var/tls/server.crt", "file://" + own.resolve("cert.pem"));
        }

        try (Gateway gateway = gateway().start()) {
            assertThat(gateway.endpoint("smtps").security()).isEqualTo(Endpoint.Security.TLS);
            assertThat(data.resolve("tls")).doesNotExist();
        }
    }
}
