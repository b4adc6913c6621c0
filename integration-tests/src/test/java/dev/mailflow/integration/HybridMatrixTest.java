/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

import org.apache.james.core.MailAddress;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.integration.DoorClient.Way;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.certificate.HypotheticalCertificate;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.explain.Explainer;
import dev.mailflow.policy.explain.Explanation;
import dev.mailflow.policy.explain.HypotheticalMessage;
import dev.mailflow.policy.inbound.ClientSession;
import dev.mailflow.policy.inbound.TlsSession;
import dev.mailflow.policy.testing.TestCertificates;

/**
 * Every combination of MX position, centralized transport, recipient and sender: what {@code explain} says, and what real
 * SMTP does, is what the table of hybrid transport says.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class HybridMatrixTest {
    private static final TestCertificates.Authority AUTHORITY = TestCertificates.authority("Matrix Test CA");
    private static final String CLOUD_NAME = "mail.cloud.example";
    private static final TestCertificates.Issued CLOUD =
            AUTHORITY.leaf(CLOUD_NAME).issue();
    private static final String REMOTE = "contoso.mail.onmicrosoft.com";
    private static final String PARTNER_IP = "127.0.6.1";
    private static final String STRANGER_IP = "127.0.5.1";

    private ScriptedSmtpPeer cloud;
    private ScriptedSmtpPeer world;
    private GatewayScenario scenario;

    private enum Sender {
        HERE("j@contoso.com"),
        CLOUD("d@contoso.com"),
        INTERNET("e@world.test"),
        PARTNER("p@fabrikam.com"),
        NULL("");

        private final String address;

        Sender(String address) {
            this.address = address;
        }
    }

    private enum Target {
        HERE("j@contoso.com"),
        CLOUD("d@contoso.com"),
        BOTH("j@contoso.com", "d@contoso.com"),
        NEITHER("x@contoso.com"),
        EXTERNAL("e@elsewhere.test"),
        REMOTE_ROUTING("d@" + REMOTE);

        @SuppressWarnings("ImmutableEnumChecker") // made by List.of
        private final List<String> addresses;

        Target(String... addresses) {
            this.addresses = List.of(addresses);
        }
    }

    /** What the table says of one recipient: where it is delivered, or the reply that refuses it. */
    private static String expected(Sender sender, String recipient) {
        return switch (recipient) {
            case "j@contoso.com" -> "here:j@contoso.com";
            case "d@contoso.com" -> "cloud:d@" + REMOTE;
            case "x@contoso.com" -> "550 5.1.10 Recipient not found";
                // nobody's domain but the cloud's: our users may write to it, strangers go to its MX
            case "d@" + REMOTE -> switch (sender) {
                case HERE -> "cloud:d@" + REMOTE;
                case CLOUD -> "554 5.4.14 Routing loop";
                case INTERNET, PARTNER, NULL -> "550 5.7.64 Relay access denied";
            };
            default -> switch (sender) {
                case HERE, CLOUD -> "world:" + recipient;
                case INTERNET, PARTNER, NULL -> "550 5.7.64 Relay access denied";
            };
        };
    }

    @BeforeAll
    void start(@TempDir Path directory) throws Exception {
        cloud = ScriptedSmtpPeer.builder()
                .startTls(CLOUD)
                .wantClientCertificate()
                .extensionsAfterTls("PIPELINING", "8BITMIME", "SIZE 0", "XOORG")
                .start();
        world = ScriptedSmtpPeer.builder().start();
        GatewayScenario.Builder builder = GatewayScenario.in(directory)
                .edit(
                        "smtpserver.xml",
                        text -> text.replace("<authorizedAddresses>127.0.0.0/8</authorizedAddresses>", ""));
        Path conf = builder.configuration();
        TestCertificates.writePem(conf.resolve("ca.pem"), AUTHORITY.certificate());
        AUTHORITY.leaf("gateway.contoso.com").issue().writePkcs12(conf.resolve("gateway.p12"), "gateway");
        Files.writeString(
                conf.resolve("mailboxes.csv"), "address,location\nj@contoso.com,local\nd@contoso.com,cloud\n");
        scenario = builder.policy(policy("onPremises", false)).start();
        scenario.gateway().addUser("j@contoso.com", "a-password");
    }

    @AfterAll
    void stop() {
        if (scenario != null) {
            scenario.close();
        }
        cloud.close();
        world.close();
    }

    private String policy(String mx, boolean centralized) {
        return """
                <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                <inboundConnectors>
                  <inboundConnector name="cloud-in" type="organization">
                    <clientCertificate name="%s" trust="ca" trustAnchors="file://conf/ca.pem"/>
                    <internalHeaders>preserve</internalHeaders>
                  </inboundConnector>
                  <inboundConnector name="partner-in" type="partner">
                    <senderDomain>fabrikam.com</senderDomain>
                    <requireTls>false</requireTls>
                    <clientIp>%s</clientIp>
                  </inboundConnector>
                </inboundConnectors>
                <outboundConnectors>
                  <outboundConnector name="cloud-out" type="organization">
                    <recipientDomain>%s</recipientDomain>
                    <smartHost>127.0.0.1:%d</smartHost>
                    <tls level="domain" name="%s" trustAnchors="file://conf/ca.pem">
                      <clientCertificate keystore="file://conf/gateway.p12" alias="gateway" secret="changeit"/>
                    </tls>
                    <internalHeaders>preserve</internalHeaders>
                  </outboundConnector>
                  <outboundConnector name="internet" type="internet">
                    <recipientDomain>*</recipientDomain>
                    <smartHost>127.0.0.1:%d</smartHost>
                    <tls level="opportunistic"/>
                  </outboundConnector>
                </outboundConnectors>
                <hybrid>
                  <sharedDomain>contoso.com</sharedDomain>
                  <remoteRoutingDomain>%s</remoteRoutingDomain>
                  <cloud inboundConnector="cloud-in" outboundConnector="cloud-out"/>
                  <mx>%s</mx>
                  <centralizedTransport>%s</centralizedTransport>
                  <mailboxes source="file" url="file://conf/mailboxes.csv"/>
                </hybrid>"""
                .formatted(
                        CLOUD_NAME,
                        PARTNER_IP,
                        REMOTE,
                        cloud.port(),
                        CLOUD_NAME,
                        world.port(),
                        REMOTE,
                        mx,
                        centralized);
    }

    private MailFlowPolicy inForce(String mx, boolean centralized) {
        PolicyRepository policies = scenario.gateway().instance(PolicyRepository.class);
        scenario.changePolicy(policy(mx, centralized));
        GatewayScenario.await().until(() -> policies.current()
                .hybrid()
                .filter(hybrid -> hybrid.mx().toString().equals(mx) && hybrid.centralizedTransport() == centralized)
                .isPresent());
        return policies.current();
    }

    @ParameterizedTest
    @CsvSource({"onPremises, false", "onPremises, true", "cloud, false", "cloud, true"})
    void everyCellShouldBeDeliveredOnceToTheRightPlaceOrRefusedWithTheRightReply(String mx, boolean centralized)
            throws Exception {
        MailFlowPolicy policy = inForce(mx, centralized);
        Set<String> wanted = new TreeSet<>();
        for (Sender sender : Sender.values()) {
            for (Target target : Target.values()) {
                String cell = mx + "-" + centralized + "-" + sender + "-" + target;
                assertThat(explained(policy, sender, target))
                        .as("explain " + cell)
                        .isEqualTo(expectedOf(sender, target));
                List<String> accepted = new ArrayList<>();
                assertThat(sent(cell, sender, target, accepted))
                        .as("SMTP " + cell)
                        .isEqualTo(expectedOf(sender, target));
                accepted.forEach(place -> wanted.add(cell + " " + place));
            }
        }
        assertThat(wanted).hasSizeGreaterThan(15);

        GatewayScenario.await().until(() -> arrived(mx + "-" + centralized).size() >= wanted.size());
        assertThat(arrived(mx + "-" + centralized)).containsExactlyInAnyOrderElementsOf(wanted);
        assertThat(cloud.messages()).allSatisfy(message -> {
            assertThat(message.overTls()).isTrue();
            assertThat(message.mail()).contains(" XOORG=");
            assertThat(message.session().clientChain()).isNotEmpty();
        });
    }

    private static List<String> expectedOf(Sender sender, Target target) {
        return target.addresses.stream()
                .map(recipient -> expected(sender, recipient))
                .toList();
    }

    private static List<String> explained(MailFlowPolicy policy, Sender sender, Target target) throws Exception {
        List<MailAddress> recipients = new ArrayList<>();
        for (String address : target.addresses) {
            recipients.add(new MailAddress(address));
        }
        Optional<ClientSession> session =
                switch (sender) {
                    case HERE -> Optional.empty();
                    case CLOUD -> Optional.of(ClientSession.from(IpAddress.parse("127.0.0.1"))
                            .withTls(new TlsSession("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
                            .withPeerCertificate(new HypotheticalCertificate(CLOUD_NAME)));
                    case PARTNER -> Optional.of(ClientSession.from(IpAddress.parse(PARTNER_IP)));
                    case INTERNET, NULL -> Optional.of(ClientSession.from(IpAddress.parse(STRANGER_IP)));
                };
        Explanation explanation = new Explainer(policy, Instant.now())
                .explain(new HypotheticalMessage(
                        sender.address.isEmpty() ? Optional.empty() : Optional.of(new MailAddress(sender.address)),
                        recipients,
                        session,
                        List.of(),
                        Set.of()));
        return explanation.recipients().stream().map(HybridMatrixTest::fate).toList();
    }

    private static String fate(Explanation.Recipient recipient) {
        return switch (recipient.action()) {
            case REJECT -> recipient.smtpReply().orElseThrow().toString();
            case DELIVER_LOCAL -> "here:" + recipient.rewritten();
            default -> (recipient.connector().orElseThrow().equals("cloud-out") ? "cloud:" : "world:")
                    + recipient.rewritten();
        };
    }

    /** Sends the cell's message; for each recipient the place it must get to, or the reply that refused it. */
    private List<String> sent(String cell, Sender sender, Target target, List<String> accepted) throws IOException {
        try (DoorClient client = open(sender)) {
            assertThat(client.command("MAIL FROM:<" + sender.address + ">")).startsWith("250");
            List<String> fates = new ArrayList<>();
            for (String recipient : target.addresses) {
                String reply = client.command("RCPT TO:<" + recipient + ">");
                if (reply.startsWith("250")) {
                    accepted.add(expected(sender, recipient));
                    fates.add(expected(sender, recipient));
                } else {
                    fates.add(reply);
                }
            }
            if (!accepted.isEmpty()) {
                assertThat(client.command("DATA")).startsWith("354");
                client.send(("From: <somebody@sender.test>\r\nMessage-ID: <" + cell + "@test>\r\nSubject: " + cell
                                + "\r\n\r\nbody\r\n")
                        .getBytes(StandardCharsets.US_ASCII));
                assertThat(client.command(".")).startsWith("250");
            }
            return fates;
        }
    }

    private DoorClient open(Sender sender) throws IOException {
        int smtp = scenario.gateway().port("smtp");
        switch (sender) {
            case HERE -> {
                DoorClient client =
                        Way.plain("127.0.0.1").withTls().open(scenario.gateway().port("submission"));
                String credentials = Base64.getEncoder()
                        .encodeToString("\0j@contoso.com\0a-password".getBytes(StandardCharsets.UTF_8));
                assertThat(client.command("AUTH PLAIN " + credentials)).startsWith("235");
                return client;
            }
            case CLOUD -> {
                return Way.plain("127.0.0.1").withCertificate(CLOUD).open(smtp);
            }
            case PARTNER -> {
                return Way.plain(PARTNER_IP).open(smtp);
            }
            default -> {
                return Way.plain(STRANGER_IP).open(smtp);
            }
        }
    }

    /** What arrived of a topology's cells: {@code cell place:recipient}, with repetitions. */
    private List<String> arrived(String topology) {
        List<String> found = new ArrayList<>();
        collect(cloud, "cloud:", found);
        collect(world, "world:", found);
        scenario.mailbox("j@contoso.com").forEach(text -> found.add(subject(text) + " here:j@contoso.com"));
        return found.stream().filter(line -> line.startsWith(topology + "-")).toList();
    }

    private static void collect(ScriptedSmtpPeer peer, String place, List<String> into) {
        peer.messages().forEach(message -> message.recipients()
                .forEach(recipient -> into.add(
                        subject(message.text()) + " " + place + recipient.replaceAll("(?i).*<([^>]*)>.*", "$1"))));
    }

    private static String subject(String message) {
        return message.lines()
                .filter(line -> line.startsWith("Subject: "))
                .findFirst()
                .orElse("Subject: none")
                .substring("Subject: ".length());
    }
}
