/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Optional;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.read.ListAppender;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.testing.TestCertificates;

/** Credentials reach the next hop and nobody else, however chatty the log and whatever goes wrong. */
class SecretsStaySecretTest {
    private static final String SECRET = "swordfish-7351";

    private static String policy(int port, String more) {
        return """
                <outboundConnectors>
                  <outboundConnector name="relay" type="partner">
                    <recipientDomain>*</recipientDomain>
                    <smartHost>127.0.0.1:%d</smartHost>
                    <tls level="encrypt"/>
                    <credentials user="gateway" secret="${file:conf/relay.secret}"/>
                  </outboundConnector>%s
                </outboundConnectors>"""
                .formatted(port, more);
    }

    @Test
    void noSecretShouldEverBeLogged(@TempDir Path directory) throws Exception {
        Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
        Logger ours = (Logger) LoggerFactory.getLogger("dev.mailflow");
        ListAppender<ILoggingEvent> log = new ListAppender<>();
        log.start();
        root.addAppender(log);
        Level before = ours.getLevel();
        ours.setLevel(Level.ALL);
        try (ScriptedSmtpPeer peer = ScriptedSmtpPeer.builder()
                        .startTls(TestCertificates.selfSigned("relay.test"))
                        .user("gateway", SECRET)
                        .on("AUTH", ScriptedSmtpPeer.Action.reply("454 4.7.0 not with " + SECRET))
                        .start();
                GatewayScenario scenario = GatewayScenario.in(directory)
                        .file("relay.secret", SECRET + "\n")
                        .policy(policy(peer.port(), ""))
                        .start()) {
            scenario.sender().send("joe@contoso.com", List.of("a@example.org"), SmtpSender.message("first"));
            GatewayScenario.await().untilAsserted(() -> assertThat(scenario.events(MailFlowEvent.Deferred.class))
                    .hasSize(1));
            scenario.sender().send("joe@contoso.com", List.of("a@example.org"), SmtpSender.message("second"));
            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(peer.messages()).hasSize(1));
            assertThat(peer.messages().get(0).session().user()).isEqualTo(Optional.of("gateway"));

            PolicyRepository policies = scenario.gateway().instance(PolicyRepository.class);
            scenario.changePolicy(policy(peer.port(), "<outboundConnector name=\"${file:conf/relay.secret}!\"/>"));
            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(policies.pendingProblems()).isNotEmpty());
            assertThat(policies.pendingProblems().toString()).doesNotContain(SECRET);
        } finally {
            root.detachAppender(log);
            ours.setLevel(before);
        }
        String encoded = Base64.getEncoder().encodeToString(("\0gateway\0" + SECRET).getBytes(StandardCharsets.UTF_8));
        assertThat(List.copyOf(log.list))
                .hasSizeGreaterThan(10)
                .extracting(event -> event.getFormattedMessage()
                        + (event.getThrowableProxy() == null
                                ? ""
                                : ThrowableProxyUtil.asString(event.getThrowableProxy())))
                .noneMatch(line -> line.contains(SECRET) || line.contains(encoded));
    }
}
