/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.stream.IntStream;

import org.apache.james.mailrepository.api.MailKey;
import org.apache.james.mailrepository.api.MailRepository;
import org.apache.james.mailrepository.api.MailRepositoryStore;
import org.apache.james.mailrepository.api.MailRepositoryUrl;
import org.apache.mailet.Mail;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.ReceivedMessage;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.event.MailFlowEvent;

/** Every action of transport rules on real mail, in one gateway with the shipped processors. */
class TransportRulesTest {
    private static final String FROM = "joe@contoso.test";

    @TempDir
    private static Path directory;

    private static ScriptedSmtpPeer away;
    private static ScriptedSmtpPeer home;
    private static ScriptedSmtpPeer special;
    private static GatewayScenario scenario;

    @BeforeAll
    static void start() throws Exception {
        away = ScriptedSmtpPeer.builder().start();
        home = ScriptedSmtpPeer.builder().start();
        special = ScriptedSmtpPeer.builder().start();
        scenario = GatewayScenario.in(directory)
                .policy(policy(RULES))
                .file("rules/reloaded.sieve", RELOADED)
                .start();
    }

    @AfterAll
    static void stop() {
        scenario.close();
        List.of(away, home, special).forEach(ScriptedSmtpPeer::close);
    }

    private static String policy(String rules) {
        return """
                <acceptedDomains><domain type="externalRelay">contoso.test</domain></acceptedDomains>
                <outboundConnectors>
                  <outboundConnector name="away" type="organization"><recipientDomain>*</recipientDomain>
                    <smartHost>127.0.0.1:%d</smartHost><tls level="opportunistic"/>
                    <internalHeaders>preserve</internalHeaders></outboundConnector>
                  <outboundConnector name="home" type="partner"><recipientDomain>contoso.test</recipientDomain>
                    <smartHost>127.0.0.1:%d</smartHost><tls level="none"/></outboundConnector>
                  <outboundConnector name="special" type="partner" rulesOnly="true">
                    <smartHost>127.0.0.1:%d</smartHost><tls level="none"/></outboundConnector>
                  <outboundConnector name="closed" type="partner" rulesOnly="true" enabled="false">
                    <smartHost>127.0.0.1:1</smartHost><tls level="none"/></outboundConnector>
                </outboundConnectors>
                <transportRules>%s</transportRules>"""
                .formatted(away.port(), home.port(), special.port(), rules);
    }

    private static String rule(String name, String attributes, String body) {
        return """
                <rule name="%1$s" %2$s><sieve><![CDATA[
                  require ["envelope", "copy", "reject", "editheader", "variables", "vnd.mailflow"];
                  if header :is "X-Case" "%1$s" { %3$s }
                ]]></sieve></rule>
                """
                .formatted(name, attributes, body);
    }

    /** Fails on what has no address in its header X-To. */
    private static final String RELOADED =
            """
            require "variables";
            if header :matches "X-To" "*" { redirect "${1}"; }
            """;

    private static final String RULES = String.join(
            "",
            rule("discard", "", "discard;"),
            rule("redirect", "", "redirect \"elsewhere@away.test\";"),
            rule("copy", "", "redirect :copy \"elsewhere@away.test\";"),
            rule("reject", "", "reject \"We do not\ntake that.\";"),
            rule("rejectSome", "", "if envelope \"to\" \"bad@away.test\" { reject \"not to bad\"; }"),
            rule("edit", "", "addheader \"X-Added\" \"yes\"; deleteheader \"X-Gone\";"),
            rule("seen", "", "addheader \"X-First\" \"1\";"),
            """
            <rule name="seenByTheNext"><sieve><![CDATA[require ["editheader"];
              if exists "X-First" { addheader "X-Second" "2"; stop; }]]></sieve></rule>
            """,
            rule("route", "", "if envelope \"to\" \"special@away.test\" { route \"special\"; }"),
            rule("routeHome", "", "route \"special\";"),
            rule("closed", "", "route \"closed\";"),
            rule("requiretls", "", "requiretls;"),
            rule("setscl", "", "setscl 7;"),
            rule("bcc", "", "bcc \"archive@away.test\";"),
            rule("addrecipient", "", "addrecipient \"boss@away.test\";"),
            rule("quarantine", "", "quarantine \"held\";"),
            rule("prependsubject", "", "prependsubject \"[EXT] \";"),
            rule("audit", "mode=\"audit\"", "addheader \"X-Audited\" \"yes\"; route \"special\"; discard;"),
            rule("auditSmtp", "mode=\"audit\" atSmtp=\"true\"", "reject \"no\";"),
            rule("off", "mode=\"off\"", "discard;"),
            rule("smtp", "atSmtp=\"true\"", "reject \"Not here,\n250 accepted\";"),
            rule("smtpSome", "atSmtp=\"true\"", "if envelope \"to\" \"bad@away.test\" { reject \"not to bad\"; }"),
            rule("everybody", "", "discard;"),
            rule(
                    "split",
                    "",
                    "if envelope :matches \"to\" \"*@away.test\" { if envelope :matches \"to\" \"*7@away.test\" {"
                            + " addheader \"X-Seven\" \"1\"; } }"),
            rule("ignored", "onError=\"ignore\"", "set \"to\" \"nobody at all\"; redirect \"${to}\";"),
            "<rule name=\"reloaded\"><script>file://conf/rules/reloaded.sieve</script></rule>",
            """
            <rule name="reports" nullSender="true"><sieve><![CDATA[
              if header :is "X-Case" "optedIn" { discard; }]]></sieve></rule>
            """);

    private static String message(String rule, String id) {
        return "From: " + FROM + "\r\nTo: Ann <ann@away.test>\r\nMessage-ID: <" + id + "@contoso.test>\r\nX-Case: "
                + rule + "\r\nX-Gone: x\r\nSubject: " + id + "\r\n\r\nBody of " + id + " \u00e9\r\n";
    }

    private static String send(String rule, String... recipients) throws IOException {
        return scenario.sender().send(FROM, List.of(recipients), message(rule, rule));
    }

    private static List<ReceivedMessage> received(ScriptedSmtpPeer peer, String id) {
        return peer.messages().stream()
                .filter(message -> message.text().contains("Message-ID: <" + id + "@contoso.test>"))
                .toList();
    }

    private static ReceivedMessage one(ScriptedSmtpPeer peer, String id) {
        GatewayScenario.await()
                .untilAsserted(() -> assertThat(received(peer, id)).as(id).hasSize(1));
        return received(peer, id).get(0);
    }

    private static List<MailFlowEvent.RuleHit> hits(String rule) {
        return scenario.events(MailFlowEvent.RuleHit.class).stream()
                .filter(hit -> hit.rule().equals(rule))
                .toList();
    }

    private static void awaitHit(String rule) {
        GatewayScenario.await().untilAsserted(() -> assertThat(hits(rule)).isNotEmpty());
    }

    private static List<String> recipients(ReceivedMessage message) {
        return message.recipients().stream()
                .map(line -> line.replaceAll(".*<(.*)>.*", "$1"))
                .toList();
    }

    @Test
    void discardShouldDeliverToNobodyAndTellNobody() throws Exception {
        send("discard", "ann@away.test");
        awaitHit("discard");
        // what comes after it through the same queue is there
        send("none", "ann@away.test");
        one(away, "none");

        assertThat(received(away, "discard")).isEmpty();
        assertThat(home.messages()).noneMatch(message -> message.text().contains("<discard@contoso.test>"));
    }

    @Test
    void redirectShouldReplaceTheRecipient() throws Exception {
        send("redirect", "ann@away.test", "bob@away.test");

        assertThat(recipients(one(away, "redirect"))).containsExactly("elsewhere@away.test");
    }

    @Test
    void redirectWithCopyShouldAddARecipient() throws Exception {
        send("copy", "ann@away.test");

        assertThat(recipients(one(away, "copy"))).containsExactlyInAnyOrder("ann@away.test", "elsewhere@away.test");
    }

    @Test
    void rejectShouldTellTheSenderInAReport() throws Exception {
        send("reject", "ann@away.test");

        GatewayScenario.await().untilAsserted(() -> assertThat(home.messages())
                .filteredOn(message -> message.text().contains("<reject@contoso.test>"))
                .singleElement()
                .satisfies(report -> {
                    assertThat(report.mail()).contains("FROM:<>");
                    assertThat(recipients(report)).containsExactly(FROM);
                    assertThat(report.text())
                            .contains("report-type=delivery-status")
                            .contains("Final-Recipient: rfc822; ann@away.test")
                            .contains("Action: failed", "Status: 5.7.1")
                            .contains("We do not take that.");
                }));
        assertThat(received(away, "reject")).isEmpty();
    }

    @Test
    void rejectOfSomeShouldDeliverToTheOthers() throws Exception {
        send("rejectSome", "ann@away.test", "bad@away.test");

        assertThat(recipients(one(away, "rejectSome"))).containsExactly("ann@away.test");
        GatewayScenario.await().untilAsserted(() -> assertThat(home.messages())
                .filteredOn(message -> message.text().contains("<rejectSome@contoso.test>"))
                .singleElement()
                .satisfies(report -> assertThat(report.text())
                        .contains("Final-Recipient: rfc822; bad@away.test")
                        .doesNotContain("Final-Recipient: rfc822; ann@away.test")));
    }

    @Test
    void headerEditsShouldChangeNoOtherByte() throws Exception {
        send("edit", "ann@away.test");

        String text = new String(one(away, "edit").content(), StandardCharsets.ISO_8859_1);
        assertThat(text).contains("X-Added: yes\r\n").doesNotContain("X-Gone");
        assertThat(text).endsWith("\r\nSubject: edit\r\n\r\nBody of edit \u00e9\r\n");
        assertThat(text).contains("From: " + FROM + "\r\nTo: Ann <ann@away.test>\r\n");
    }

    @Test
    void laterRulesShouldSeeWhatEarlierOnesEdited() throws Exception {
        send("seen", "ann@away.test");

        assertThat(one(away, "seen").text()).contains("X-First: 1\r\n", "X-Second: 2\r\n");
        assertThat(hits("seenByTheNext")).singleElement().matches(MailFlowEvent.RuleHit::stopped);
    }

    @Test
    void routeShouldActOnItsRecipientsOnly() throws Exception {
        send("route", "ann@away.test", "special@away.test");

        assertThat(recipients(one(away, "route"))).containsExactly("ann@away.test");
        assertThat(recipients(one(special, "route"))).containsExactly("special@away.test");
        assertThat(scenario.events(MailFlowEvent.Routed.class))
                .filteredOn(routed -> routed.connector().equals("special")
                        && routed.message()
                                .messageId()
                                .filter("<route@contoso.test>"::equals)
                                .isPresent())
                .singleElement()
                .satisfies(routed -> assertThat(routed.reason()).contains("transport rule 'route'"));
    }

    @Test
    void routeToADisabledConnectorShouldWaitThere() throws Exception {
        send("closed", "ann@away.test");

        GatewayScenario.await().untilAsserted(() -> assertThat(scenario.queued("closed"))
                .extracting(Mail::getErrorMessage)
                .singleElement()
                .asString()
                .contains("names outbound connector 'closed', which is disabled"));
        assertThat(received(away, "closed")).isEmpty();
    }

    @Test
    void requireTlsShouldDeferRatherThanSendInPlaintext() throws Exception {
        send("requiretls", "ann@away.test");

        GatewayScenario.await().untilAsserted(() -> assertThat(scenario.events(MailFlowEvent.Deferred.class))
                .anyMatch(deferred -> deferred.message()
                        .messageId()
                        .filter("<requiretls@contoso.test>"::equals)
                        .isPresent()));
        assertThat(received(away, "requiretls")).isEmpty();
    }

    @Test
    void spamLevelShouldLeaveAsACrossPremisesHeaderWherePreserved() throws Exception {
        send("setscl", "ann@away.test");

        assertThat(one(away, "setscl").text()).contains("X-MS-Exchange-CrossPremises-SCL: 7\r\n");
    }

    @Test
    void bccShouldAddARecipientThatTheHeaderDoesNotShow() throws Exception {
        send("bcc", "ann@away.test", "archive@away.test", "bob@away.test");

        ReceivedMessage message = one(away, "bcc");
        assertThat(recipients(message))
                .containsExactlyInAnyOrder("ann@away.test", "archive@away.test", "bob@away.test");
        assertThat(message.text()).doesNotContain("archive@away.test>", "Bcc");
    }

    @Test
    void addedRecipientShouldShowInTheHeader() throws Exception {
        send("addrecipient", "ann@away.test");

        ReceivedMessage message = one(away, "addrecipient");
        assertThat(recipients(message)).containsExactlyInAnyOrder("ann@away.test", "boss@away.test");
        assertThat(message.text()).contains("To: Ann <ann@away.test>,\r\n boss@away.test\r\n");
    }

    @Test
    void quarantineShouldKeepTheMailForAnAdministrator() throws Exception {
        send("quarantine", "ann@away.test");

        MailRepositoryStore store = scenario.gateway().instance(MailRepositoryStore.class);
        MailRepository held = store.select(MailRepositoryUrl.from("file://var/mail/held/"));
        GatewayScenario.await().untilAsserted(() -> assertThat(held.size()).isEqualTo(1));
        List<MailKey> keys = new ArrayList<>();
        Iterator<MailKey> list = held.list();
        list.forEachRemaining(keys::add);
        Mail mail = held.retrieve(keys.get(0));
        assertThat(mail.getRecipients()).extracting(Object::toString).containsExactly("ann@away.test");
        assertThat(mail.getErrorMessage()).contains("Quarantined by transport rule 'quarantine'");
        assertThat(received(away, "quarantine")).isEmpty();
    }

    @Test
    void subjectShouldGetItsPrefix() throws Exception {
        send("prependsubject", "ann@away.test");

        assertThat(one(away, "prependsubject").text()).contains("Subject: [EXT] prependsubject\r\n");
    }

    @Test
    void auditShouldChangeNotOneByteAndNoRoute() throws Exception {
        send("audit", "ann@away.test");

        ReceivedMessage message = one(away, "audit");
        assertThat(new String(message.content(), StandardCharsets.ISO_8859_1)).endsWith(message("audit", "audit"));
        assertThat(recipients(message)).containsExactly("ann@away.test");
        assertThat(received(special, "audit")).isEmpty();
        assertThat(hits("audit")).singleElement().satisfies(hit -> {
            assertThat(hit.mode()).isEqualTo("audit");
            assertThat(hit.actions()).containsExactly("addheader \"X-Audited\"", "route \"special\"", "discard");
            assertThat(hit.fields()).containsKey("would").doesNotContainKey("did");
        });
        assertThat(send("auditSmtp", "ann@away.test")).startsWith("250");
        one(away, "auditSmtp");
        assertThat(hits("auditSmtp")).hasSize(1);
    }

    @Test
    void ruleThatIsOffShouldDoNothing() throws Exception {
        send("off", "ann@away.test");

        one(away, "off");
        assertThat(hits("off")).isEmpty();
    }

    @Test
    void rejectAtSmtpShouldRefuseBeforeTheMessageIsAccepted() {
        assertThatThrownBy(() -> send("smtp", "ann@away.test"))
                .hasMessageContaining("found '550 5.7.1 Not here, 250 accepted'");
        assertThat(scenario.events(MailFlowEvent.Refused.class))
                .filteredOn(refused -> refused.stage().equals("rule"))
                .anySatisfy(refused -> assertThat(refused.reason()).isEqualTo("transport rule 'smtp' rejects it"));
    }

    @Test
    void rejectAtSmtpOfSomeShouldBeLeftToTheReport() throws Exception {
        assertThat(send("smtpSome", "ann@away.test", "bad@away.test")).startsWith("250");

        assertThat(recipients(one(away, "smtpSome"))).containsExactly("ann@away.test");
        GatewayScenario.await().untilAsserted(() -> assertThat(home.messages())
                .filteredOn(message -> message.text().contains("<smtpSome@contoso.test>"))
                .hasSize(1));
        assertThatThrownBy(() -> scenario.sender().send(FROM, List.of("bad@away.test"), message("smtpSome", "smtpBad")))
                .hasMessageContaining("550 5.7.1 not to bad");
    }

    @Test
    void failureShouldKeepTheMailUntilItCanBeJudged() throws Exception {
        scenario.sender().send(FROM, List.of("ann@away.test"), "X-To: nobody\r\n" + message("none", "fails"));

        GatewayScenario.await().untilAsserted(() -> assertThat(scenario.events(MailFlowEvent.RulesDeferred.class))
                .singleElement()
                .satisfies(deferred -> {
                    assertThat(deferred.reason())
                            .startsWith("transport rule 'reloaded' failed: rules/reloaded.sieve:2: ");
                    assertThat(deferred.recipients()).containsExactly("ann@away.test");
                    assertThat(deferred.attempt()).isEqualTo(1);
                }));
        assertThat(scenario.events(MailFlowEvent.RuleFailed.class))
                .extracting(MailFlowEvent.RuleFailed::effect)
                .contains("the mail waits");
        GatewayScenario.await().untilAsserted(() -> assertThat(scenario.spooled())
                .singleElement()
                .satisfies(mail -> assertThat(mail.getErrorMessage()).contains("transport rule 'reloaded' failed")));
        assertThat(received(away, "fails")).isEmpty();

        changeRule(RELOADED.replace("redirect \"${1}\"", "keep"));
        scenario.flushSpool();

        assertThat(recipients(one(away, "fails"))).containsExactly("ann@away.test");
        assertThat(scenario.spooled()).isEmpty();
        changeRule(RELOADED);
    }

    private static void changeRule(String script) {
        PolicyRepository policies = scenario.gateway().instance(PolicyRepository.class);
        String before = policies.current().version();
        scenario.changeFile("rules/reloaded.sieve", script);
        GatewayScenario.await().until(() -> !policies.current().version().equals(before));
    }

    @Test
    void ignoredFailureShouldBeAsIfTheRuleHadNotHit() throws Exception {
        send("ignored", "ann@away.test");

        assertThat(recipients(one(away, "ignored"))).containsExactly("ann@away.test");
        assertThat(scenario.events(MailFlowEvent.RuleFailed.class))
                .filteredOn(failed -> failed.rule().equals("ignored"))
                .singleElement()
                .satisfies(failed -> assertThat(failed.effect()).isEqualTo("ignored"));
    }

    @Test
    void brokenScriptShouldLeaveTheLastGoodPolicyInForce() throws Exception {
        PolicyRepository policies = scenario.gateway().instance(PolicyRepository.class);
        String version = policies.current().version();
        scenario.changeFile("rules/reloaded.sieve", "require \"variables\";\nfileinto \"INBOX\";\n");

        GatewayScenario.await().untilAsserted(() -> assertThat(policies.pendingProblems())
                .extracting(PolicyProblem::toString)
                .anyMatch(problem -> problem.startsWith("rules/reloaded.sieve:2: error: rule 'reloaded'")));
        assertThat(policies.current().version()).isEqualTo(version);
        scenario.sender()
                .send(FROM, List.of("ann@away.test"), "X-To: kept@away.test\r\n" + message("none", "lastGood"));
        assertThat(recipients(one(away, "lastGood"))).containsExactly("kept@away.test");

        scenario.changeFile("rules/reloaded.sieve", RELOADED);
        GatewayScenario.await().until(() -> policies.pendingProblems().isEmpty());
    }

    @Test
    void nullSenderShouldBeExemptUnlessARuleOptsIn() throws Exception {
        scenario.sender().send("", List.of("ann@away.test"), message("everybody", "exempt"));
        one(away, "exempt");

        scenario.sender().send("", List.of("ann@away.test"), message("optedIn", "optedIn"));
        awaitHit("reports");
        assertThat(received(away, "optedIn")).isEmpty();
    }

    @Test
    void splitShouldMakeAsManyCopiesAsOutcomes() throws Exception {
        String[] recipients =
                IntStream.range(0, 100).mapToObj(i -> "user" + i + "@away.test").toArray(String[]::new);
        send("split", recipients);

        GatewayScenario.await().untilAsserted(() -> assertThat(
                        received(away, "split").stream().flatMap(message -> recipients(message).stream()))
                .containsExactlyInAnyOrder(recipients));
        assertThat(received(away, "split")).hasSize(2);
        assertThat(received(away, "split"))
                .filteredOn(message -> message.text().contains("X-Seven: 1"))
                .singleElement()
                .satisfies(message -> assertThat(recipients(message)).hasSize(10));
    }
}
