/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.policy.testing.TestCertificates;
import dev.mailflow.policy.testing.TestCertificates.Authority;
import dev.mailflow.policy.testing.TestCertificates.Issued;

/** The troubleshooter against real peers and a real name server; each test breaks one thing. */
class HybridCheckTest {
    private static final Authority CA = TestCertificates.authority("Some CA");
    private static final Issued GATEWAY = CA.leaf("mail.contoso.com").issue();
    private static final Issued CLOUD = CA.leaf("eu1.mail.cloud.example").issue();
    private static final String CLOUD_HOST = "eu1.mail.cloud.example";

    @TempDir
    private Path directory;

    private Wizard wizard;
    private LocalDns dns;
    private ScriptedSmtpPeer cloud;
    private ScriptedSmtpPeer self;

    @BeforeEach
    void goodDeployment() {
        cloud = cloud(CLOUD);
        self = self(GATEWAY);
        dns = LocalDns.start()
                .a("mail.contoso.com", "127.0.0.1")
                .a(CLOUD_HOST, "127.0.0.2")
                .mx("contoso.com", 10, "mail.contoso.com")
                .mx("contoso.mail.cloud.example", 10, CLOUD_HOST)
                .txt("contoso.com", "v=spf1 a:mail.contoso.com a:" + CLOUD_HOST + " -all")
                .txt("_mta-sts.contoso.com", "v=STSv1; id=1")
                .txt("_smtp._tls.contoso.com", "v=TLSRPTv1; rua=mailto:tls@contoso.com");
        wizard = new Wizard(directory.resolve("conf"));
    }

    @AfterEach
    void stop() {
        dns.close();
        cloud.close();
        self.close();
    }

    private static ScriptedSmtpPeer cloud(Issued certificate) {
        return ScriptedSmtpPeer.builder()
                .address("127.0.0.2")
                .name(CLOUD_HOST)
                .extensionsAfterTls("PIPELINING", "8BITMIME", "XOORG")
                .startTls(certificate)
                .wantClientCertificate()
                .start();
    }

    private static ScriptedSmtpPeer self(Issued certificate) {
        return ScriptedSmtpPeer.builder()
                .name("mail.contoso.com")
                .startTls(certificate)
                .wantClientCertificate()
                .start();
    }

    private void setUp(String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                "--remote-routing-domain",
                "contoso.mail.cloud.example",
                "--smart-host",
                CLOUD_HOST + ":" + cloud.port(),
                "--cloud-certificate-name",
                "*.mail.cloud.example",
                "--trust-anchors",
                TestCertificates.writePem(directory.resolve("ca.pem"), CA.certificate())
                        .toString(),
                "--certificate",
                GATEWAY.writeChainPem(directory.resolve("gateway.pem")).toString(),
                "--certificate-key",
                GATEWAY.writeKeyPem(directory.resolve("gateway.key")).toString()));
        arguments.addAll(List.of(more));
        assertThat(wizard.setUp(arguments.toArray(String[]::new)))
                .as(wizard.out() + wizard.err())
                .isZero();
    }

    private int check(String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                "--json",
                "--timeout",
                "20",
                "--dns",
                "127.0.0.1:" + dns.port(),
                "--gateway",
                "mail.contoso.com:" + self.port()));
        arguments.addAll(List.of(more));
        return wizard.run("check", arguments.toArray(String[]::new));
    }

    private List<JsonNode> with(String result) throws Exception {
        List<JsonNode> found = new ArrayList<>();
        new ObjectMapper().readTree(wizard.out()).path("findings").forEach(finding -> {
            if (finding.path("result").asText().equals(result)) {
                found.add(finding);
            }
        });
        return found;
    }

    private void onlyFailure(String where, String seen, String mend) throws Exception {
        assertThat(check()).as(wizard.err()).isEqualTo(1);
        assertThat(with("failed")).singleElement().satisfies(finding -> {
            assertThat(finding.path("where").asText()).contains(where);
            assertThat(finding.path("seen").asText()).contains(seen);
            assertThat(finding.path("mend").asText()).contains(mend);
        });
    }

    @Test
    void goodDeploymentShouldHaveNothingWrong() throws Exception {
        setUp();

        int code = check();

        assertThat(with("failed")).as(wizard.err()).isEmpty();
        assertThat(code).isZero();
        assertThat(with("ok"))
                .extracting(finding -> finding.path("what").asText())
                .contains("XOORG", "certificate", "our certificate", "loops", "MX", "SPF", "MTA-STS", "TLS-RPT");
        assertThat(cloud.sessions().stream().flatMap(session -> session.clientChain().stream()))
                .contains(GATEWAY.certificate());
        assertThat(cloud.messages()).isEmpty();
    }

    @Test
    void peopleShouldReadTheFindings() {
        setUp();

        assertThat(wizard.run("check", "--timeout", "20", "--dns", "127.0.0.1:" + dns.port()))
                .isEqualTo(1);

        assertThat(wizard.out())
                .contains("our certificate\n  ok       certificate    mail.contoso.com")
                .contains("failed   port 25")
                .contains("to mend it: start the gateway, forward port 25 to it")
                .contains("1 wrong, ");
    }

    @Test
    void cloudThatOffersNoXoorgShouldBeDoubted() throws Exception {
        cloud.close();
        cloud = ScriptedSmtpPeer.builder()
                .address("127.0.0.2")
                .startTls(CLOUD)
                .wantClientCertificate()
                .start();
        setUp();

        assertThat(check()).as(wizard.err()).isZero();

        assertThat(with("warning")).anySatisfy(finding -> {
            assertThat(finding.path("what").asText()).isEqualTo("XOORG");
            assertThat(finding.path("mend").asText()).contains("CloudServicesMailEnabled");
        });
    }

    @Test
    void cloudWithAnExpiredCertificateShouldBeTold() throws Exception {
        cloud.close();
        cloud = cloud(CA.leaf(CLOUD_HOST).expired().issue());
        setUp();

        onlyFailure(CLOUD_HOST, "expired", "valid now");
    }

    @Test
    void gatewayThatShowsAnotherNameShouldBeTold() throws Exception {
        self.close();
        self = self(CA.leaf("other.contoso.com").issue());
        setUp();

        onlyFailure("this gateway", "it is for other.contoso.com", "start the gateway again");
    }

    @Test
    void gatewayThatAsksForNoCertificateShouldBeTold() throws Exception {
        self.close();
        self = ScriptedSmtpPeer.builder().startTls(GATEWAY).start();
        setUp();

        onlyFailure("this gateway", "no client certificate is asked for", "bin/gateway");
    }

    private void byHand(String before, String after) {
        String policy = wizard.file("mailflow.xml");
        assertThat(policy).contains(before);
        wizard.write("mailflow.xml", policy.replace(before, after));
    }

    private String tls() {
        Matcher tls = Pattern.compile("<tls [^>]*[^/]>").matcher(wizard.file("mailflow.xml"));
        assertThat(tls.find()).isTrue();
        return tls.group();
    }

    @Test
    void tlsStricterThanSecureMailAsksShouldBeGood() throws Exception {
        setUp();
        byHand(
                tls(),
                "<tls level=\"pinned\"><sha256>" + TestCertificates.spkiSha256(CLOUD.certificate()) + "</sha256>");

        assertThat(check()).as(wizard.out()).isZero();
        assertThat(with("ok"))
                .extracting(finding -> finding.path("seen").asText())
                .contains("secureMail is on, and 'cloud-out' demands TLS level pinned");

        assertThat(wizard.run("set", "secureMail=off")).as(wizard.err()).isZero();
        assertThat(check()).as(wizard.out()).isZero();
        assertThat(with("ok"))
                .extracting(finding -> finding.path("seen").asText())
                .contains("secureMail is off, and 'cloud-out' demands TLS level pinned of its own: without it mail for"
                        + " the cloud waits");
        assertThat(with("warning"))
                .extracting(finding -> finding.path("what").asText())
                .doesNotContain("TLS");
    }

    @Test
    void secureMailSwitchedOffInOnePlaceOnlyShouldBeDoubted() throws Exception {
        setUp();
        byHand("<secureMail>true", "<secureMail>false");

        assertThat(check()).as(wizard.out()).isZero();

        assertThat(with("warning")).anySatisfy(finding -> {
            assertThat(finding.path("seen").asText())
                    .isEqualTo("secureMail is off, but 'cloud-out' demands TLS level domain, as if it were on");
            assertThat(finding.path("mend").asText()).contains("hybrid set secureMail=on");
        });
    }

    @Test
    void levelDaneShouldBeJudgedByTheResolverThatDeliveryBelieves() throws Exception {
        setUp();
        byHand(tls(), "<tls level=\"dane\">");
        dns.vouchFor("mail.cloud.example")
                .tlsa(CLOUD_HOST, cloud.port(), TestCertificates.spkiSha256(CLOUD.certificate()));

        assertThat(check("--trusted-resolver", "127.0.0.1:" + dns.port()))
                .as(wizard.out())
                .isZero();
        assertThat(with("ok")).anySatisfy(finding -> {
            assertThat(finding.path("what").asText()).isEqualTo("TLSA");
            assertThat(finding.path("seen").asText()).contains("3 1 1");
        });

        assertThat(check()).as("nobody is believed").isEqualTo(1);
        assertThat(with("failed"))
                .anySatisfy(finding -> assertThat(finding.path("mend").asText()).contains("--trusted-resolver"));
    }

    @Test
    void mxThatContradictsTheTopologyShouldBeTold() throws Exception {
        setUp("--mx", "cloud");

        onlyFailure("contoso.com", "found mail.contoso.com, but mx is cloud", "hybrid set mx=onPremises");
    }

    @Test
    void spfWithoutTheCloudShouldBeToldUnlessTransportIsCentralized() throws Exception {
        dns.close();
        dns = LocalDns.start()
                .a("mail.contoso.com", "127.0.0.1")
                .a(CLOUD_HOST, "127.0.0.2")
                .mx("contoso.com", 10, "mail.contoso.com")
                .txt("contoso.com", "v=spf1 ip4:127.0.0.0/8 -all");
        setUp();

        onlyFailure(
                "contoso.com", "does not name the cloud (a:" + CLOUD_HOST + ")", "a:mail.contoso.com a:" + CLOUD_HOST);

        wizard.run("set", "centralizedTransport=on");
        assertThat(check()).as(wizard.out()).isZero();
    }

    @Test
    void spfShouldBeFollowedThroughIncludesAndRedirects() throws Exception {
        dns.close();
        dns = LocalDns.start()
                .a("mail.contoso.com", "127.0.0.1")
                .a(CLOUD_HOST, "127.0.0.2")
                .mx("contoso.com", 10, "mail.contoso.com")
                .txt("contoso.com", "v=spf1 include:_gateways.contoso.com redirect=_rest.contoso.com")
                .txt("_gateways.contoso.com", "v=spf1 ip4:127.0.0.0/30 -all")
                .txt("_rest.contoso.com", "v=spf1 +a:" + CLOUD_HOST + " -all");
        setUp();

        assertThat(check()).as(wizard.out()).isZero();
    }

    @Test
    void routingDomainThatLeadsBackShouldBeTold() throws Exception {
        dns.replaceMx("contoso.mail.cloud.example", 10, "mail.contoso.com");
        setUp();

        onlyFailure("loops", "names this gateway (mail.contoso.com)", "must name the cloud");
    }

    @Test
    void missingHandlersAndMailetsShouldBeTold() throws Exception {
        setUp();
        wizard.write(
                "smtpserver.xml",
                wizard.file("smtpserver.xml")
                        .replace("<handler class=\"dev.mailflow.hooks.XoorgExtension\"/>", "<!-- gone -->"));

        onlyFailure("smtpserver.xml", "XoorgExtension is missing", "run 'mailflow hybrid setup' again");

        setUp();
        wizard.write(
                "mailetcontainer.xml",
                wizard.file("mailetcontainer.xml")
                        .replace("<mailet match=\"All\" class=\"dev.mailflow.mailets.LocateRecipients\"/>", ""));
        onlyFailure("mailetcontainer.xml", "LocateRecipients is missing", "run 'mailflow hybrid setup' again");
    }

    @Test
    void checkWithoutADeploymentShouldBeNo() {
        assertThat(wizard.run("check", "--host-name", "mail.contoso.com")).isEqualTo(1);
        assertThat(wizard.err()).contains("there is no hybrid deployment to check");
    }
}
