/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.ReceivedMessage;
import dev.mailflow.policy.event.MailFlowEvent;

/** Mail that leaves under an external address, and what comes back to it. */
class AddressRewritingTest {

    private static String policy(int away, int home) {
        return """
                <acceptedDomains>
                  <domain>contoso.test</domain>
                  <domain type="internalRelay">northwind.test</domain>
                </acceptedDomains>
                <outboundConnectors>%s%s</outboundConnectors>
                <addressRewrite>
                  <entry internal="joe@contoso.test" external="support@northwind.test"/>
                  <entry internal="*.contoso.test" external="contoso.test" outboundOnly="true"/>
                  <entriesFile>file://conf/rewrite.csv</entriesFile>
                </addressRewrite>"""
                .formatted(connector("away.test", away), connector("contoso.test", home));
    }

    private static String connector(String domain, int port) {
        return """
                <outboundConnector name="to-%1$s" type="partner"><recipientDomain>*.%1$s</recipientDomain>
                  <smartHost>127.0.0.1:%2$d</smartHost><tls level="none"/></outboundConnector>"""
                .formatted(domain, port);
    }

    @Test
    void replyAndBounceShouldComeHomeToTheInternalMailbox(@TempDir Path directory) throws Exception {
        try (ScriptedSmtpPeer away = ScriptedSmtpPeer.builder()
                        .when("RCPT", "nobody@", ScriptedSmtpPeer.Action.reply("550 5.1.1 no such user here"))
                        .start();
                ScriptedSmtpPeer home = ScriptedSmtpPeer.builder().start();
                GatewayScenario scenario = GatewayScenario.in(directory)
                        .policy(policy(away.port(), home.port())
                                .replace(
                                        "<domain>contoso.test</domain>",
                                        "" + "<domain type=\"externalRelay\">contoso.test</domain>"))
                        .file("rewrite.csv", "internal,external\nann@contoso.test,ann@northwind.test\n")
                        .start()) {
            String out = "From: Joe <joe@contoso.test>\r\nTo: e@away.test\r\nMessage-ID: <out@contoso.test>\r\n"
                    + "Subject: out\r\n\r\njoe@contoso.test\r\n";
            scenario.sender().send("joe@contoso.test", List.of("e@away.test", "nobody@away.test"), out);

            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(away.messages()).hasSize(1));
            ReceivedMessage left = away.messages().get(0);
            assertThat(left.mail()).contains("FROM:<support@northwind.test>");
            assertThat(left.text())
                    .contains("From: Joe <support@northwind.test>\r\n", "\r\n\r\njoe@contoso.test\r\n")
                    .contains("Message-ID: <out@contoso.test>");
            // our own bounce goes to the rewritten sender and is rewritten home
            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(home.messages()).hasSize(1));
            assertThat(home.messages().get(0).mail()).contains("FROM:<>");
            assertThat(home.messages().get(0).recipients())
                    .singleElement()
                    .asString()
                    .contains("joe@contoso.test");
            assertThat(home.messages().get(0).text()).contains("nobody@away.test");

            scenario.sender()
                    .send(
                            "e@away.test",
                            List.of("support@northwind.test"),
                            "From: e@away.test\r\nTo: Joe <support@northwind.test>\r\nMessage-ID: <re@away.test>\r\n"
                                    + "Subject: Re: out\r\n\r\nreply\r\n");
            scenario.sender()
                    .send(
                            "",
                            List.of("ann@northwind.test"),
                            "From: MAILER-DAEMON@away.test\r\nTo: ann@northwind.test\r\nMessage-ID: <b@away.test>\r\n"
                                    + "Subject: bounce\r\n\r\nbounce\r\n");
            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(home.messages()).hasSize(3));
            assertThat(home.messages())
                    .filteredOn(message -> message.text().contains("Subject: Re: out"))
                    .singleElement()
                    .satisfies(message -> {
                        assertThat(message.recipients())
                                .singleElement()
                                .asString()
                                .contains("joe@contoso.test");
                        assertThat(message.text()).contains("To: Joe <joe@contoso.test>\r\n");
                    });
            assertThat(home.messages())
                    .filteredOn(message -> message.text().contains("Subject: bounce"))
                    .singleElement()
                    .satisfies(message -> assertThat(message.recipients())
                            .singleElement()
                            .asString()
                            .contains("ann@contoso.test"));
            assertThat(scenario.events(MailFlowEvent.Rewritten.class))
                    .extracting(MailFlowEvent.Rewritten::direction)
                    .containsOnly("outbound", "inbound");
        }
    }
}
