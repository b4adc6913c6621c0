/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.gateway.GatewayStartException;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.event.MailFlowEvent;

/** Which policy rules: the last good one, and none at start if it is broken. */
class PolicyInForceTest {
    private static final String TWO_MISTAKES =
            """
            <acceptedDomains><domain type="authoritativ">contoso.com</domain></acceptedDomains>
            <outboundConnectors>
              <outboundConnector name="x" type="partner"><recipientDomain>a.*.com</recipientDomain><useMx>true</useMx>
              </outboundConnector>
            </outboundConnectors>""";

    private static String routeTo(int port) {
        return """
                <outboundConnectors>
                  <outboundConnector name="out" type="partner">
                    <recipientDomain>fabrikam.com</recipientDomain>
                    <smartHost>127.0.0.1:%d</smartHost>
                    <tls level="none"/>
                  </outboundConnector>
                </outboundConnectors>"""
                .formatted(port);
    }

    @Test
    void gatewayShouldRefuseToStartWithEveryMistakeOfABrokenPolicy(@TempDir Path directory) {
        assertThatThrownBy(
                        () -> GatewayScenario.in(directory).policy(TWO_MISTAKES).start())
                .isInstanceOf(GatewayStartException.class)
                .hasMessageContaining("mailflow.xml:2")
                .hasMessageContaining("authoritativ")
                .hasMessageContaining("mailflow.xml:4")
                .hasMessageContaining("a.*.com");
    }

    @Test
    void gatewayShouldRefuseToStartWhenAMailetNamesAnUnknownConnector(@TempDir Path directory) {
        assertThatThrownBy(() -> GatewayScenario.in(directory)
                        .policy(routeTo(2526))
                        .edit(
                                "mailetcontainer.xml",
                                text -> text.replace(
                                        "class=\"dev.mailflow.mailets.RouteToConnector\"/>",
                                        "class=\"dev.mailflow.mailets.RouteToConnector\"><connector>uot</connector></mailet>"))
                        .start())
                .isInstanceOf(GatewayStartException.class)
                .hasMessageContaining("'uot'")
                .hasMessageContaining("out, internet");
    }

    @Test
    void runningGatewayShouldFollowGoodChangesAndKeepTheLastGoodPolicy(@TempDir Path directory) throws Exception {
        try (ScriptedSmtpPeer first = ScriptedSmtpPeer.builder().start();
                ScriptedSmtpPeer second = ScriptedSmtpPeer.builder().start();
                GatewayScenario scenario = GatewayScenario.in(directory)
                        .policy(routeTo(first.port()))
                        .start()) {
            PolicyRepository policies = scenario.gateway().instance(PolicyRepository.class);
            String before = policies.current().version();

            scenario.changePolicy(TWO_MISTAKES);
            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(policies.pendingProblems()).hasSize(2));
            scenario.sender().send("joe@contoso.com", List.of("jane@fabrikam.com"), SmtpSender.message("one"));
            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(first.messages()).hasSize(1));
            assertThat(policies.current().version()).isEqualTo(before);

            scenario.changePolicy(routeTo(second.port()));
            GatewayScenario.await()
                    .untilAsserted(
                            () -> assertThat(policies.current().version()).isNotEqualTo(before));
            assertThat(policies.pendingProblems()).isEmpty();
            scenario.sender().send("joe@contoso.com", List.of("jane@fabrikam.com"), SmtpSender.message("two"));
            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(second.messages()).hasSize(1));
            assertThat(first.messages()).hasSize(1);
        }
    }

    @Test
    void mailOfAConnectorThatIsGoneShouldWaitForItAndNotLeaveAnotherWay(@TempDir Path directory) throws Exception {
        try (ScriptedSmtpPeer peer = ScriptedSmtpPeer.builder()
                        .on("MAIL", ScriptedSmtpPeer.Action.reply("451 4.3.0 later"))
                        .start();
                GatewayScenario scenario = GatewayScenario.in(directory)
                        .policy(routeTo(peer.port())
                                .replace("<tls", "<retry schedule=\"5s\" warnAfter=\"1h\" expireAfter=\"2d\"/><tls"))
                        .start()) {
            PolicyRepository policies = scenario.gateway().instance(PolicyRepository.class);
            String before = policies.current().version();
            scenario.sender().send("joe@contoso.com", List.of("jane@fabrikam.com"), SmtpSender.message("kept"));
            GatewayScenario.await().untilAsserted(() -> assertThat(scenario.events(MailFlowEvent.Deferred.class))
                    .hasSize(1));
            scenario.changePolicy(
                    """
                    <outboundConnectors>
                      <outboundConnector name="other" type="partner">
                        <recipientDomain>*</recipientDomain>
                        <smartHost>127.0.0.1:%d</smartHost>
                        <tls level="none"/>
                      </outboundConnector>
                    </outboundConnectors>"""
                            .formatted(peer.port()));
            GatewayScenario.await()
                    .untilAsserted(
                            () -> assertThat(policies.current().version()).isNotEqualTo(before));

            GatewayScenario.await().untilAsserted(() -> assertThat(scenario.queued("out"))
                    .singleElement()
                    .satisfies(mail -> assertThat(mail.getErrorMessage()).contains("which the policy does not have")));
            assertThat(peer.messages()).isEmpty();
        }
    }
}
