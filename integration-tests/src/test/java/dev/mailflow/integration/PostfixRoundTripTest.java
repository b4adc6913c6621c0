/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.Inbox;
import dev.mailflow.policy.PolicyRepository;

/** Out under an external address to a real mail server; its answer and its bounce come home to the internal mailbox. */
class PostfixRoundTripTest {
    private static final String JOE = "joe@contoso.test";
    private static final String PASSWORD = "secret";
    private static final Pattern FROM = Pattern.compile("(?m)^From: .*<([^>]+)>\r?$");
    private static final Pattern MESSAGE_ID = Pattern.compile("(?m)^Message-ID: (<[^>]+>)\r?$");

    @Test
    @Timeout(180)
    void replyAndBounceOfPostfixShouldArriveInTheInternalMailbox(@TempDir Path directory) throws Exception {
        Optional<String> missing = PostfixPeer.missing();
        if (missing.isPresent() && Project.CI) {
            throw new AssertionError("found no " + missing.get() + ", expected in CI");
        }
        assumeTrue(missing.isEmpty(), () -> "SKIPPED, there is no " + missing.get());

        GatewayScenario.Builder gateway = GatewayScenario.in(directory.resolve("gateway"))
                .edit("imapserver.xml", text -> text.replace("<requireSSL>true<", "<requireSSL>false<"))
                .policy(policy(1));
        Files.createDirectories(directory.resolve("gateway"));
        Files.createDirectories(directory.resolve("postfix"));
        try (GatewayScenario scenario = gateway.start();
                PostfixPeer away = PostfixPeer.start(
                        directory.resolve("postfix"),
                        "away.test",
                        "eve",
                        "northwind.test",
                        scenario.gateway().port("smtp"))) {
            String version = scenario.gateway()
                    .instance(PolicyRepository.class)
                    .current()
                    .version();
            scenario.changePolicy(policy(away.port()));
            scenario.gateway().addUser(JOE, PASSWORD);
            GatewayScenario.await().until(() -> !scenario.gateway()
                    .instance(PolicyRepository.class)
                    .current()
                    .version()
                    .equals(version));

            scenario.sender()
                    .send(
                            JOE,
                            List.of("eve@away.test", "gone@away.test"),
                            "From: Joe <joe@contoso.test>\r\nTo: Eve <eve@away.test>, gone@away.test\r\n"
                                    + "Message-ID: <question@contoso.test>\r\nSubject: Question\r\n\r\nWhen, Eve?\r\n");

            GatewayScenario.await()
                    .untilAsserted(() ->
                            assertThat(away.delivered("eve")).as(away.log()).hasSize(1));
            String question = away.delivered("eve").get(0);
            assertThat(question)
                    .contains("Return-Path: <support@northwind.test>", "When, Eve?")
                    .doesNotContain("joe@contoso.test");

            // as a mail program answers: to From, with the Message-ID it answers to
            String answerTo = group(FROM, question);
            assertThat(answerTo).isEqualTo("support@northwind.test");
            new SmtpSender("127.0.0.1", away.port())
                    .send(
                            "eve@away.test",
                            List.of(answerTo),
                            "From: Eve <eve@away.test>\r\nTo: Joe <" + answerTo + ">\r\nIn-Reply-To: "
                                    + group(MESSAGE_ID, question)
                                    + "\r\nMessage-ID: <answer@away.test>\r\nSubject: Re: Question\r\n\r\nNow.\r\n");

            int imap = scenario.gateway().port("imap");
            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(inbox(imap)).as(away.log()).hasSize(2));
            List<String> inbox = inbox(imap);
            assertThat(inbox)
                    .filteredOn(message -> message.contains("Subject: Re: Question"))
                    .singleElement()
                    .asString()
                    .contains("To: Joe <joe@contoso.test>\r\n", "In-Reply-To: <question@contoso.test>", "Now.");
            assertThat(inbox)
                    .filteredOn(message -> message.contains("multipart/report"))
                    .singleElement()
                    .asString()
                    .contains(
                            "Return-Path: <>",
                            "To: joe@contoso.test\r\n",
                            "Final-Recipient: rfc822; gone@away.test",
                            "Action: failed",
                            // what was sent is quoted as it was sent
                            "From: Joe <support@northwind.test>");
        }
    }

    private static String policy(int away) {
        return """
                <acceptedDomains><domain>contoso.test</domain></acceptedDomains>
                <outboundConnectors>
                  <outboundConnector name="away" type="partner"><recipientDomain>away.test</recipientDomain>
                    <smartHost>127.0.0.1:%d</smartHost><tls level="none"/></outboundConnector>
                </outboundConnectors>
                <addressRewrite><entry internal="joe@contoso.test" external="support@northwind.test"/></addressRewrite>"""
                .formatted(away);
    }

    private static String group(Pattern pattern, String message) {
        Matcher matcher = pattern.matcher(message);
        assertThat(matcher.find()).as(message).isTrue();
        return matcher.group(1);
    }

    private static List<String> inbox(int port) throws Exception {
        return Inbox.imap(port).messages(JOE, PASSWORD).stream()
                .map(message -> new String(message, StandardCharsets.ISO_8859_1))
                .toList();
    }
}
