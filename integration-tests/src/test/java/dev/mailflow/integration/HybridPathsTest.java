/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.cli.hybrid.HeaderProbe;
import dev.mailflow.cli.probe.Finding;
import dev.mailflow.delivery.DeliveryConfig;
import dev.mailflow.integration.DoorClient.Way;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.testing.TestCertificates;

/**
 * The path table of hybrid transport over real SMTP and TLS between independent servers: a Postfix is the cloud, an Exim the
 * rest of the world. Every message arrives with the header that its sender wrote, byte for byte, and with the fields that its
 * path adds and no others.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class HybridPathsTest {
    private static final TestCertificates.Authority AUTHORITY = TestCertificates.authority("Hybrid Test CA");
    private static final String INTERNET_ADDRESS = "127.0.5.1";
    private static final Way INTERNET = Way.plain(INTERNET_ADDRESS);
    private static final String CLOUD_NAME = "mail.cloud.example";
    private static final String WORLD_NAME = "mx.world.test";
    private static final String OUR_NAME = "gateway.contoso.com";
    /** Written on everything that comes in. */
    private static final String VERDICT = "x-mailflow-connection-filter";

    private static final String MARK = "x-seen-as";
    private static final String PROMOTED = "x-ms-exchange-organization-authas";
    private static final String[] STRANGE_ACROSS = {
        VERDICT,
        "x-ms-exchange-crosspremises-authas",
        "x-ms-exchange-crosspremises-authsource",
        "x-ms-exchange-crosspremises-messagedirectionality"
    };
    private static final String[] INTERNAL_ACROSS = {
        VERDICT,
        MARK,
        "x-ms-exchange-crosspremises-authas",
        "x-ms-exchange-crosspremises-authsource",
        "x-ms-exchange-crosspremises-authmechanism",
        "x-ms-exchange-crosspremises-messagedirectionality",
        "x-ms-exchange-crosspremises-scl"
    };
    /** What servers write about the way a message took; each has its own assertions. */
    private static final Set<String> TRACE = Set.of("received", "return-path", "delivered-to", "x-original-to");

    private TestCertificates.Issued cloudCertificate;
    private PostfixPremises cloud;
    private EximPeer world;
    private int worldPort;
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
        EximPeer.require();
        cloudCertificate = AUTHORITY.leaf(CLOUD_NAME).issue();
        TestCertificates.Issued ours = AUTHORITY.leaf(OUR_NAME).issue();
        Path ca = TestCertificates.writePem(directory.resolve("ca.pem"), AUTHORITY.certificate());
        worldPort = FreePort.next();
        cloud = PostfixPremises.in(
                directory.resolve("postfix"), CLOUD_NAME, "contoso.mail.onmicrosoft.com", cloudCertificate, ca);
        GatewayScenario.Builder builder = GatewayScenario.in(directory.resolve("gateway"))
                .edit("smtpserver.xml", text -> text.replace(
                                "<authorizedAddresses>127.0.0.0/8</authorizedAddresses>", "")
                        .replace("file://var/tls/server.key", "file://conf/gateway.key")
                        .replace("file://var/tls/server.crt", "file://conf/gateway.crt"));
        Path conf = builder.configuration();
        Files.copy(ca, conf.resolve("ca.pem"));
        ours.writePkcs12(conf.resolve("gateway.p12"), "gateway");
        ours.writeChainPem(conf.resolve("gateway.crt"));
        ours.writeKeyPem(conf.resolve("gateway.key"));
        Files.writeString(conf.resolve("mailboxes.csv"), "j@contoso.com,local\nd@contoso.com,cloud\n");
        scenario = builder.policy(policy(MX_HERE)).start();
        scenario.gateway().addUser("j@contoso.com", "a-password");
        port = scenario.gateway().port("smtp");
        world = EximPeer.start(
                directory.resolve("exim"),
                worldPort,
                WORLD_NAME,
                INTERNET_ADDRESS,
                AUTHORITY.leaf(WORLD_NAME).issue(),
                ca,
                "contoso.com",
                port);
        cloud.sendDirectly("elsewhere.test", worldPort);
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
                <transportRules>
                  <rule name="Mark"><sieve><![CDATA[
                    require ["editheader", "vnd.mailflow"];
                    if internalsender { addheader "X-Seen-As" "internal"; }
                  ]]></sieve></rule>
                </transportRules>
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
                        worldPort,
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

    private static String header(String subject) {
        return "From: someone@sender.test\r\nTo: undisclosed-recipients:;\r\n"
                + "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <" + subject + "@sender.test>\r\n"
                + "X-Odd:   spacing\t kept \r\nX-Folded: one\r\n\ttwo\r\n  three\r\nX-Empty:\r\nx-lower:no space\r\n"
                + "X-Twice: 1\r\nX-Encoded: =?utf-8?Q?gr=C3=BC=C3=9Fe?=\r\nX-Twice: 2\r\nX-Eight-Bit: gr\u00fc\u00dfe\r\n"
                + "X-Long: " + "0123456789".repeat(90) + "\r\nSubject: " + subject + "\r\n";
    }

    private static String message(String subject) {
        return header(subject) + "\r\nBody of " + subject + " \r\n";
    }

    /** A stranger, whose server hands his mail to the gateway. */
    private void fromInternet(String subject, String headers, String... recipients) throws IOException {
        try (DoorClient client = Way.plain("127.0.0.1").open(world.port())) {
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
        return only(subject, world::delivered);
    }

    private String here(String subject) {
        return only(subject, () -> scenario.mailbox("j@contoso.com"));
    }

    private static String head(String message) {
        String text = message.replace("\r\n", "\n");
        return text.substring(0, text.indexOf("\n\n") + 1);
    }

    private static List<String> fields(String head) {
        return List.of(head.split("\n(?![ \t])"));
    }

    private static String nameOf(String field) {
        return field.substring(0, field.indexOf(':')).toLowerCase(Locale.ROOT);
    }

    /** The hosts that took the message, the last first. */
    private static List<String> hops(String message) {
        return fields(head(message)).stream()
                .filter(field -> nameOf(field).equals("received"))
                .map(field -> field.replaceAll("\\s+", " "))
                .map(field -> field.contains("by " + CLOUD_NAME)
                        ? "cloud"
                        : field.contains("by " + WORLD_NAME) ? "world" : "gateway")
                .toList();
    }

    /**
     * The message has the fields that its sender wrote, in their order, every byte of them; those of its way; and one each
     * of the added ones.
     */
    private static void assertUnchanged(String message, String subject, String... added) {
        assertHas(message, header(subject), subject, added);
    }

    /** As above, but for what James does to bytes that are not ASCII when it writes a header into a mailbox. */
    private static void assertUnchangedHere(String message, String subject, String... added) {
        assertHas(message, header(subject).replaceAll("[^\\p{ASCII}]", "?"), subject, added);
    }

    private static void assertHas(String message, String header, String subject, String... added) {
        List<String> written = fields(header.replace("\r\n", "\n"));
        Set<String> names = written.stream().map(HybridPathsTest::nameOf).collect(Collectors.toSet());
        List<String> arrived = fields(head(message));
        assertThat(arrived.stream().filter(field -> names.contains(nameOf(field))))
                .containsExactlyElementsOf(written);
        assertThat(arrived.stream()
                        .map(HybridPathsTest::nameOf)
                        .filter(name -> !names.contains(name) && !TRACE.contains(name)))
                .containsExactlyInAnyOrder(added);
        assertThat(message.replace("\r\n", "\n")).endsWith("\n\nBody of " + subject + " \n");
    }

    private static void assertAtWorldOverTls(EximPeer world, String message) {
        String id = message.replaceAll("(?s).*?\\(Exim [^)]*\\)\\s.*?\\bid (\\S+).*", "$1");
        assertThat(world.log().lines().filter(line -> line.contains(id + " <=")))
                .singleElement()
                .asString()
                .contains("P=esmtps X=TLS1.");
    }

    @Test
    void mxHereShouldDeliverHereAndReaddressTheCopyForTheCloud() throws Exception {
        in(MX_HERE);

        fromInternet("mx-here", "X-MS-Exchange-Organization-AuthAs: Internal\r\n", "j@contoso.com", "d@contoso.com");

        String j = here("mx-here");
        String d = inCloud("mx-here");
        assertThat(hops(j)).containsExactly("gateway", "world");
        assertThat(hops(d)).containsExactly("cloud", "gateway", "world");
        assertThat(head(d))
                .contains("X-Original-To: d@contoso.mail.onmicrosoft.com\n")
                .contains("X-MS-Exchange-CrossPremises-AuthAs: Anonymous\n")
                .doesNotContain("Internal")
                .doesNotContain("X-Seen-As")
                .doesNotContain("X-MS-Exchange-Organization");
        assertUnchanged(d, "mx-here", STRANGE_ACROSS);
        assertUnchangedHere(j, "mx-here", VERDICT);
        GatewayScenario.await().untilAsserted(() -> assertThat(cloud.log())
                .contains("Trusted TLS connection established from localhost[127.0.0.1]"));
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
        assertUnchangedHere(j, "mx-cloud", VERDICT, MARK, PROMOTED);
        GatewayScenario.await().untilAsserted(() -> assertThat(cloud.log())
                .contains("Verified TLS connection established to 127.0.0.1[127.0.0.1]:" + port));
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
        assertUnchanged(d, "central-in", INTERNAL_ACROSS);
    }

    @Test
    void centralizedTransportShouldSendTheCloudsMailToTheInternet() throws Exception {
        in(CENTRALIZED);

        byCloud("d@contoso.com", "central-out", "X-MS-Exchange-CrossPremises-SCL: -1\r\n", "e@world.test");

        String e = atWorld("central-out");
        assertThat(hops(e)).containsExactly("world", "gateway", "cloud");
        assertThat(head(e)).doesNotContain("X-MS-Exchange").contains("X-Seen-As: internal");
        assertUnchanged(e, "central-out", VERDICT, MARK);
        assertAtWorldOverTls(world, e);
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
        assertUnchanged(d, "to-cloud", INTERNAL_ACROSS);
    }

    @Test
    void mailFromHereToTheInternetShouldGoThereDirectly() throws Exception {
        in(MX_HERE);

        fromHere("to-world", "e@world.test");

        String e = atWorld("to-world");
        assertThat(hops(e)).containsExactly("world", "gateway");
        assertUnchanged(e, "to-world", VERDICT, MARK);
        assertAtWorldOverTls(world, e);
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
        assertUnchangedHere(j, "cloud-here", VERDICT, MARK, PROMOTED);
    }

    @Test
    void everythingForTheInternetShouldLeaveThroughTheCloudWhereThatIsTheWay() throws Exception {
        in(OUT_BY_CLOUD);

        fromHere("out-by-cloud", "e@elsewhere.test");

        String e = atWorld("out-by-cloud");
        assertThat(hops(e)).containsExactly("world", "cloud", "gateway");
        String relayed = "to=<e@elsewhere.test>, relay=127.0.0.1[127.0.0.1]:" + worldPort;
        GatewayScenario.await().until(() -> cloud.log().contains(relayed));
        assertUnchanged(e, "out-by-cloud", INTERNAL_ACROSS);
    }

    @Test
    void mailForTheInternetShouldNotComeBackFromTheCloudThatIsItsWayOut() throws Exception {
        in(OUT_BY_CLOUD);
        int before = world.delivered().size();

        // the cloud hands what is not its own to us again, as a relay without a way of its own would: that is a loop
        fromHere("looping", "e@looping.test");

        GatewayScenario.await().until(() -> cloud.log().contains("554 5.4.14 Routing loop"));
        GatewayScenario.await().untilAsserted(() -> assertThat(cloud.log()).contains("to=<e@looping.test>"));
        assertThat(world.delivered()).hasSize(before);
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
    void probeShouldTellWhetherHeadersComeBackFromTheCloud() throws Exception {
        in(MX_HERE);

        Finding honest = probe("a-password");
        cloud.strip("^X-MS-Exchange-CrossPremises-");
        Finding stripped;
        try {
            stripped = probe("a-password");
        } finally {
            cloud.strip("");
        }
        Finding unreadable = probe("another-password");

        assertThat(honest.result()).as(honest.seen()).isEqualTo(Finding.Result.OK);
        assertThat(stripped.result()).isEqualTo(Finding.Result.FAILED);
        assertThat(stripped.seen()).isEqualTo("it came back without its cross-premises header");
        assertThat(stripped.mend()).hasValueSatisfying(mend -> assertThat(mend).contains("a device in between"));
        assertThat(unreadable.seen()).startsWith("the mailbox cannot be read");
        GatewayScenario.await().untilAsserted(() -> assertThat(String.join("", scenario.mailbox("j@contoso.com")))
                .as("what was read is removed, and the last one was not")
                .containsOnlyOnce("Subject: Mailflow hybrid check"));
    }

    /** A marked message to the cloud and back. */
    private Finding probe(String password) {
        return new HeaderProbe(
                        "j@contoso.com",
                        "127.0.0.1",
                        scenario.gateway().port("imaps"),
                        "j@contoso.com",
                        password,
                        true,
                        Duration.ofSeconds(60),
                        Clock.systemUTC())
                .run(
                        scenario.gateway()
                                .instance(PolicyRepository.class)
                                .current()
                                .outboundConnectors()
                                .find("cloud-out")
                                .orElseThrow(),
                        DeliveryConfig.builder(OUR_NAME).build());
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
