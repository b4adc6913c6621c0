/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

import org.apache.james.core.Username;
import org.apache.james.rrt.api.RecipientRewriteTable;
import org.apache.james.rrt.lib.MappingSource;
import org.apache.james.user.api.UsersRepository;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.ReceivedMessage;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.testing.TestCertificates;

/** What senders ask to be told of (RFC 3461) and what TLS they ask for (RFC 8689), from the door to the next hop. */
class DeliveryStatusTest {
    private static final TestCertificates.Authority AUTHORITY = TestCertificates.authority("Test CA");

    private static ScriptedSmtpPeer home;
    private static ScriptedSmtpPeer confirming;
    private static ScriptedSmtpPeer mute;
    private static ScriptedSmtpPeer strict;
    private static ScriptedSmtpPeer late;
    private static GatewayScenario scenario;

    @BeforeAll
    static void start(@TempDir Path directory) throws Exception {
        home = ScriptedSmtpPeer.builder().extensions("PIPELINING", "8BITMIME").start();
        confirming = ScriptedSmtpPeer.builder()
                .extensions("PIPELINING", "8BITMIME", "DSN")
                .when("RCPT", "nobody", Action.reply("550 5.1.1 no such user here"))
                .start();
        mute = ScriptedSmtpPeer.builder()
                .extensions("PIPELINING", "8BITMIME")
                .when("RCPT", "nobody", Action.reply("550 5.1.1 no such user here"))
                .start();
        strict = ScriptedSmtpPeer.builder()
                .extensionsAfterTls("PIPELINING", "8BITMIME", "REQUIRETLS")
                .startTls(AUTHORITY.leaf("strict.test").issue())
                .start();
        late = ScriptedSmtpPeer.builder()
                .always("RCPT", Action.reply("451 4.3.2 not now"))
                .start();
        scenario = GatewayScenario.in(directory)
                .edit(
                        "mailetcontainer.xml",
                        text -> text.replace(
                                "<mailet match=\"All\" class=\"dev.mailflow.mailets.RouteToConnector\"/>",
                                "<mailet match=\"All\" class=\"dev.mailflow.mailets.RouteToConnector\">"
                                        + "<heloName>mail.contoso.com</heloName></mailet>"))
                .policy("<acceptedDomains><domain>local.test</domain></acceptedDomains><outboundConnectors>"
                        + connector("home", home, "<tls level=\"none\"/>")
                        + connector("confirming", confirming, "<tls level=\"none\"/>")
                        + connector("mute", mute, "<tls level=\"opportunistic\"/>")
                        + connector(
                                "strict",
                                strict,
                                "<tls level=\"domain\" name=\"strict.test\" trustAnchors=\"file://conf/ca.pem\"/>")
                        + connector(
                                "late",
                                late,
                                "<tls level=\"none\"/><retry schedule=\"1s\" warnAfter=\"1s\" expireAfter=\"5s\"/>")
                        + "</outboundConnectors><addressRewrite>"
                        + "<entry internal=\"ann@local.test\" external=\"sales@outside.test\"/></addressRewrite>")
                .file(
                        "ca.pem",
                        Files.readString(
                                TestCertificates.writePem(directory.resolve("authority.pem"), AUTHORITY.certificate())))
                .start();
        for (String user : List.of("ann", "bob", "carl", "dora")) {
            scenario.gateway()
                    .instance(UsersRepository.class)
                    .addUser(Username.of(user + "@local.test"), "secret-of-a-test");
        }
        RecipientRewriteTable aliases = scenario.gateway().instance(RecipientRewriteTable.class);
        for (String user : List.of("bob", "carl")) {
            aliases.addGroupMapping(MappingSource.fromUser("team", "local.test"), user + "@local.test");
        }
    }

    @AfterAll
    static void stop() {
        scenario.close();
        home.close();
        confirming.close();
        mute.close();
        strict.close();
        late.close();
    }

    private static String connector(String name, ScriptedSmtpPeer peer, String tls) {
        return "<outboundConnector name=\"" + name + "\" type=\"partner\"><recipientDomain>" + name
                + ".test</recipientDomain><smartHost>127.0.0.1:" + peer.port() + "</smartHost>" + tls
                + "</outboundConnector>";
    }

    private static void send(String subject, String mail, String... recipients) throws Exception {
        try (SmtpSender.Session session = scenario.sender().open()) {
            send(session, subject, mail, recipients);
        }
    }

    private static void send(SmtpSender.Session session, String subject, String mail, String... recipients)
            throws Exception {
        session.command(mail, "250");
        for (String recipient : recipients) {
            session.command(recipient, "250");
        }
        session.command("DATA", "354");
        session.command(SmtpSender.message(subject) + ".", "250");
    }

    private static ReceivedMessage received(ScriptedSmtpPeer peer, String subject) {
        return GatewayScenario.await()
                .until(
                        () -> peer.messages().stream()
                                .filter(message -> message.text().contains(subject))
                                .findFirst(),
                        Optional::isPresent)
                .orElseThrow();
    }

    private static List<ReceivedMessage> reports(String subject) {
        return home.messages().stream()
                .filter(message -> message.text().contains("<" + subject + "@contoso.com>"))
                .toList();
    }

    @Test
    void wishesShouldBePassedOnToANextHopThatConfirms() throws Exception {
        send(
                "passed-on",
                "MAIL FROM:<joe@home.test> RET=hdrs ENVID=QQ+2B1",
                "RCPT TO:<a@confirming.test> NOTIFY=success,DELAY ORCPT=rfc822;first+2Bname@confirming.test",
                "RCPT TO:<b@confirming.test> NOTIFY=NEVER",
                "RCPT TO:<c@confirming.test> ORCPT=x400;/S+3Dc/",
                "RCPT TO:<d@confirming.test>");

        ReceivedMessage message = received(confirming, "passed-on");
        assertThat(message.mail()).endsWith(" RET=HDRS ENVID=QQ+2B1");
        assertThat(message.recipients())
                .containsExactlyInAnyOrder(
                        "RCPT TO:<a@confirming.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;first+2Bname@confirming.test",
                        "RCPT TO:<b@confirming.test> NOTIFY=NEVER",
                        "RCPT TO:<c@confirming.test> ORCPT=x400;/S+3Dc/",
                        "RCPT TO:<d@confirming.test>");
    }

    @Test
    void oneReportShouldTellOfAllRecipientsOfAnAttempt() throws Exception {
        send(
                "one-report",
                "MAIL FROM:<joe@home.test> RET=FULL ENVID=QQ+2B2",
                "RCPT TO:<a@mute.test> NOTIFY=SUCCESS ORCPT=rfc822;first+2Bname@mute.test",
                "RCPT TO:<b@mute.test>",
                "RCPT TO:<nobody1@mute.test> NOTIFY=SUCCESS,FAILURE",
                "RCPT TO:<nobody2@mute.test>",
                "RCPT TO:<nobody3@mute.test> NOTIFY=NEVER",
                "RCPT TO:<nobody4@mute.test> NOTIFY=SUCCESS");

        String report = received(home, "one-report").text();
        assertThat(report)
                .contains("Reporting-MTA: dns; mail.contoso.com\r\nOriginal-Envelope-Id: QQ+2\r\n")
                .containsPattern("Message-ID: <[^@>]+@mail\\.contoso\\.com>\r\n")
                .contains("Original-Recipient: rfc822;first+name@mute.test\r\n"
                        + "Final-Recipient: rfc822; a@mute.test\r\nAction: relayed\r\nStatus: 2.")
                .contains("Final-Recipient: rfc822; nobody1@mute.test\r\nAction: failed\r\nStatus: 5.1.1\r\n"
                        + "Remote-MTA: dns; 127.0.0.1\r\n"
                        + "Diagnostic-Code: smtp; 550 5.1.1 no such user here")
                .contains("Final-Recipient: rfc822; nobody2@mute.test")
                .contains("Body of one-report")
                .doesNotContain("b@mute.test", "nobody3@mute.test", "nobody4@mute.test");
        assertThat(reports("one-report")).hasSize(1);
    }

    @Test
    void deliveryIntoMailboxesShouldBeConfirmedToThoseWhoAsked() throws Exception {
        send(
                "delivered",
                "MAIL FROM:<joe@home.test> RET=FULL ENVID=QQ+2B3",
                "RCPT TO:<ann@local.test> NOTIFY=SUCCESS ORCPT=rfc822;first+2Bname@local.test",
                "RCPT TO:<bob@local.test> NOTIFY=SUCCESS,FAILURE",
                "RCPT TO:<carl@local.test> NOTIFY=FAILURE",
                "RCPT TO:<dora@local.test> NOTIFY=NEVER");

        String report = received(home, "delivered@contoso.com").text();
        assertThat(report)
                .contains(
                        "Subject: Mail delivered",
                        "Reporting-MTA: dns; mail.contoso.com\r\nOriginal-Envelope-Id: QQ+3\r\n")
                .containsPattern("Message-ID: <[^@>]+@mail\\.contoso\\.com>\r\n")
                .contains("Original-Recipient: rfc822;first+name@local.test\r\n"
                        + "Final-Recipient: rfc822; ann@local.test\r\nAction: delivered\r\nStatus: 2.0.0\r\n")
                .contains("Final-Recipient: rfc822; bob@local.test\r\nAction: delivered")
                .contains("Content-Type: text/rfc822-headers")
                .doesNotContain("carl@", "dora@", "Body of delivered");
        for (String user : List.of("ann", "bob", "carl", "dora")) {
            assertThat(scenario.mailbox(user + "@local.test"))
                    .anySatisfy(message -> assertThat(message).contains("Body of delivered"));
        }

        send("unconfirmed", "MAIL FROM:<>", "RCPT TO:<ann@local.test> NOTIFY=SUCCESS");
        GatewayScenario.await().untilAsserted(() -> assertThat(scenario.mailbox("ann@local.test"))
                .anySatisfy(message -> assertThat(message).contains("Body of unconfirmed")));
        assertThat(reports("delivered")).hasSize(1);
        assertThat(reports("unconfirmed")).isEmpty();
    }

    /** One address is rewritten to ann's, the other one an alias for bob and carl. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "sales@outside.test | x400;/S+3Dc/ | x400;/S=c/ | ann",
                "sales@outside.test | rfc822;first+2Bname@elsewhere.test | rfc822;first+name@elsewhere.test | ann",
                "sales@outside.test | '' | rfc822;sales@outside.test | ann",
                "team@local.test | x400;/S+3Dc/ | x400;/S=c/ | bob,carl",
                "team@local.test | rfc822;first+2Bname@elsewhere.test | rfc822;first+name@elsewhere.test | bob,carl",
            })
    void theOriginalRecipientShouldBeNamedWhenItGotAnotherAddress(
            String recipient, String original, String named, String users) throws Exception {
        String subject = "readdressed-" + (recipient + named).hashCode();
        send(
                subject,
                "MAIL FROM:<joe@home.test>",
                "RCPT TO:<" + recipient + "> NOTIFY=SUCCESS" + (original.isEmpty() ? "" : " ORCPT=" + original),
                "RCPT TO:<dora@local.test> NOTIFY=SUCCESS ORCPT=x400;/S+3Ddora/");

        String report = received(home, subject + "@contoso.com").text();
        for (String user : users.split(",")) {
            assertThat(report)
                    .contains("Original-Recipient: " + named + "\r\nFinal-Recipient: rfc822; " + user
                            + "@local.test\r\n");
        }
        assertThat(report)
                .contains("Original-Recipient: x400;/S=dora/\r\nFinal-Recipient: rfc822; dora@local.test\r\n")
                .doesNotContain("invalid");
    }

    @Test
    void aDelayShouldBeToldOnceAndOnlyToThoseWhoWantToKnow() throws Exception {
        send(
                "delayed",
                "MAIL FROM:<joe@home.test> RET=FULL ENVID=QQ+2B4",
                "RCPT TO:<a@late.test> NOTIFY=DELAY",
                "RCPT TO:<b@late.test> NOTIFY=FAILURE",
                "RCPT TO:<c@late.test>",
                "RCPT TO:<d@late.test> NOTIFY=NEVER");

        GatewayScenario.await()
                .untilAsserted(() -> assertThat(reports("delayed")).hasSize(2));
        GatewayScenario.await()
                .untilAsserted(() -> assertThat(scenario.queued("late")).isEmpty());
        assertThat(reports("delayed")).hasSize(2);
        assertThat(reports("delayed").get(0).text())
                .contains("Original-Envelope-Id: QQ+4\r\n", "Will-Retry-Until: ", "text/rfc822-headers")
                .contains("Final-Recipient: rfc822; a@late.test\r\nAction: delayed\r\nStatus: 4.")
                .contains("Final-Recipient: rfc822; c@late.test\r\nAction: delayed\r\nStatus: 4.")
                .doesNotContain("b@late.test", "d@late.test", "Body of delayed");
        assertThat(reports("delayed").get(1).text())
                .contains("Original-Envelope-Id: QQ+4\r\n", "Body of delayed")
                .contains("Final-Recipient: rfc822; b@late.test\r\nAction: failed\r\nStatus: 5.4.7")
                .contains("Final-Recipient: rfc822; c@late.test\r\nAction: failed\r\nStatus: 5.4.7")
                .doesNotContain("a@late.test", "d@late.test");
    }

    @Test
    void anEnvelopeIdShouldNotSpeakForTheServer() throws Exception {
        send(
                "forged",
                "MAIL FROM:<joe@home.test> ENVID=a+0D+0AStatus:+202.0.0+3D",
                "RCPT TO:<nobody@mute.test> ORCPT=rfc822;b+0D+0AAction:+20delivered");

        assertThat(received(home, "forged@contoso.com").text())
                .contains("Original-Envelope-Id: a  Status: 2.0.0=\r\n")
                .doesNotContain("\nStatus: 2.0.0", "\nAction: delivered");
    }

    @Test
    void aRecipientGivenTwiceShouldBeDeliveredToAndTheLaterWishCount() throws Exception {
        send(
                "twice",
                "MAIL FROM:<joe@home.test>",
                "RCPT TO:<a@confirming.test> NOTIFY=FAILURE",
                "RCPT TO:<a@confirming.test> NOTIFY=NEVER");

        assertThat(received(confirming, "twice").recipients()).containsOnly("RCPT TO:<a@confirming.test> NOTIFY=NEVER");
    }

    @Test
    void aNullSenderShouldBeToldNothing() throws Exception {
        send("bounced", "MAIL FROM:<> RET=FULL", "RCPT TO:<nobody@mute.test> NOTIFY=FAILURE");
        send("after-bounced", "MAIL FROM:<joe@home.test>", "RCPT TO:<nobody@mute.test>");

        received(home, "after-bounced");
        assertThat(reports("bounced")).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "MAIL FROM:<joe@home.test> RET=ALL | 5.5.4 RET: found 'ALL', expected FULL or HDRS",
                "MAIL FROM:<joe@home.test> ENVID=a=b | 5.5.4 ENVID: expected xtext",
                "MAIL FROM:<joe@home.test> ENVID=a+2b | 5.5.4 ENVID: expected xtext",
                "MAIL FROM:<joe@home.test> ENVID=a+ | 5.5.4 ENVID: expected xtext",
                "MAIL FROM:<joe@home.test> ENVID= | 5.5.4 ENVID: expected xtext",
                "RCPT TO:<a@home.test> ORCPT=rfc822; | 5.5.4 ORCPT: expected an address type",
                "RCPT TO:<a@home.test> ORCPT=rfc822;a=b | 5.5.4 ORCPT: expected an address type",
                "MAIL FROM:<joe@home.test> RET=FULL RET=HDRS | 5.5.4 parameter RET given twice",
                "RCPT TO:<a@home.test> NOTIFY=NEVER,SUCCESS | 5.5.4 NOTIFY: found 'NEVER,SUCCESS', expected NEVER or",
                "RCPT TO:<a@home.test> NOTIFY= | 5.5.4 NOTIFY: found ''",
                "RCPT TO:<a@home.test> ORCPT=joe@home.test | 5.5.4 ORCPT: expected an address type",
                "RCPT TO:<a@home.test> NOTIFY=NEVER NOTIFY=NEVER | 5.5.4 parameter NOTIFY given twice",
                "MAIL FROM:<joe@home.test> REQUIRETLS=yes | 5.5.4 REQUIRETLS takes no value",
            })
    void whatMeansNothingShouldBeRefusedAndTheSessionGoOn(String command, String reply) throws Exception {
        try (SmtpSender.Session session = scenario.sender().open()) {
            if (command.startsWith("RCPT")) {
                session.command("MAIL FROM:<joe@home.test>", "250");
            }
            assertThat(session.command(command, "501")).contains(reply);
            session.command("RSET", "250");
            session.command("MAIL FROM:<joe@home.test>", "250");
        }
    }

    @Test
    void requireTlsShouldBeOfferedUnderTlsOnlyAndNeverTakenWithoutIt() throws Exception {
        try (DoorClient plain = DoorClient.Way.plain("127.0.0.1")
                        .open(scenario.gateway().port("smtp"));
                DoorClient secured = DoorClient.Way.plain("127.0.0.1")
                        .withTls()
                        .open(scenario.gateway().port("smtp"))) {
            assertThat(plain.lines("EHLO client.test"))
                    .contains("250-DSN")
                    .noneMatch(line -> line.contains("REQUIRETLS"));
            assertThat(plain.command("MAIL FROM:<joe@home.test> RequireTls"))
                    .startsWith("530 5.7.10")
                    .contains("STARTTLS");
            assertThat(secured.lines("EHLO client.test")).anyMatch(line -> line.endsWith("REQUIRETLS"));
            assertThat(secured.command("MAIL FROM:<joe@home.test> RequireTls")).startsWith("250");
        }
    }

    @Test
    void requireTlsShouldReachANextHopThatPromisesTheSameAndNoOther() throws Exception {
        try (DoorClient client = DoorClient.Way.plain("127.0.0.1")
                .withTls()
                .open(scenario.gateway().port("smtp"))) {
            for (String to : List.of("a@strict.test", "a@mute.test")) {
                client.command("MAIL FROM:<joe@home.test> REQUIRETLS RET=FULL");
                client.command("RCPT TO:<" + to + ">");
                client.command("DATA");
                assertThat(client.command(SmtpSender.message("secret-" + to.substring(2)) + "."))
                        .startsWith("250");
            }
        }

        assertThat(received(strict, "secret-strict.test").mail()).endsWith(" REQUIRETLS");
        GatewayScenario.await().untilAsserted(() -> assertThat(scenario.events(MailFlowEvent.Failed.class))
                .anySatisfy(failed -> {
                    assertThat(failed.recipients()).containsExactly("a@mute.test");
                    assertThat(failed.status()).isEqualTo("5.7.30");
                }));
        assertThat(mute.messages())
                .extracting(ReceivedMessage::text)
                .noneMatch(text -> text.contains("secret-mute.test"));
        String report = received(home, "secret-mute.test").text();
        assertThat(report).contains("Status: 5.7.30").doesNotContain("Body of secret");
    }
}
