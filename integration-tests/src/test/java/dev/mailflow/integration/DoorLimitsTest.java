/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.integration.DoorClient.Way;
import dev.mailflow.policy.event.MailFlowEvent;

/** Limits per client and per connector at the door; each test comes from addresses of its own. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class DoorLimitsTest {
    private GatewayScenario scenario;
    private int port;

    @BeforeAll
    void start(@TempDir Path directory) throws Exception {
        scenario = GatewayScenario.in(directory)
                .edit(
                        "smtpserver.xml",
                        text -> text.replaceFirst(
                                "<handler class=\"dev.mailflow.hooks.AcceptedRecipientHook\"/>",
                                "<handler class=\"dev.mailflow.hooks.LimitsHook\"><connections>2</connections>"
                                        + "<messagesPerMinute>5</messagesPerMinute>"
                                        + "<recipientsPerMinute>8</recipientsPerMinute>"
                                        + "<connector name=\"partner\"><messagesPerMinute>2</messagesPerMinute></connector>"
                                        + "</handler>\n<handler class=\"dev.mailflow.hooks.AcceptedRecipientHook\"/>"))
                .policy(
                        """
                        <acceptedDomains><domain type="externalRelay">away.test</domain></acceptedDomains>
                        <inboundConnectors>
                          <inboundConnector name="branch" type="organization"><clientIp>127.0.3.1</clientIp></inboundConnector>
                          <inboundConnector name="partner" type="partner">
                            <senderDomain>partner.test</senderDomain><requireTls>false</requireTls>
                          </inboundConnector>
                        </inboundConnectors>""")
                .start();
        port = scenario.gateway().port("smtp");
    }

    @AfterAll
    void stop() {
        scenario.close();
    }

    private static String mail(DoorClient client, String sender) throws Exception {
        String reply = client.command("MAIL FROM:<" + sender + ">");
        if (reply.startsWith("250")) {
            assertThat(client.command("RSET")).startsWith("250");
        }
        return reply;
    }

    @Test
    void connectionsBeyondTheLimitShouldBeTurnedAwayUntilOneEnds() throws Exception {
        Way way = Way.plain("127.0.4.1");
        DoorClient first = way.open(port);
        try (DoorClient second = way.open(port);
                DoorClient third = way.open(port)) {
            assertThat(mail(first, "a@example.test")).startsWith("250");
            assertThat(mail(second, "a@example.test")).startsWith("250");
            assertThat(mail(third, "a@example.test"))
                    .isEqualTo("421 4.7.0 Too many connections from client host [127.0.4.1], try again later");
            assertThat(third.reply()).isEmpty();
            try (DoorClient other = Way.plain("127.0.4.2").open(port)) {
                assertThat(mail(other, "a@example.test")).startsWith("250");
            }
            first.close();
            GatewayScenario.await().until(() -> {
                try (DoorClient fourth = way.open(port)) {
                    return mail(fourth, "a@example.test").startsWith("250");
                }
            });
        }
    }

    @Test
    void messagesBeyondTheLimitShouldBeDeferred() throws Exception {
        try (DoorClient client = Way.plain("127.0.4.3").open(port)) {
            for (int i = 0; i < 5; i++) {
                assertThat(mail(client, "a@example.test")).startsWith("250");
            }
            assertThat(mail(client, "a@example.test"))
                    .isEqualTo("450 4.7.1 Too many messages from client host [127.0.4.3], try again later");
        }
        assertThat(scenario.events(MailFlowEvent.Refused.class)).anySatisfy(event -> assertThat(event.reason())
                .isEqualTo("limit <messagesPerMinute> of client 127.0.4.3 reached"));
    }

    @Test
    void recipientsBeyondTheLimitShouldBeDeferred() throws Exception {
        try (DoorClient client = Way.plain("127.0.4.4").open(port)) {
            client.command("MAIL FROM:<a@example.test>");
            for (int i = 0; i < 8; i++) {
                assertThat(client.command("RCPT TO:<" + i + "@away.test>")).startsWith("250");
            }
            assertThat(client.command("RCPT TO:<9@away.test>"))
                    .isEqualTo("450 4.7.1 Too many recipients from client host [127.0.4.4], try again later");
        }
    }

    @Test
    void organizationShouldBeExempt() throws Exception {
        try (DoorClient client = Way.plain("127.0.3.1").open(port)) {
            for (int i = 0; i < 30; i++) {
                assertThat(mail(client, "a@example.test")).startsWith("250");
            }
        }
    }

    @Test
    void connectorShouldBeCountedAsOneWhicheverClientSends() throws Exception {
        try (DoorClient one = Way.plain("127.0.4.5").open(port);
                DoorClient other = Way.plain("127.0.4.6").open(port)) {
            assertThat(mail(one, "a@partner.test")).startsWith("250");
            assertThat(mail(other, "a@partner.test")).startsWith("250");
            assertThat(mail(other, "a@partner.test")).startsWith("450 4.7.1 Too many messages");
            assertThat(mail(one, "a@example.test")).startsWith("250");
        }
    }
}
