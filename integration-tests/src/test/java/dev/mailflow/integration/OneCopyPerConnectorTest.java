/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.ReceivedMessage;
import dev.mailflow.policy.event.MailFlowEvent;

class OneCopyPerConnectorTest {

    private static String connector(String name, int port) {
        return """
                <outboundConnector name="%1$s" type="partner">
                  <recipientDomain>*.%1$s.test</recipientDomain>
                  <smartHost>127.0.0.1:%2$d</smartHost>
                  <tls level="none"/>
                </outboundConnector>"""
                .formatted(name, port);
    }

    @Test
    void mailShouldLeaveAsOneCopyPerConnectorAndADeadConnectorShouldDelayOnlyItsOwn(@TempDir Path directory)
            throws Exception {
        try (ScriptedSmtpPeer red = ScriptedSmtpPeer.builder().start();
                ScriptedSmtpPeer blue = ScriptedSmtpPeer.builder().start();
                GatewayScenario scenario = GatewayScenario.in(directory)
                        .policy("<outboundConnectors>" + connector("red", red.port()) + connector("blue", blue.port())
                                + connector("dead", FreePort.CLOSED) + "</outboundConnectors>")
                        .start()) {
            scenario.sender()
                    .send(
                            "joe@contoso.com",
                            List.of("a@red.test", "b@eu.red.test", "c@blue.test", "d@dead.test"),
                            SmtpSender.message("three"));

            GatewayScenario.await().untilAsserted(() -> {
                assertThat(red.messages()).hasSize(1);
                assertThat(blue.messages()).hasSize(1);
                assertThat(scenario.events(MailFlowEvent.Deferred.class)).hasSize(1);
            });
            assertThat(red.messages().get(0).recipients()).hasSize(2);
            assertThat(blue.messages()).extracting(ReceivedMessage::recipients).allMatch(list -> list.size() == 1);
            assertThat(scenario.events(MailFlowEvent.Deferred.class).get(0).recipients())
                    .containsExactly("d@dead.test");
            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(scenario.queued("dead")).hasSize(1));

            scenario.sender().send("joe@contoso.com", List.of("a@red.test"), SmtpSender.message("again"));
            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(red.messages()).hasSize(2));
        }
    }

    @Test
    void refusedRecipientShouldBeReportedToTheSenderAsRfc3464Prescribes(@TempDir Path directory) throws Exception {
        try (ScriptedSmtpPeer peer = ScriptedSmtpPeer.builder()
                        .when("RCPT", "nobody@", ScriptedSmtpPeer.Action.reply("550 5.1.1 no such user here"))
                        .start();
                ScriptedSmtpPeer home = ScriptedSmtpPeer.builder().start();
                GatewayScenario scenario = GatewayScenario.in(directory)
                        .policy("<outboundConnectors>" + connector("away", peer.port()) + connector("home", home.port())
                                + "</outboundConnectors>")
                        .start()) {
            scenario.sender()
                    .send(
                            "joe@home.test",
                            List.of("nobody@away.test", "somebody@away.test"),
                            SmtpSender.message("partial"));

            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(home.messages()).hasSize(1));
            ReceivedMessage report = home.messages().get(0);
            assertThat(report.mail()).contains("FROM:<>");
            assertThat(report.text())
                    .contains("report-type=delivery-status")
                    .contains("Final-Recipient: rfc822; nobody@away.test")
                    .contains("Action: failed")
                    .contains("Status: 5.1.1")
                    .contains("Diagnostic-Code: smtp; 550 5.1.1 no such user here")
                    .doesNotContain("somebody@away.test");
            assertThat(peer.messages()).singleElement().satisfies(message -> assertThat(message.recipients())
                    .hasSize(1));
        }
    }

    @Test
    void lateMailShouldBeReturnedToItsSenderWithTheReason(@TempDir Path directory) throws Exception {
        try (ScriptedSmtpPeer home = ScriptedSmtpPeer.builder().start();
                GatewayScenario scenario = GatewayScenario.in(directory)
                        .policy("<outboundConnectors>"
                                + connector("away", FreePort.CLOSED)
                                        .replace(
                                                "<tls",
                                                "<retry schedule=\"1s\" warnAfter=\"1s\" expireAfter=\"3s\"/><tls")
                                + connector("home", home.port()) + "</outboundConnectors>")
                        .start()) {
            scenario.sender().send("joe@home.test", List.of("d@away.test"), SmtpSender.message("late"));

            GatewayScenario.await().untilAsserted(() -> assertThat(home.messages())
                    .extracting(ReceivedMessage::text)
                    .anySatisfy(text ->
                            assertThat(text).contains("Action: failed", "Status: 5.4.7", "not delivered within 3s")));
            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(scenario.queued("away")).isEmpty());
        }
    }

    @Test
    void mailForNobodyInADomainOfOursShouldBeReturnedAndNotLeaveForOurOwnMx(@TempDir Path directory) throws Exception {
        try (ScriptedSmtpPeer home = ScriptedSmtpPeer.builder().start();
                GatewayScenario scenario = GatewayScenario.in(directory)
                        .policy("<acceptedDomains><domain>contoso.com</domain></acceptedDomains><outboundConnectors>"
                                + connector("home", home.port()) + "</outboundConnectors>")
                        // as if the user had gone between acceptance and delivery
                        .edit(
                                "smtpserver.xml",
                                text -> text.replace(
                                        "<handler class=\"dev.mailflow.hooks.AcceptedRecipientHook\"/>", ""))
                        .start()) {
            scenario.sender().send("joe@home.test", List.of("gone@contoso.com"), SmtpSender.message("gone"));

            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(home.messages()).hasSize(1));
            assertThat(home.messages().get(0).text())
                    .contains("Final-Recipient: rfc822; gone@contoso.com", "Status: 5.1.10");
            assertThat(scenario.events(MailFlowEvent.Routed.class))
                    .extracting(MailFlowEvent.Routed::connector)
                    .containsOnly("home");
        }
    }

    @Test
    void relayedMailShouldKeepEveryByteOfItsOwn(@TempDir Path directory) throws Exception {
        String message =
                "From: Jos\u00e9 <joe@home.test>\r\nTo: d@away.test\r\nSubject: na\u00efve \u00a0 \r\n\tfolded\r\n"
                        + "X-Odd:no space\r\nMime-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
                        + "Content-Transfer-Encoding: 8bit\r\n\r\n.dot\r\n\u00e9t\u00e9  \r\n..\r\n\r\n";
        try (ScriptedSmtpPeer away = ScriptedSmtpPeer.builder().start();
                GatewayScenario scenario = GatewayScenario.in(directory)
                        .policy("<outboundConnectors>" + connector("away", away.port()) + "</outboundConnectors>")
                        .start()) {
            scenario.sender().send("joe@home.test", List.of("d@away.test"), message);

            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(away.messages()).hasSize(1));
            assertThat(new String(away.messages().get(0).content(), StandardCharsets.ISO_8859_1))
                    .endsWith(message)
                    .contains("X-Mailflow-Connection-Filter: CIP=127.0.0.1; IPV=NLI\r\n");
        }
    }
}
