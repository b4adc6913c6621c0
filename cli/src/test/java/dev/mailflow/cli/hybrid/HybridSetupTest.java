/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Clock;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

import com.google.common.base.Splitter;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import dev.mailflow.policy.file.MailFlowXmlReader;
import dev.mailflow.policy.testing.TestCertificates;
import dev.mailflow.policy.testing.TestCertificates.Authority;
import dev.mailflow.policy.testing.TestCertificates.Issued;

class HybridSetupTest {
    private static final Authority CA = TestCertificates.authority("Public CA");

    @TempDir
    private Path directory;

    private Wizard wizard;

    @BeforeEach
    void sample() {
        wizard = new Wizard(directory.resolve("conf"));
    }

    private MailFlowPolicy policy() throws Exception {
        return MailFlowXmlReader.read(wizard.conf.resolve("mailflow.xml"), wizard.conf, Map.of(), Clock.systemUTC())
                .policyOrThrow();
    }

    @Test
    void setupShouldWriteAPolicyThatMeansTheAnswers() throws Exception {
        assertThat(wizard.setUp("--centralized-transport", "on", "--mx", "cloud"))
                .as(wizard.out() + wizard.err())
                .isZero();

        MailFlowPolicy policy = policy();
        assertThat(policy.acceptedDomains().entries())
                .extracting(Object::toString)
                .anySatisfy(domain -> assertThat(domain).contains("contoso.com"));
        OutboundConnector cloud = policy.outboundConnectors().find("cloud-out").orElseThrow();
        assertThat(cloud.tls().level()).isEqualTo(TlsLevel.DOMAIN);
        assertThat(cloud.tls().name()).hasToString("Optional[*.mail.protection.outlook.com]");
        assertThat(cloud.tls().clientCertificate()).isPresent();
        assertThat(policy.inboundConnectors().find("cloud-in").orElseThrow().relay())
                .isTrue();
        assertThat(policy.hybrid()).hasValueSatisfying(hybrid -> {
            assertThat(hybrid.centralizedTransport()).isTrue();
            assertThat(hybrid.secureMail()).isTrue();
            assertThat(hybrid.mx()).hasToString("cloud");
            assertThat(hybrid.remoteRoutingDomain().asString()).isEqualTo("contoso.mail.onmicrosoft.com");
        });
        assertThat(wizard.file("smtpserver.xml"))
                .contains("<privateKey>file://conf/hybrid/gateway.key</privateKey>")
                .contains("<certificates>file://conf/hybrid/gateway.crt</certificates>");
        assertThat(wizard.file("mailetcontainer.xml")).contains("dev.mailflow.mailets.LocateRecipients");
    }

    @Test
    void secondRunWithTheSameAnswersShouldChangeNoByte() {
        assertThat(wizard.setUp()).as(wizard.err()).isZero();
        Map<String, String> once = wizard.everything();

        assertThat(wizard.setUp()).isZero();

        assertThat(wizard.out()).contains("Nothing to change");
        assertThat(wizard.everything()).isEqualTo(once);

        assertThat(wizard.run("setup", "--non-interactive", "--yes"))
                .as(wizard.err())
                .isZero();
        assertThat(wizard.everything()).as("without any answer at all").isEqualTo(once);
    }

    @Test
    void secretsShouldBeTheOwnersAloneAndNeverShown() throws Exception {
        wizard.setUp();

        for (String secret : List.of("gateway.key", "gateway.p12", "gateway.p12.secret")) {
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(
                            wizard.conf.resolve("hybrid").resolve(secret))))
                    .as(secret)
                    .isEqualTo("rw-------");
        }
        String password = wizard.file("hybrid/gateway.p12.secret").strip();
        assertThat(wizard.out() + wizard.err() + wizard.file("mailflow.xml") + wizard.file("smtpserver.xml"))
                .doesNotContain(password)
                .doesNotContain("PRIVATE KEY");
        assertThat(wizard.out()).contains("+++ hybrid/gateway.key (secret, mode 0600, new)");
    }

    @Test
    void handEditedFilesShouldKeepCommentsForeignElementsAndOrder() throws Exception {
        String before =
                """
                <?xml version="1.0" encoding="UTF-8"?>
                <!-- Grüße; edited by hand -->
                <mailflow>
                \t<outboundConnectors>
                \t\t<!-- a partner; do not touch -->
                \t\t<outboundConnector name='fabrikam-out'   type="partner"><recipientDomain>fabrikam.com</recipientDomain><useMx>true</useMx><tls level="ca"/></outboundConnector>
                \t</outboundConnectors>
                \t<acceptedDomains>
                \t\t<domain>example.com</domain>          <!-- the old one -->
                \t\t<!-- <domain>off.example</domain> -->
                \t</acceptedDomains>
                </mailflow>
                <!-- the end -->
                """;
        wizard.write("mailflow.xml", before);
        String smtpBefore = wizard.file("smtpserver.xml")
                .replace(
                        "<maxmessagesize>25M</maxmessagesize>",
                        "<maxmessagesize>42M</maxmessagesize><!-- big -->\n<foreign a='1'/>");
        wizard.write("smtpserver.xml", smtpBefore);

        assertThat(wizard.setUp()).as(wizard.err()).isZero();

        String after = wizard.file("mailflow.xml");
        // whatever stood there stands there still, line by line and in order
        assertThat(after.lines().toList()).containsSubsequence(before.lines().toList());
        assertThat(after).contains("\t\t<domain type=\"internalRelay\">contoso.com</domain>");
        assertThat(wizard.file("smtpserver.xml"))
                .contains("<maxmessagesize>42M</maxmessagesize><!-- big -->\n<foreign a='1'/>");
        assertThat(wizard.file("smtpserver.xml").lines())
                .filteredOn(line -> !smtpBefore.contains(line))
                .allSatisfy(line -> assertThat(line).containsAnyOf("privateKey", "certificates"));
    }

    @Test
    void handlersThatAreMissingShouldBeAddedWhereTheyBelong() throws Exception {
        wizard.write(
                "smtpserver.xml",
                wizard.file("smtpserver.xml")
                        .replaceAll(
                                "<handler class=\"dev\\.mailflow\\.hooks\\."
                                        + "(XoorgExtension|AcceptedRecipientHook|KnownParameters|HopLimitHook)\"/>",
                                ""));

        assertThat(wizard.setUp()).as(wizard.err()).isZero();

        String after = wizard.file("smtpserver.xml");
        assertThat(Pattern.compile("<handler class=\"[^\"]*\\.(\\w+)\"/>")
                        .matcher(after.substring(0, after.indexOf("</handlerchain>")))
                        .results()
                        .map(handler -> handler.group(1)))
                .containsExactly(
                        "ConnectionFilterHook",
                        "InboundConnectorHook",
                        "XoorgExtension",
                        "AcceptedRecipientHook",
                        "KnownParameters",
                        "HopLimitHook",
                        "DsnExtension",
                        "RequireTlsExtension",
                        "TransportRulesHook",
                        "StampFactsHook",
                        "CoreCmdHandlerLoader");
    }

    @Test
    void changedAnswersShouldChangeWhatTheySayAndNothingElse() throws Exception {
        wizard.setUp();
        String before = wizard.file("mailflow.xml");

        assertThat(wizard.setUp("--domain", "contoso.com,fabrikam.com", "--smart-host", "cloud.example:2525"))
                .isZero();

        assertThat(policy().hybrid().orElseThrow().sharedDomains()).hasSize(2);
        assertThat(wizard.file("mailflow.xml")).contains("<smartHost port=\"2525\">cloud.example</smartHost>");
        wizard.setUp();
        // an accepted domain is not taken away: it may have mailboxes
        assertThat(wizard.file("mailflow.xml")
                        .replace("    <domain type=\"internalRelay\">fabrikam.com</domain>\n", ""))
                .isEqualTo(before);
    }

    @Test
    void setAndRemoveShouldBeOneLineChangesThatCanBeTakenBack() throws Exception {
        wizard.setUp();
        String before = wizard.file("mailflow.xml");

        assertThat(wizard.run("set", "centralizedTransport=on")).isZero();
        assertThat(wizard.file("mailflow.xml"))
                .isEqualTo(before.replace(
                        "<centralizedTransport>false</centralizedTransport>",
                        "<centralizedTransport>true</centralizedTransport>"));
        assertThat(wizard.run("set", "centralizedTransport=on")).isZero();
        assertThat(wizard.out()).contains("Nothing to change");

        assertThat(wizard.run("set", "secureMail=off", "mx=cloud", "centralizedTransport=off"))
                .isZero();
        assertThat(policy().hybrid().orElseThrow().secureMail()).isFalse();
        assertThat(policy().outboundConnectors()
                        .find("cloud-out")
                        .orElseThrow()
                        .tls()
                        .level())
                .isEqualTo(TlsLevel.OPPORTUNISTIC);
        assertThat(wizard.run("set", "secureMail=on", "mx=onPremises")).isZero();
        assertThat(policy().outboundConnectors()
                        .find("cloud-out")
                        .orElseThrow()
                        .tls()
                        .name())
                .hasToString("Optional[*.mail.protection.outlook.com]");

        assertThat(wizard.run("remove", "--yes")).isZero();
        assertThat(policy().hybrid()).isEmpty();
        assertThat(policy().outboundConnectors().find("cloud-out")).isEmpty();
        Map<String, String> removed = wizard.everything();
        assertThat(wizard.run("remove", "--yes")).isZero();
        assertThat(wizard.everything()).isEqualTo(removed);
        assertThat(wizard.run("set", "mx=cloud")).isEqualTo(1);
        assertThat(wizard.err()).contains("no hybrid section");
    }

    private static final String PIN = "<sha256>" + "ab".repeat(32) + "</sha256>";
    private static final String WRITTEN = "<tls level=\"domain\" name=\"*.mail.protection.outlook.com\">";

    private void byHand(String before, String after) {
        String policy = wizard.file("mailflow.xml");
        assertThat(policy).contains(before);
        wizard.write("mailflow.xml", policy.replace(before, after));
    }

    private TlsRequirement cloudTls() throws Exception {
        return policy().outboundConnectors().find("cloud-out").orElseThrow().tls();
    }

    static List<Arguments> tlsMadeByHand() {
        return List.of(
                Arguments.of("<tls level=\"pinned\">" + PIN, "<tls level=\"pinned\"> with 1 <sha256>"),
                Arguments.of("<tls level='dane'>", "<tls level=\"dane\">"),
                Arguments.of(
                        WRITTEN.replace("domain\"", "domain\" dane=\"true\""),
                        "<tls level=\"domain\" dane=\"true\" name=\"*.mail.protection.outlook.com\">"),
                Arguments.of(
                        WRITTEN.replace("domain\"", "domain\" mtaSts=\"false\""),
                        "<tls level=\"domain\" mtaSts=\"false\" name=\"*.mail.protection.outlook.com\">"),
                Arguments.of(
                        "<tls level=\"domain\" name=\"eu1.mail.protection.outlook.com\">",
                        "<tls level=\"domain\" name=\"eu1.mail.protection.outlook.com\">"),
                Arguments.of(
                        WRITTEN.replace(">", " trustAnchors=\"file://conf/own.pem\">"),
                        "<tls level=\"domain\" name=\"*.mail.protection.outlook.com\""
                                + " trustAnchors=\"file://conf/own.pem\">"));
    }

    @ParameterizedTest(name = "{1}")
    @MethodSource("tlsMadeByHand")
    void tlsMadeStricterByHandShouldBeKeptAndTold(String tls, String told) throws Exception {
        TestCertificates.writePem(wizard.conf.resolve("own.pem"), CA.certificate());
        wizard.setUp();
        byHand(WRITTEN, tls + "<!-- ours -->");
        String made = wizard.file("mailflow.xml");
        TlsRequirement demanded = cloudTls();

        for (String[] run : List.of(
                new String[] {"set", "secureMail=off"},
                new String[] {"set", "secureMail=off", "mx=cloud"},
                new String[] {"setup", "--non-interactive", "--yes", "--mx", "cloud"})) {
            assertThat(wizard.run(run[0], Arrays.copyOfRange(run, 1, run.length)))
                    .as(wizard.err())
                    .isZero();
            assertThat(wizard.out())
                    .contains("Kept in outbound connector 'cloud-out', because it was made by hand: " + told
                            + ". The wizard would write <tls level=\"opportunistic\">; if you want that, edit"
                            + " mailflow.xml.");
            assertThat(wizard.file("mailflow.xml"))
                    .isEqualTo(made.replace("<secureMail>true", "<secureMail>false")
                            .replace(
                                    "<mx>onPremises",
                                    wizard.file("mailflow.xml").contains("<mx>cloud")
                                            ? "<mx>cloud"
                                            : "<mx>onPremises"));
            assertThat(policy().hybrid().orElseThrow().secureMail()).isFalse();
            assertThat(cloudTls()).isEqualTo(demanded);
        }

        assertThat(wizard.run("set", "secureMail=on", "mx=onPremises")).isZero();
        assertThat(wizard.out()).contains(told + ". The wizard would write " + WRITTEN);
        assertThat(wizard.file("mailflow.xml")).isEqualTo(made);
        assertThat(wizard.setUp("--secure-mail", "on")).isZero();
        assertThat(wizard.out()).contains("Nothing to change in", told);
        assertThat(wizard.file("mailflow.xml")).isEqualTo(made);
        assertThat(cloudTls()).isEqualTo(demanded);
    }

    @Test
    void levelThatComesFromElsewhereShouldBeKept() throws Exception {
        wizard.setUp();
        wizard.write("level.txt", "dane\n");
        byHand(WRITTEN, "<tls level=\"${file:level.txt}\">");

        assertThat(wizard.run("set", "secureMail=off")).as(wizard.err()).isZero();

        assertThat(wizard.out()).contains("made by hand: <tls level=\"${file:level.txt}\">.");
        assertThat(cloudTls().level()).isEqualTo(TlsLevel.DANE);
    }

    @ParameterizedTest
    @CsvSource({
        // made by hand, with secure mail off, with it on
        "encrypt|, encrypt|, domain|name",
        "ca|trustAnchors=\"file://conf/own.pem\", ca|trustAnchors, domain|trustAnchors name",
        "opportunistic|dane=\"true\", opportunistic|dane, domain|dane name"
    })
    void weakerTlsMadeByHandShouldBeRaisedByWhatSecureMailAsksAndLoseNothing(String made, String off, String on)
            throws Exception {
        TestCertificates.writePem(wizard.conf.resolve("own.pem"), CA.certificate());
        wizard.setUp("--secure-mail", "off");
        List<String> parts = Splitter.on('|').splitToList(made);
        byHand("<tls level=\"opportunistic\">", "<tls level=\"" + parts.get(0) + "\" " + parts.get(1) + ">");

        assertThat(wizard.setUp("--secure-mail", "off")).as(wizard.err()).isZero();
        assertThat(levelAndAttributes()).isEqualTo(off);

        assertThat(wizard.run("set", "secureMail=on")).as(wizard.err()).isZero();
        assertThat(levelAndAttributes()).isEqualTo(on);
        assertThat(cloudTls().level()).isEqualTo(TlsLevel.DOMAIN);

        // it is no longer what the wizard writes by itself
        if (!made.startsWith("encrypt")) {
            assertThat(wizard.run("set", "secureMail=off")).as(wizard.err()).isZero();
            assertThat(levelAndAttributes()).isEqualTo(on);
        }
    }

    private String levelAndAttributes() {
        Matcher tls =
                Pattern.compile("<tls level=\"(\\w+)\"([^/>]*(?:/+[^/>]+)*)>").matcher(wizard.file("mailflow.xml"));
        assertThat(tls.find()).isTrue();
        return tls.group(1) + "|" + tls.group(2).replaceAll("=\"[^\"]*\"", "").strip();
    }

    @Test
    void handMadeConnectorsShouldKeepWhatTheWizardDoesNotSpeakOf() throws Exception {
        wizard.setUp("--cloud-address", "192.0.2.1");
        wizard.write("relay.secret", "s3cret");
        byHand(
                "<smartHost port=\"25\">contoso-com.mail.protection.outlook.com</smartHost>",
                """
                <smartHost priority="5" weight="2">contoso-com.mail.protection.outlook.com</smartHost> <!-- first -->
                <smartHost priority="20">backup.mail.protection.outlook.com</smartHost>
                <cost>7</cost>
                <credentials user="gateway" secret="${file:relay.secret}"/>
                <limits connections="3" perDestination="2"/>
                <retry expireAfter="1d"/>""");
        byHand(
                "<clientIp>192.0.2.1</clientIp>",
                "<senderDomain>contoso.com</senderDomain><!-- ours only --><requireTls>true</requireTls>"
                        + "<clientIp>192.0.2.1</clientIp>");
        Map<String, String> made = wizard.everything();

        assertThat(wizard.setUp()).as(wizard.err()).isZero();
        assertThat(wizard.run("setup", "--non-interactive", "--yes"))
                .as(wizard.err())
                .isZero();
        assertThat(wizard.run("set", "secureMail=on")).isZero();

        assertThat(wizard.everything()).isEqualTo(made);
        assertThat(wizard.out()).doesNotContain("Kept");

        // another cloud has other hosts
        assertThat(wizard.setUp("--smart-host", "cloud.example"))
                .as(wizard.err())
                .isZero();
        assertThat(policy().outboundConnectors().find("cloud-out").orElseThrow().nextHops())
                .hasToString("SmartHosts[hosts=[cloud.example:25]]");
    }

    @Test
    void secretThatWouldCrossTheNetworkInClearShouldForbidSecureMailOff() {
        wizard.setUp();
        wizard.write("relay.secret", "s3cret");
        byHand("</tls>", "</tls><credentials user=\"gateway\" secret=\"${file:relay.secret}\"/>");
        Map<String, String> made = wizard.everything();

        assertThat(wizard.run("set", "secureMail=off")).isEqualTo(1);

        assertThat(wizard.err()).contains("found <credentials> with TLS level opportunistic", "nothing was written");
        assertThat(wizard.everything()).isEqualTo(made);
    }

    @Test
    void trustTakenBackByHandShouldNotBeGivenAgain() throws Exception {
        wizard.setUp();
        String pinned = "<clientCertificate trust=\"pinned\" sha256=\"" + "cd".repeat(32) + "\"/>";
        byHand("<clientCertificate name=\"*.mail.protection.outlook.com\" trust=\"ca\"/>", pinned);
        byHand("<relay>true</relay>", "<relay>false</relay>");
        byHand("<internalHeaders>preserve</internalHeaders>", "<internalHeaders>strip</internalHeaders>");
        Map<String, String> made = wizard.everything();

        assertThat(wizard.setUp()).as(wizard.err()).isZero();

        assertThat(wizard.everything()).isEqualTo(made);
        assertThat(wizard.out())
                .contains("Kept in inbound connector 'cloud-in', because it was made by hand: <clientCertificate"
                        + " trust=\"pinned\" sha256=\"" + "cd".repeat(32) + "\">. The wizard would write"
                        + " <clientCertificate name=\"*.mail.protection.outlook.com\" trust=\"ca\">;")
                .contains("cloud-in', because it was made by hand: <relay>false</relay>.")
                .contains("cloud-in', because it was made by hand: <internalHeaders>strip</internalHeaders>.")
                .contains("cloud-out', because it was made by hand: <internalHeaders>strip</internalHeaders>.");

        assertThat(wizard.setUp("--secure-mail", "off", "--cloud-address", "192.0.2.1"))
                .as(wizard.err())
                .isZero();
        assertThat(wizard.file("mailflow.xml")).contains(pinned);
    }

    @Test
    void cloudKnownByAPinAloneShouldBeHeldToTheNameOfItsSmartHost() throws Exception {
        wizard.setUp("--secure-mail", "off");
        byHand(
                "<clientCertificate name=\"*.mail.protection.outlook.com\" trust=\"ca\"/>",
                "<clientCertificate trust=\"pinned\" sha256=\"" + "cd".repeat(32) + "\"/>");

        assertThat(wizard.run("set", "secureMail=on")).as(wizard.err()).isZero();

        assertThat(cloudTls().level()).isEqualTo(TlsLevel.DOMAIN);
        assertThat(cloudTls().name()).isEmpty();
    }

    @Test
    void keyStoreOfOnesOwnShouldBeShownToTheCloudUntilThereIsANewCertificate() throws Exception {
        wizard.setUp();
        Issued own = CA.leaf("mail.contoso.com").issue();
        own.writePkcs12(wizard.conf.resolve("own.p12"), "own");
        byHand("keystore=\"file://conf/hybrid/gateway.p12\" alias=\"gateway\"", "keystore=\"file://conf/own.p12\"");
        byHand("${file:conf/hybrid/gateway.p12.secret}", "${file:own.secret}");
        wizard.write("own.secret", TestCertificates.PASSWORD);
        Map<String, String> made = wizard.everything();

        assertThat(wizard.setUp()).as(wizard.err()).isZero();

        assertThat(wizard.everything()).isEqualTo(made);
        assertThat(wizard.out()).contains("made by hand: <clientCertificate keystore=\"file://conf/own.p12\">.");
        assertThat(cloudTls().clientCertificate().orElseThrow().chain().get(0)).isEqualTo(own.certificate());

        Issued renewed = CA.leaf("mail.contoso.com").issue();
        assertThat(wizard.setUp(
                        "--certificate",
                        renewed.writeChainPem(directory.resolve("new.pem")).toString(),
                        "--certificate-key",
                        renewed.writeKeyPem(directory.resolve("new.key")).toString()))
                .as(wizard.err())
                .isZero();
        assertThat(cloudTls().clientCertificate().orElseThrow().chain().get(0)).isEqualTo(renewed.certificate());
    }

    @Test
    void anchorsOfOneConnectorShouldNotBecomeThoseOfTheOther() throws Exception {
        TestCertificates.writePem(wizard.conf.resolve("own.pem"), CA.certificate());
        wizard.setUp();
        byHand(WRITTEN, WRITTEN.replace(">", " trustAnchors=\"file://conf/own.pem\">"));
        Map<String, String> made = wizard.everything();

        assertThat(wizard.setUp()).as(wizard.err()).isZero();

        assertThat(wizard.everything()).isEqualTo(made);
    }

    @ParameterizedTest
    @MethodSource("wrongSettings")
    void wrongSettingShouldBeWrongUsage(String setting, String expected) {
        wizard.setUp();
        Map<String, String> before = wizard.everything();

        assertThat(wizard.run("set", setting)).isEqualTo(2);

        assertThat(wizard.err()).contains(expected);
        assertThat(wizard.everything()).isEqualTo(before);
    }

    static List<Arguments> wrongSettings() {
        return List.of(
                Arguments.of("mx=here", "found 'here', expected onPremises or cloud"),
                Arguments.of("centralizedTransport=maybe", "found 'maybe', expected on or off"),
                Arguments.of("colour=blue", "found the setting 'colour'"),
                Arguments.of("mx", "found '', expected onPremises or cloud"));
    }

    @Test
    void policyThatWouldBeBrokenShouldBeRefusedAndTheGoodOneStay() {
        wizard.write(
                "mailflow.xml",
                """
                <mailflow>
                  <outboundConnectors>
                    <outboundConnector name="cloud-out" type="partner">
                      <recipientDomain>contoso.mail.onmicrosoft.com</recipientDomain>
                      <useMx>true</useMx>
                      <credentials user="x" secret="${env:NOBODY_SET_THIS}"/>
                      <tls level="encrypt"/>
                    </outboundConnector>
                  </outboundConnectors>
                </mailflow>
                """);
        Map<String, String> before = wizard.everything();

        assertThat(wizard.setUp()).isEqualTo(1);

        assertThat(wizard.err()).contains("mailflow.xml:", "NOBODY_SET_THIS", "nothing was written");
        assertThat(wizard.everything()).isEqualTo(before);
    }

    @Test
    void dryRunShouldShowThePlanAndWriteNothing() {
        Map<String, String> before = wizard.everything();

        assertThat(wizard.setUp("--dry-run")).isZero();

        assertThat(wizard.out())
                .contains("--- mailflow.xml\n+++ mailflow.xml\n@@")
                .contains("+    <remoteRoutingDomain>contoso.mail.onmicrosoft.com</remoteRoutingDomain>")
                .contains("--- smtpserver.xml")
                .contains("New-InboundConnector");
        assertThat(wizard.everything()).isEqualTo(before);
    }

    @Test
    void replacedFilesShouldBeKeptBesideTheNewOnes() throws Exception {
        String before = wizard.file("mailflow.xml");
        Files.setPosixFilePermissions(
                wizard.conf.resolve("mailflow.xml"), PosixFilePermissions.fromString("rw-r-----"));

        wizard.setUp();

        List<String> names;
        try (Stream<Path> files = Files.list(wizard.conf)) {
            names = files.map(path -> path.getFileName().toString()).toList();
        }
        assertThat(names)
                .filteredOn(name -> name.matches("mailflow\\.xml\\.\\d{8}T\\d{6}Z\\.bak"))
                .singleElement()
                .satisfies(name -> assertThat(wizard.file(name)).isEqualTo(before));
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(wizard.conf.resolve("mailflow.xml"))))
                .isEqualTo("rw-r-----");
    }

    static List<Arguments> badCertificates() {
        return List.of(
                Arguments.of("expired", CA.leaf("mail.contoso.com").expired().issue(), "expired at"),
                Arguments.of(
                        "not yet valid",
                        CA.leaf("mail.contoso.com").notYetValid().issue(),
                        "is not valid before"),
                Arguments.of(
                        "other name",
                        CA.leaf("mail.other.com").issue(),
                        "the certificate is for mail.other.com, expected one for mail.contoso.com"),
                Arguments.of("weak", CA.leaf("mail.contoso.com").weak().issue(), "a weak key, RSA of 1024 bits"),
                Arguments.of(
                        "weak signature", CA.leaf("mail.contoso.com").weak().issue(), "a weak signature, SHA1withRSA"),
                Arguments.of(
                        "client only",
                        CA.leaf("mail.contoso.com").usage("1.3.6.1.5.5.7.3.2").issue(),
                        "not made for TLS servers"),
                Arguments.of(
                        "key of another",
                        new Issued(
                                CA.leaf("mail.contoso.com").issue().key(),
                                CA.leaf("mail.contoso.com").issue().chain()),
                        "the private key does not belong to the certificate"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("badCertificates")
    void certificateThatCannotWorkShouldBeRefusedWithTheReason(String name, Issued certificate, String reason) {
        Map<String, String> before = wizard.everything();

        assertThat(wizard.setUp(
                        "--certificate",
                        certificate.writeChainPem(directory.resolve("bad.pem")).toString(),
                        "--certificate-key",
                        certificate.writeKeyPem(directory.resolve("bad.key")).toString()))
                .isEqualTo(1);

        assertThat(wizard.err()).contains(reason);
        assertThat(wizard.everything()).isEqualTo(before);
    }

    @Test
    void certificateShouldBeReadFromPkcs12AndFromPem() throws Exception {
        Issued issued = CA.intermediate("Issuing CA").leaf("*.contoso.com").issue();
        Path store = issued.writePkcs12(directory.resolve("given.p12"), "whatever");
        Path password = Files.writeString(directory.resolve("password"), TestCertificates.PASSWORD + "\n");

        assertThat(wizard.setUp("--certificate", store.toString(), "--certificate-password-file", password.toString()))
                .as(wizard.err())
                .isZero();
        Map<String, String> once = wizard.everything();
        assertThat(policy().outboundConnectors()
                        .find("cloud-out")
                        .orElseThrow()
                        .tls()
                        .clientCertificate()
                        .orElseThrow()
                        .chain())
                .isEqualTo(issued.chain());

        assertThat(wizard.setUp(
                        "--certificate",
                        issued.writeChainPem(directory.resolve("given.pem")).toString(),
                        "--certificate-key",
                        issued.writeKeyPem(directory.resolve("given.key")).toString()))
                .isZero();
        assertThat(wizard.everything()).isEqualTo(once);
    }

    @Test
    void signingRequestShouldBeMadeOnceAndItsKeyFitTheIssuedCertificate() throws Exception {
        String before = wizard.file("mailflow.xml");
        assertThat(wizard.setUp("--certificate", "csr")).isZero();
        assertThat(wizard.out()).contains("-----BEGIN CERTIFICATE REQUEST-----", "--certificate-key");
        assertThat(wizard.file("mailflow.xml")).isEqualTo(before);
        Map<String, String> once = wizard.everything();
        assertThat(wizard.setUp("--certificate", "csr")).isZero();
        assertThat(wizard.everything()).isEqualTo(once);

        Path issued = directory.resolve("issued.pem");
        CA.sign(wizard.file("hybrid/request.csr"), issued);

        assertThat(wizard.setUp(
                        "--certificate",
                        issued.toString(),
                        "--certificate-key",
                        wizard.conf.resolve("hybrid/request.key").toString()))
                .as(wizard.err())
                .isZero();
    }

    @Test
    void sessionShouldAskExplainAndAskAgain() {
        String session =
                """

                contoso.*
                contoso.com
                contoso.com

                cloud.contoso.example:99999
                cloud.contoso.example
                mail.contoso.com
                somewhere
                cloud
                perhaps
                on

                *
                *.contoso.example
                file

                /no/such/file.p12
                self-signed
                y
                """;

        assertThat(wizard.answering(session, "setup"))
                .as(wizard.out() + wizard.err())
                .isZero();

        assertThat(wizard.out())
                .contains("Domains that have mailboxes both here and in the cloud.")
                .contains("An answer is needed.")
                .contains("found 'contoso.*', expected a domain (contoso.com)")
                .contains("found 'contoso.com', which is a shared domain")
                .contains("Remote routing domain [contoso.mail.onmicrosoft.com]: ")
                .contains("found 'cloud.contoso.example:99999', expected a host")
                .contains("found 'somewhere', expected onPremises or cloud")
                .contains("found 'perhaps', expected on or off")
                .contains("Secure mail (on, off) [on]: ")
                .contains("found '*', which is everybody")
                .contains("there is no such file")
                .contains("Write this? [y/N]: ");
        assertThat(wizard.file("mailflow.xml"))
                .contains("<remoteRoutingDomain>contoso.mail.onmicrosoft.com</remoteRoutingDomain>")
                .contains("<mx>cloud</mx>")
                .contains("<centralizedTransport>true</centralizedTransport>")
                .contains("<clientCertificate name=\"*.contoso.example\" trust=\"ca\"/>")
                .contains("<mailboxes source=\"file\" url=\"file://conf/mailboxes.csv\"/>");
        assertThat(wizard.file("mailboxes.csv")).isEqualTo("address,location\n");

        // now everything is known: nothing but empty lines
        Map<String, String> once = wizard.everything();
        assertThat(wizard.answering("\n".repeat(20), "setup")).as(wizard.err()).isZero();
        assertThat(wizard.everything()).isEqualTo(once);
    }

    @Test
    void unconfirmedSessionShouldWriteNothing() {
        Map<String, String> before = wizard.everything();
        String session = "contoso.com\n\n\nmail.contoso.com\n\n\n\n\n\nself-signed\nn\n";

        assertThat(wizard.answering(session, "setup")).as(wizard.err()).isEqualTo(1);

        assertThat(wizard.out()).contains("Nothing was written.");
        assertThat(wizard.everything()).isEqualTo(before);
    }

    @Test
    void missingAnswersShouldBeNamedAtOnce() {
        assertThat(wizard.run("setup", "--non-interactive", "--yes", "--domain", "contoso.com"))
                .isEqualTo(2);
        assertThat(wizard.err()).contains("missing --remote-routing-domain, --smart-host, --host-name, --certificate");

        assertThat(wizard.answering("contoso.com\n", "setup")).isEqualTo(2);
        assertThat(wizard.err()).contains("the input ended where --remote-routing-domain was asked for");

        assertThat(wizard.run("setup", "--non-interactive")).isEqualTo(2);
        assertThat(wizard.err()).contains("--non-interactive needs --yes to write, or --dry-run");
    }

    @Test
    void cloudScriptShouldAnswerOurConnectors() {
        wizard.setUp("--centralized-transport", "on");
        assertThat(wizard.out())
                .contains("if (Get-InboundConnector | Where-Object { $_.Name -eq 'Mailflow to cloud' }) {")
                .contains("Set-InboundConnector -Identity 'Mailflow to cloud' @settings")
                .contains("New-InboundConnector -Name 'Mailflow to cloud' @settings")
                .containsPattern("ConnectorType +=[ ]'OnPremises'")
                .containsPattern("TlsSenderCertificateName +=[ ]'mail.contoso.com'")
                .containsPattern("CloudServicesMailEnabled +=[ ]\\$true")
                .containsPattern("SmartHosts +=[ ]@\\('mail.contoso.com'\\)")
                .containsPattern("TlsSettings +=[ ]'DomainValidation'")
                .containsPattern("TlsDomain +=[ ]'mail.contoso.com'")
                .containsPattern("RouteAllMessagesViaOnPremises +=[ ]\\$true")
                .containsPattern("RecipientDomains +=[ ]@\\('\\*'\\)")
                .contains("Set-AcceptedDomain -Identity 'contoso.com' -DomainType InternalRelay")
                .contains("New-RemoteDomain -Name 'Hybrid Domain - contoso.com' -DomainName 'contoso.com'");

        wizard.setUp("--secure-mail", "off", "--gateway-address", "192.0.2.1", "--centralized-transport", "off");
        assertThat(wizard.out())
                .containsPattern("SenderIPAddresses +=[ ]@\\('192.0.2.1'\\)")
                .containsPattern("CloudServicesMailEnabled +=[ ]\\$false")
                .containsPattern("RecipientDomains +=[ ]@\\('contoso.com'\\)")
                .doesNotContain("TlsSenderCertificateName");
    }

    @Test
    void dnsRecordsShouldFollowTheTopology() {
        wizard.setUp();
        assertThat(wizard.out())
                .contains("contoso.com. 3600 IN MX 10 mail.contoso.com.")
                .contains("contoso.com. 3600 IN TXT \"v=spf1 a:mail.contoso.com include:spf.protection.outlook.com"
                        + " -all\"")
                .contains("_mta-sts.contoso.com. 3600 IN TXT \"v=STSv1; id=")
                .contains("_smtp._tls.contoso.com. 3600 IN TXT \"v=TLSRPTv1; rua=mailto:tls-reports@contoso.com\"")
                .contains("mx: mail.contoso.com");

        wizard.setUp("--mx", "cloud", "--centralized-transport", "on");
        assertThat(wizard.out())
                .contains("contoso.com. 3600 IN MX 10 contoso-com.mail.protection.outlook.com.")
                .contains("\"v=spf1 a:mail.contoso.com -all\"")
                .contains("mx: contoso-com.mail.protection.outlook.com");
    }

    @Test
    void showShouldTellPeopleAndPrograms() {
        assertThat(wizard.run("show")).isEqualTo(1);
        assertThat(wizard.out()).contains("There is no hybrid deployment");
        wizard.setUp();

        assertThat(wizard.run("show")).isZero();
        assertThat(wizard.out()).contains("shared domains          contoso.com", "secure mail             on");

        assertThat(wizard.run("show", "--json")).isZero();
        assertThat(wizard.out())
                .contains(
                        "\"hybrid\" : true",
                        "\"remoteRoutingDomain\" : \"contoso.mail.onmicrosoft.com\"",
                        "\"selfSigned\" : true");
    }
}
