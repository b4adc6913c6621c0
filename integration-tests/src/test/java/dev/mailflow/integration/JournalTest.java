/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apache.james.core.MailAddress;
import org.apache.james.mailrepository.api.MailRepository;
import org.apache.james.mailrepository.api.MailRepositoryStore;
import org.apache.james.mailrepository.api.MailRepositoryUrl;
import org.apache.mailet.Mail;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.integration.DoorClient.Way;
import dev.mailflow.policy.event.MailFlowEvent;

/** Journal reports on real mail: what they hold, on which mail, and how many. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class JournalTest {
    private static final Way INTERNET = Way.plain("127.0.5.1");
    private static final Way SCRUBBER = Way.plain("127.0.7.1");

    private ScriptedSmtpPeer world;
    private ScriptedSmtpPeer archive;
    private ScriptedSmtpPeer full;
    private GatewayScenario scenario;

    @BeforeAll
    void start(@TempDir Path directory) throws Exception {
        world = ScriptedSmtpPeer.builder().start();
        archive = ScriptedSmtpPeer.builder()
                .on("RCPT", Action.reply("451 4.3.0 not now"), Action.reply("451 4.3.0 not yet"))
                .start();
        full = ScriptedSmtpPeer.builder()
                .always("RCPT", Action.reply("550 5.2.2 full"))
                .start();
        scenario = GatewayScenario.in(directory)
                .edit(
                        "smtpserver.xml",
                        text -> text.replace("<authorizedAddresses>127.0.0.0/8</authorizedAddresses>", ""))
                .edit(
                        "mailetcontainer.xml",
                        text -> text.replace(
                                "<!-- the transport rules of mailflow.xml",
                                "<mailet match=\"All\" class=\"dev.mailflow.mailets.Journal\">"
                                        + "<journalMailbox>journal@contoso.com</journalMailbox></mailet>"
                                        + "<mailet match=\"All\" class=\"dev.mailflow.mailets.Journal\">"
                                        + "<journalMailbox>legal@contoso.com</journalMailbox>"
                                        + "<scope>external</scope><recipient>j@contoso.com</recipient></mailet>"
                                        + "<mailet match=\"All\" class=\"dev.mailflow.mailets.Journal\">"
                                        + "<journalMailbox>all@archive.test</journalMailbox>"
                                        + "<recipient>archived@contoso.com</recipient></mailet>"
                                        + "<mailet match=\"All\" class=\"dev.mailflow.mailets.Journal\">"
                                        + "<journalMailbox>journal@full.test</journalMailbox>"
                                        + "<recipient>refused@contoso.com</recipient></mailet>"
                                        + "<!-- the transport rules of mailflow.xml"))
                .policy(
                        """
                        <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                        <inboundConnectors>
                          <inboundConnector name="scrubber-in" type="organization">
                            <clientIp>127.0.7.1</clientIp>
                          </inboundConnector>
                        </inboundConnectors>
                        <outboundConnectors>
                          <outboundConnector name="archive" type="partner">
                            <recipientDomain>archive.test</recipientDomain>
                            <smartHost>127.0.0.1:%d</smartHost>
                            <tls level="none"/>
                            <retry schedule="1s" warnAfter="4h" expireAfter="2d"/>
                          </outboundConnector>
                          <outboundConnector name="full" type="partner">
                            <recipientDomain>full.test</recipientDomain>
                            <smartHost>127.0.0.1:%d</smartHost>
                            <tls level="none"/>
                          </outboundConnector>
                          <outboundConnector name="internet" type="internet">
                            <recipientDomain>*</recipientDomain>
                            <smartHost>127.0.0.1:%d</smartHost>
                            <tls level="none"/>
                          </outboundConnector>
                        </outboundConnectors>
                        <transportRules>
                          <rule name="Copy"><sieve><![CDATA[
                            require ["vnd.mailflow"];
                            if header :contains "Subject" "copied" { bcc "secret@world.test"; }
                          ]]></sieve></rule>
                        </transportRules>"""
                                .formatted(archive.port(), full.port(), world.port()))
                .start();
        for (String user : List.of("j", "k", "archived", "refused", "journal", "legal")) {
            scenario.gateway().addUser(user + "@contoso.com", "a-password");
        }
    }

    @AfterAll
    void stop() {
        if (scenario != null) {
            scenario.close();
        }
        world.close();
        archive.close();
        full.close();
    }

    private void send(Way way, String sender, String subject, String headers, String... recipients) throws Exception {
        try (DoorClient client = way.open(scenario.gateway().port("smtp"))) {
            assertThat(client.command("MAIL FROM:<" + sender + ">")).startsWith("250");
            for (String recipient : recipients) {
                assertThat(client.command("RCPT TO:<" + recipient + ">")).startsWith("250");
            }
            assertThat(client.command("DATA")).startsWith("354");
            client.send((headers + "From: <e@world.test>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <"
                            + subject + "@world.test>\r\nSubject: " + subject + "\r\n\r\nBody of " + subject + " \r\n")
                    .getBytes(StandardCharsets.ISO_8859_1));
            assertThat(client.command(".")).startsWith("250");
        }
    }

    private List<String> reports(String mailbox, String subject) {
        return scenario.mailbox(mailbox).stream()
                .filter(text -> text.contains("\nSubject: " + subject + "\r\n"))
                .toList();
    }

    private String report(String mailbox, String subject) {
        return GatewayScenario.await()
                .until(() -> reports(mailbox, subject).stream().findFirst(), Optional::isPresent)
                .orElseThrow();
    }

    private long journaled(String subject) {
        return scenario.events(MailFlowEvent.Journaled.class).stream()
                .filter(event -> event.message().messageId().equals(Optional.of("<" + subject + "@world.test>")))
                .count();
    }

    @Test
    void reportShouldTellTheEnvelopeAndHoldTheMessage() throws Exception {
        send(INTERNET, "e@world.test", "report", "", "j@contoso.com", "k@contoso.com");

        String report = report("journal@contoso.com", "report");
        assertThat(report)
                .contains("X-MS-Journal-Report:\r\n")
                .contains("Sender: e@world.test\r\nSubject: report\r\nMessage-Id: <report@world.test>\r\n"
                        + "Recipient: j@contoso.com\r\nRecipient: k@contoso.com\r\n")
                .contains("Content-Type: message/rfc822\r\n")
                .contains("\r\n\r\nBody of report \r\n");
        assertThat(report.substring(0, report.indexOf("\r\n\r\n"))).contains("Return-Path: <>");
        report("legal@contoso.com", "report");
        GatewayScenario.await().until(() -> !reports("j@contoso.com", "report").isEmpty());
        assertThat(journaled("report")).isEqualTo(2);
        assertThat(reports("journal@contoso.com", "report")).hasSize(1);
    }

    @Test
    void recipientShouldLimitWhatIsJournaled() throws Exception {
        send(INTERNET, "e@world.test", "for-k", "", "k@contoso.com");

        report("journal@contoso.com", "for-k");
        assertThat(journaled("for-k")).isEqualTo(1);
    }

    @Test
    void messageThatComesBackShouldNotBeJournaledAgain() throws Exception {
        send(SCRUBBER, "j@contoso.com", "returning", "", "e@world.test");
        String left = GatewayScenario.await()
                .until(
                        () -> world.messages().stream()
                                .map(ScriptedSmtpPeer.ReceivedMessage::text)
                                .filter(text -> text.contains("Subject: returning\r\n"))
                                .findFirst(),
                        Optional::isPresent)
                .orElseThrow();
        StringBuilder marks = new StringBuilder();
        Matcher mark = Pattern.compile("X-Mailflow-Journaled: [^\r]*\r\n").matcher(left);
        while (mark.find()) {
            marks.append(mark.group());
        }
        assertThat(marks).isNotEmpty();
        long before = journaled("returning");

        send(SCRUBBER, "j@contoso.com", "returning", marks.toString(), "e@world.test");
        send(INTERNET, "e@world.test", "escaping", marks.toString(), "k@contoso.com");
        send(INTERNET, "e@world.test", "returning", marks.toString(), "k@contoso.com");

        GatewayScenario.await()
                .until(() -> world.messages().stream()
                                .filter(message -> message.text().contains("Subject: returning\r\n"))
                                .count()
                        == 2);
        GatewayScenario.await().until(() -> journaled("escaping") == 1);
        // only the one from the Internet, whose mark nobody believes
        GatewayScenario.await().until(() -> journaled("returning") == before + 1);
    }

    @Test
    void reportShouldNameTheRecipientsThatTransportRulesAdd() throws Exception {
        send(INTERNET, "e@world.test", "copied", "", "k@contoso.com");

        assertThat(report("journal@contoso.com", "copied"))
                .contains("Recipient: k@contoso.com\r\nRecipient: secret@world.test\r\n");
        GatewayScenario.await().until(() -> world.messages().stream()
                .anyMatch(message -> message.recipients().toString().contains("secret@world.test")));
        assertThat(reports("journal@contoso.com", "copied")).hasSize(1);
        assertThat(journaled("copied")).isEqualTo(1);
    }

    @Test
    void reportShouldBeKeptAndTriedAgainWhileTheJournalMailboxCannotBeReached() throws Exception {
        send(INTERNET, "e@world.test", "archived", "", "archived@contoso.com");

        GatewayScenario.await().until(() -> archive.messages().size() == 1);
        assertThat(archive.messages().get(0).text()).contains("Message-Id: <archived@world.test>\r\n");
        assertThat(archive.sessions().stream()
                        .flatMap(session -> session.commands().stream())
                        .filter(command -> command.startsWith("RCPT TO:<all@archive.test>")))
                .hasSize(3);
        assertThat(reports("archived@contoso.com", "archived")).hasSize(1);
        assertThat(toldToTheSender()).isEmpty();
    }

    @Test
    void reportThatIsRefusedShouldWaitForAnAdministratorAndNotBounce() throws Exception {
        send(INTERNET, "e@world.test", "refused", "", "refused@contoso.com");

        MailRepository kept = scenario.gateway()
                .instance(MailRepositoryStore.class)
                .select(MailRepositoryUrl.from("file://var/mail/error/"));
        GatewayScenario.await().until(() -> kept.size() == 1);
        Mail report = kept.retrieve(kept.list().next());
        assertThat(report.getRecipients()).extracting(MailAddress::asString).containsExactly("journal@full.test");
        assertThat(report.getMessage().getHeader("X-MS-Journal-Report")).isNotNull();
        assertThat(report.getMessage().getSubject()).isEqualTo("refused");
        GatewayScenario.await()
                .until(() -> !reports("refused@contoso.com", "refused").isEmpty());
        assertThat(toldToTheSender()).isEmpty();
    }

    private List<String> toldToTheSender() {
        return world.messages().stream()
                .filter(message -> message.recipients().toString().contains("e@world.test")
                        && message.text().contains("multipart/report"))
                .map(ScriptedSmtpPeer.ReceivedMessage::text)
                .toList();
    }
}
