/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.integration.DoorClient.Way;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.testing.TestCertificates;

/**
 * The path table of hybrid transport over real SMTP and TLS: a real Postfix is the cloud, a scripted server with STARTTLS
 * the rest of the world.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class HybridPathsTest {
    private static final TestCertificates.Authority AUTHORITY = TestCertificates.authority("Hybrid Test CA");
    private static final Way INTERNET = Way.plain("127.0.5.1");
    private static final String CLOUD_NAME = "mail.cloud.example";
    private static final String OUR_NAME = "gateway.contoso.com";

    private TestCertificates.Issued cloudCertificate;
    private PostfixPremises cloud;
    private ScriptedSmtpPeer world;
    private GatewayScenario scenario;
    private int port;

    private record Topology(String mx, boolean centralized, boolean outboundRelay) {}

    private static final Topology MX_HERE = new Topology("onPremises", false, false);
    private static final Topology MX_CLOUD = new Topology("cloud", false, false);
    private static final Topology CENTRALIZED = new Topology("cloud", true, false);
    private static final Topology OUT_BY_CLOUD = new Topology("onPremises", false, true);

    @BeforeAll
    void start(@TempDir Path directory) throws Exception {
        PostfixPremises.require();
        cloudCertificate = AUTHORITY.leaf(CLOUD_NAME).issue();
        TestCertificates.Issued ours = AUTHORITY.leaf(OUR_NAME).issue();
        Path ca = TestCertificates.writePem(directory.resolve("ca.pem"), AUTHORITY.certificate());
        world = ScriptedSmtpPeer.builder()
                .startTls(AUTHORITY.leaf("mx.world.test").issue())
                .start();
        cloud = PostfixPremises.in(
                directory.resolve("postfix"), CLOUD_NAME, "contoso.mail.onmicrosoft.com", cloudCertificate, ca);
        GatewayScenario.Builder builder = GatewayScenario.in(directory.resolve("gateway"))
                .edit("smtpserver.xml", text -> text.replace(
                                "<authorizedAddresses>127.0.0.0/8</authorizedAddresses>", "")
                        .replace("file://var/tls/server.key", "file://conf/gateway.key")
                        .replace("file://var/tls/server.crt", "file://conf/gateway.crt"))
                .edit(
                        "mailetcontainer.xml",
                        text -> text.replace(
                                "<!-- mail from the inside, and from",
                                "<mailet match=\"dev.mailflow.matchers.IsInternal\" class=\"SetMimeHeader\">"
                                        + "<name>X-Seen-As</name><value>internal</value></mailet>"
                                        + "<!-- mail from the inside, and from"));
        Path conf = builder.configuration();
        Files.copy(ca, conf.resolve("ca.pem"));
        ours.writePkcs12(conf.resolve("gateway.p12"), "gateway");
        ours.writeChainPem(conf.resolve("gateway.crt"));
        ours.writeKeyPem(conf.resolve("gateway.key"));
        Files.writeString(conf.resolve("mailboxes.csv"), "j@contoso.com,local\nd@contoso.com,cloud\n");
        scenario = builder.policy(policy(MX_HERE)).start();
        scenario.gateway().addUser("j@contoso.com", "a-password");
        port = scenario.gateway().port("smtp");
        cloud.start(port, OUR_NAME);
    }

    @AfterAll
    void stop() throws IOException {
        if (scenario != null) {
            scenario.close();
        }
        if (world != null) {
            world.close();
        }
        if (cloud != null) {
            cloud.close();
        }
    }

    private String policy(Topology topology) {
        return """
                <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                <inboundConnectors>
                  <inboundConnector name="cloud-in" type="organization">
                    <clientCertificate name="%s" trust="ca" trustAnchors="file://conf/ca.pem"/>
                    <internalHeaders>preserve</internalHeaders>
                  </inboundConnector>
                </inboundConnectors>
                <outboundConnectors>
                  <outboundConnector name="cloud-out" type="organization">
                    <recipientDomain>contoso.mail.onmicrosoft.com</recipientDomain>%s
                    <smartHost>127.0.0.1:%d</smartHost>
                    <tls level="domain" name="%s" trustAnchors="file://conf/ca.pem">
                      <clientCertificate keystore="file://conf/gateway.p12" alias="gateway" secret="changeit"/>
                    </tls>
                    <retry schedule="2s 2s 2s" warnAfter="4h" expireAfter="2d"/>
                    <internalHeaders>preserve</internalHeaders>
                  </outboundConnector>
                  <outboundConnector name="internet" type="internet">
                    <recipientDomain>*</recipientDomain>%s
                    <smartHost>127.0.0.1:%d</smartHost>
                    <tls level="opportunistic"/>
                  </outboundConnector>
                </outboundConnectors>
                <hybrid>
                  <sharedDomain>contoso.com</sharedDomain>
                  <remoteRoutingDomain>contoso.mail.onmicrosoft.com</remoteRoutingDomain>
                  <cloud inboundConnector="cloud-in" outboundConnector="cloud-out"/>
                  <mx>%s</mx>
                  <centralizedTransport>%s</centralizedTransport>
                  <secureMail>true</secureMail>
                  <mailboxes source="file" url="file://conf/mailboxes.csv"/>
                </hybrid>"""
                .formatted(
                        CLOUD_NAME,
                        topology.outboundRelay() ? "<recipientDomain>*</recipientDomain>" : "",
                        cloud.port(),
                        CLOUD_NAME,
                        topology.outboundRelay() ? "<cost>9</cost>" : "",
                        world.port(),
                        topology.mx(),
                        topology.centralized());
    }

    private void in(Topology topology) {
        PolicyRepository policies = scenario.gateway().instance(PolicyRepository.class);
        scenario.changePolicy(policy(topology));
        GatewayScenario.await().until(() -> policies.current()
                .hybrid()
                .filter(hybrid -> hybrid.centralizedTransport() == topology.centralized()
                        && hybrid.mx().toString().equals(topology.mx()))
                .filter(unused -> topology.outboundRelay()
                        == policies.current()
                                        .outboundConnectors()
                                        .find("internet")
                                        .orElseThrow()
                                        .cost()
                                > 0)
                .isPresent());
    }

    private static String message(String subject) {
        return "From: someone@sender.test\r\nTo: undisclosed-recipients:;\r\nMessage-ID: <" + subject
                + "@sender.test>\r\nX-Odd:   spacing\t kept\r\nSubject: " + subject + "\r\n\r\nBody of " + subject
                + " \r\n";
    }

    /** A stranger at the gateway's door. */
    private void fromInternet(String subject, String headers, String... recipients) throws IOException {
        try (DoorClient client = INTERNET.open(port)) {
            transaction(client, "e@world.test", headers + message(subject), recipients);
        }
    }

    /** Somebody whose mail the cloud has taken: a mailbox there, or a stranger when the cloud is the MX. */
    private void byCloud(String sender, String subject, String headers, String... recipients) throws IOException {
        try (DoorClient client = Way.plain("127.0.0.1").open(cloud.port())) {
            transaction(client, sender, headers + message(subject), recipients);
        }
    }

    /** A user of ours. */
    private void fromHere(String subject, String... recipients) throws IOException {
        try (DoorClient client =
                Way.plain("127.0.0.1").withTls().open(scenario.gateway().port("submission"))) {
            String credentials =
                    Base64.getEncoder().encodeToString("\0j@contoso.com\0a-password".getBytes(StandardCharsets.UTF_8));
            assertThat(client.command("AUTH PLAIN " + credentials)).startsWith("235");
            transaction(client, "j@contoso.com", message(subject), recipients);
        }
    }

    private static void transaction(DoorClient client, String sender, String message, String... recipients)
            throws IOException {
        assertThat(client.command("MAIL FROM:<" + sender + ">")).startsWith("250");
        for (String recipient : recipients) {
            assertThat(client.command("RCPT TO:<" + recipient + ">")).startsWith("250");
        }
        assertThat(client.command("DATA")).startsWith("354");
        client.send(message.getBytes(StandardCharsets.ISO_8859_1));
        assertThat(client.command(".")).startsWith("250");
    }

    private static String only(String subject, Supplier<List<String>> place) {
        String found = GatewayScenario.await()
                .until(
                        () -> place.get().stream()
                                .filter(text -> text.contains("Subject: " + subject))
                                .findFirst(),
                        Optional::isPresent)
                .orElseThrow();
        assertThat(place.get().stream().filter(text -> text.contains("Subject: " + subject)))
                .hasSize(1);
        return found;
    }

    private String inCloud(String subject) {
        return only(subject, cloud::delivered);
    }

    private String atWorld(String subject) {
        return only(subject, () -> world.messages().stream()
                .map(ScriptedSmtpPeer.ReceivedMessage::text)
                .toList());
    }

    private String here(String subject) {
        return only(subject, () -> scenario.mailbox("j@contoso.com"));
    }

    private static String head(String message) {
        String text = message.replace("\r\n", "\n");
        return text.substring(0, text.indexOf("\n\n") + 1);
    }

    /** The hosts that took the message, the last first. */
    private static List<String> hops(String message) {
        List<String> hops = new ArrayList<>();
        for (String field : head(message).split("\n(?![ \t])")) {
            if (field.startsWith("Received:")) {
                hops.add(field.replaceAll("\\s+", " ").contains("by " + CLOUD_NAME) ? "cloud" : "gateway");
            }
        }
        return hops;
    }

    private static void assertUnchanged(String message, String subject) {
        assertThat(message.replace("\r\n", "\n"))
                .contains("X-Odd:   spacing\t kept\n")
                .endsWith("\n\nBody of " + subject + " \n");
    }

    @Test
    void mxHereShouldDeliverHereAndReaddressTheCopyForTheCloud() throws Exception {
        in(MX_HERE);

        fromInternet("mx-here", "X-MS-Exchange-Organization-AuthAs: Internal\r\n", "j@contoso.com", "d@contoso.com");

        String j = here("mx-here");
        String d = inCloud("mx-here");
        assertThat(hops(j)).containsExactly("gateway");
        assertThat(hops(d)).containsExactly("cloud", "gateway");
        assertThat(head(d))
                .contains("X-Original-To: d@contoso.mail.onmicrosoft.com\n")
                .contains("X-MS-Exchange-CrossPremises-AuthAs: Anonymous\n")
                .doesNotContain("Internal")
                .doesNotContain("X-Seen-As")
                .doesNotContain("X-MS-Exchange-Organization");
        assertUnchanged(d, "mx-here");
        assertUnchanged(j, "mx-here");
        assertThat(cloud.log()).contains("Trusted TLS connection established from localhost[127.0.0.1]");
        assertThat(head(d)).contains("(verified OK)").contains("Client CN \"" + OUR_NAME + "\"");
    }

    @Test
    void plusAddressShouldKeepItsDetailOnTheWayToTheCloud() throws Exception {
        in(MX_HERE);

        fromInternet("plus", "", "d+news@contoso.com");

        assertThat(head(inCloud("plus"))).contains("X-Original-To: d+news@contoso.mail.onmicrosoft.com\n");
    }

    @Test
    void mxInCloudShouldHandMailForHereOverAndPromoteInternalHeaders() throws Exception {
        in(MX_CLOUD);

        byCloud("e@world.test", "mx-cloud", "X-MS-Exchange-CrossPremises-AuthAs: Anonymous\r\n", "j@contoso.com");

        String j = here("mx-cloud");
        assertThat(hops(j)).containsExactly("gateway", "cloud");
        assertThat(head(j))
                .contains("X-MS-Exchange-Organization-AuthAs: Anonymous\n")
                .contains("X-Seen-As: internal");
        assertUnchanged(j, "mx-cloud");
        assertThat(cloud.log()).contains("Verified TLS connection established to 127.0.0.1[127.0.0.1]:" + port);
    }

    @Test
    void centralizedTransportShouldSendTheCloudsCopyBackAfterRules() throws Exception {
        in(CENTRALIZED);

        byCloud("e@world.test", "central-in", "", "j@contoso.com", "d@contoso.com");

        assertThat(hops(here("central-in"))).containsExactly("gateway", "cloud");
        String d = inCloud("central-in");
        assertThat(hops(d)).containsExactly("cloud", "gateway", "cloud");
        assertThat(head(d))
                .contains("X-Original-To: d@contoso.mail.onmicrosoft.com\n")
                .contains("X-Seen-As: internal");
        assertUnchanged(d, "central-in");
    }

    @Test
    void centralizedTransportShouldSendTheCloudsMailToTheInternet() throws Exception {
        in(CENTRALIZED);

        byCloud("d@contoso.com", "central-out", "X-MS-Exchange-CrossPremises-SCL: -1\r\n", "e@world.test");

        String e = atWorld("central-out");
        assertThat(hops(e)).containsExactly("gateway", "cloud");
        assertThat(head(e)).doesNotContain("X-MS-Exchange").contains("X-Seen-As: internal");
        assertUnchanged(e, "central-out");
    }

    @Test
    void mailFromHereToTheCloudShouldBeInternalThere() throws Exception {
        in(MX_HERE);

        fromHere("to-cloud", "d@contoso.com");

        String d = inCloud("to-cloud");
        assertThat(hops(d)).containsExactly("cloud", "gateway");
        assertThat(head(d))
                .contains("X-MS-Exchange-CrossPremises-AuthAs: Internal\n")
                .contains("X-MS-Exchange-CrossPremises-SCL: -1\n")
                .containsPattern("X-MS-Exchange-CrossPremises-AuthSource: \\S+\n")
                .contains("X-MS-Exchange-CrossPremises-AuthMechanism: 04\n")
                .doesNotContain("X-MS-Exchange-Organization");
        assertUnchanged(d, "to-cloud");
    }

    @Test
    void mailFromHereToTheInternetShouldGoThereDirectly() throws Exception {
        in(MX_HERE);

        fromHere("to-world", "e@world.test");

        String e = atWorld("to-world");
        assertThat(hops(e)).containsExactly("gateway");
        assertThat(head(e)).doesNotContain("X-MS-Exchange");
    }

    @Test
    void mailFromTheCloudToHereShouldBeInternal() throws Exception {
        in(MX_HERE);

        byCloud("d@contoso.com", "cloud-here", "X-MS-Exchange-CrossPremises-AuthAs: Internal\r\n", "j@contoso.com");

        String j = here("cloud-here");
        assertThat(hops(j)).containsExactly("gateway", "cloud");
        assertThat(head(j))
                .contains("X-MS-Exchange-Organization-AuthAs: Internal\n")
                .contains("X-Seen-As: internal");
    }

    @Test
    void everythingForTheInternetShouldLeaveThroughTheCloudWhereThatIsTheWay() throws Exception {
        in(OUT_BY_CLOUD);
        int before = world.messages().size();

        // the cloud hands what is not its own to us again, as a relay without a way of its own would: that is a loop
        fromHere("out-by-cloud", "e@elsewhere.test");

        GatewayScenario.await().until(() -> cloud.log().contains("554 5.4.14 Routing loop"));
        assertThat(cloud.log()).contains("to=<e@elsewhere.test>");
        assertThat(world.messages()).hasSize(before);
    }

    @Test
    void mailForARemoteRoutingAddressShouldNotComeFromTheCloud() throws Exception {
        in(CENTRALIZED);

        try (DoorClient client =
                Way.plain("127.0.0.1").withCertificate(cloudCertificate).open(port)) {
            assertThat(client.lines("EHLO " + CLOUD_NAME)).anyMatch(line -> line.endsWith("XOORG"));
            assertThat(client.command("MAIL FROM:<d@contoso.com> XOORG=contoso.com"))
                    .startsWith("250");
            assertThat(client.command("RCPT TO:<d@contoso.mail.onmicrosoft.com>"))
                    .isEqualTo("554 5.4.14 Routing loop");
            assertThat(client.command("RCPT TO:<nobody@contoso.com>")).isEqualTo("550 5.1.10 Recipient not found");
            assertThat(client.command("RCPT TO:<d@contoso.com>")).startsWith("250");
        }
    }

    @Test
    void nobodyElseShouldBeSeenAsInternal() throws Exception {
        in(MX_HERE);
        String forged =
                "X-MS-Exchange-CrossPremises-AuthAs: Internal\r\nX-MS-Exchange-Organization-AuthAs: Internal\r\n";
        List<Way> forgers = List.of(
                INTERNET,
                Way.plain("127.0.0.1").withTls(),
                Way.plain("127.0.0.1")
                        .withCertificate(AUTHORITY.leaf("mail.other.example").issue()),
                Way.plain("127.0.0.1")
                        .withCertificate(AUTHORITY.leaf(CLOUD_NAME).expired().issue()),
                Way.plain("127.0.0.1").withCertificate(TestCertificates.selfSigned(CLOUD_NAME)));
        for (int i = 0; i < forgers.size(); i++) {
            String subject = "forged-" + i;
            try (DoorClient client = forgers.get(i).open(port)) {
                assertThat(client.lines("EHLO forger.test")).noneMatch(line -> line.contains("XOORG"));
                assertThat(client.command("MAIL FROM:<d@contoso.com> XOORG=contoso.com"))
                        .startsWith("250");
                assertThat(client.command("RCPT TO:<e@world.test>")).startsWith("550 5.7.64");
                assertThat(client.command("RCPT TO:<d@contoso.com>")).startsWith("250");
                assertThat(client.command("DATA")).startsWith("354");
                client.send((forged + message(subject)).getBytes(StandardCharsets.ISO_8859_1));
                assertThat(client.command(".")).startsWith("250");
            }
            assertThat(head(inCloud(subject)))
                    .contains("X-MS-Exchange-CrossPremises-AuthAs: Anonymous\n")
                    .doesNotContain("AuthAs: Internal")
                    .doesNotContain("X-Seen-As");
        }
    }

    @Test
    void nothingShouldBeLostOrDoubledWhileThePremisesGoDownInTurn() throws Exception {
        in(CENTRALIZED);
        int each = 30;
        for (int round = 0; round < 2; round++) {
            if (round == 0) {
                cloud.halt();
            }
            for (int i = 0; i < each; i++) {
                fromInternet("load-here-" + round + "-" + i + ".", "", "j@contoso.com", "d@contoso.com");
            }
            if (round == 0) {
                cloud.resume();
            }
        }
        for (int i = 0; i < each; i++) {
            byCloud("e@world.test", "load-cloud-" + i + ".", "", "j@contoso.com", "d@contoso.com");
        }

        GatewayScenario.await().untilAsserted(() -> {
            assertThat(subjects(cloud.delivered())).hasSize(3 * each);
            assertThat(subjects(scenario.mailbox("j@contoso.com"))).hasSize(3 * each);
        });
        assertThat(subjects(cloud.delivered())).doesNotHaveDuplicates();
        assertThat(subjects(scenario.mailbox("j@contoso.com"))).doesNotHaveDuplicates();
    }

    private static List<String> subjects(List<String> messages) {
        return messages.stream()
                .flatMap(String::lines)
                .filter(line -> line.startsWith("Subject: load-"))
                .toList();
    }
}
