/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.IntStream;

import org.apache.james.core.Username;
import org.apache.james.mailbox.MailboxManager;
import org.apache.james.mailbox.MailboxSession;
import org.apache.james.mailbox.exception.MailboxException;
import org.apache.james.mailbox.exception.MailboxNotFoundException;
import org.apache.james.mailbox.model.MailboxPath;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.ReceivedMessage;
import dev.mailflow.integration.DoorClient.Way;
import dev.mailflow.policy.event.MailFlowEvent;

/** What rules are for: mail through a scrubber and back, and mail to very many recipients. */
class TransportRuleRecipesTest {
    /** The address that the scrubber comes from. */
    private static final String SCRUBBER = "127.0.9.1";

    /** The recipe of the sample configuration, on the ports of this test. */
    private static String scrubberRecipe(int scrubber, int away) throws Exception {
        String sample = Files.readString(Project.ROOT.resolve("james-conf/mailflow.xml"));
        String rule = sample.substring(sample.indexOf("<rule name=\"Through the scrubber\">"));
        rule = rule.substring(0, rule.indexOf("</rule>") + "</rule>".length());
        String outbound = sample.substring(sample.indexOf("<outboundConnector name=\"scrubber\""));
        outbound = outbound.substring(0, outbound.indexOf("</outboundConnector>") + "</outboundConnector>".length());
        String inbound = sample.substring(sample.indexOf("<inboundConnector name=\"scrubber-in\""));
        inbound = inbound.substring(0, inbound.indexOf("</inboundConnector>") + "</inboundConnector>".length());
        return """
                <acceptedDomains><domain>contoso.test</domain></acceptedDomains>
                <inboundConnectors>%s</inboundConnectors>
                <outboundConnectors>%s
                  <outboundConnector name="away" type="partner"><recipientDomain>away.test</recipientDomain>
                    <smartHost>127.0.0.1:%d</smartHost><tls level="none"/></outboundConnector></outboundConnectors>
                <transportRules>%s</transportRules>"""
                .formatted(
                        inbound.replace("127.0.0.1", SCRUBBER),
                        outbound.replace("127.0.0.1:2626", "127.0.0.1:" + scrubber),
                        away,
                        rule);
    }

    @Test
    void mailShouldPassTheScrubberOnceAndComeHome(@TempDir Path directory) throws Exception {
        try (ScriptedSmtpPeer scrubber = ScriptedSmtpPeer.builder().start();
                ScriptedSmtpPeer away = ScriptedSmtpPeer.builder().start();
                GatewayScenario scenario = GatewayScenario.in(directory)
                        .policy(scrubberRecipe(scrubber.port(), away.port()))
                        .start()) {
            scenario.gateway().addUser("ann@contoso.test", "secret");
            int port = scenario.gateway().port("smtp");

            try (DoorClient stranger = Way.plain("127.0.0.1").open(port)) {
                assertThat(stranger.deliver("<e@away.test>", "ann@contoso.test", message("in")))
                        .startsWith("250");
            }
            scenario.sender().send("ann@contoso.test", List.of("e@away.test"), message("out"));

            // mail for a mailbox here goes there too
            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(scrubber.messages()).hasSize(2));
            assertThat(away.messages()).isEmpty();
            for (ReceivedMessage message : scrubber.messages()) {
                boolean out = message.text().contains("Subject: out");
                try (DoorClient back = Way.plain(SCRUBBER).open(port)) {
                    assertThat(back.deliver(
                                    out ? "<ann@contoso.test>" : "<e@away.test>",
                                    out ? "e@away.test" : "ann@contoso.test",
                                    "X-Scrubbed: yes\r\n" + new String(message.content(), StandardCharsets.ISO_8859_1)))
                            .startsWith("250");
                }
            }

            GatewayScenario.await().untilAsserted(() -> assertThat(away.messages())
                    .singleElement()
                    .satisfies(message -> assertThat(message.text()).contains("X-Scrubbed: yes", "Subject: out")));
            GatewayScenario.await().untilAsserted(() -> assertThat(inboxSize(scenario, "ann@contoso.test"))
                    .isEqualTo(1));
            assertThat(scrubber.messages()).hasSize(2);
        }
    }

    private static long inboxSize(GatewayScenario scenario, String user) throws MailboxException {
        MailboxManager mailboxes = scenario.gateway().instance(MailboxManager.class);
        MailboxSession session = mailboxes.createSystemSession(Username.of(user));
        MailboxPath inbox = MailboxPath.inbox(session);
        try {
            return mailboxes.getMailbox(inbox, session).getMessageCount(session);
        } catch (MailboxNotFoundException e) {
            return 0;
        }
    }

    private static String message(String subject) {
        return "From: someone@contoso.test\r\nTo: anyone@away.test\r\nMessage-ID: <" + subject
                + "@contoso.test>\r\nSubject: " + subject + "\r\n\r\nBody of " + subject + "\r\n";
    }

    @Test
    void fiveThousandRecipientsShouldMakeTenCopies(@TempDir Path directory) throws Exception {
        try (ScriptedSmtpPeer away = ScriptedSmtpPeer.builder().start();
                GatewayScenario scenario = GatewayScenario.in(directory)
                        .policy(
                                """
                        <outboundConnectors><outboundConnector name="away" type="partner">
                          <recipientDomain>*</recipientDomain>
                          <smartHost>127.0.0.1:%d</smartHost><tls level="none"/></outboundConnector></outboundConnectors>
                        <transportRules><rule name="By digit"><sieve><![CDATA[
                          require ["envelope", "editheader", "variables"];
                          if envelope :matches "to" "user*?@away.test" { addheader "X-Digit" "${2}"; }
                        ]]></sieve></rule></transportRules>"""
                                        .formatted(away.port()))
                        .start()) {
            List<String> recipients = IntStream.range(0, 5_000)
                    .mapToObj(i -> "user" + i + "@away.test")
                    .toList();

            scenario.sender().send("joe@contoso.test", recipients, message("many"));

            Awaitility.await().atMost(Duration.ofMinutes(2)).untilAsserted(() -> assertThat(away.messages().stream()
                            .mapToInt(message -> message.recipients().size())
                            .sum())
                    .isEqualTo(5_000));
            assertThat(scenario.events(MailFlowEvent.Routed.class)).hasSize(10);
            assertThat(away.messages().stream()
                            .flatMap(message -> message.recipients().stream())
                            .distinct())
                    .hasSize(5_000);
            assertThat(away.messages()).allSatisfy(message -> {
                String digit = message.text().replaceAll("(?s).*X-Digit: (.).*", "$1");
                assertThat(message.recipients()).allMatch(recipient -> recipient.contains(digit + "@away.test"));
            });
        }
    }
}
