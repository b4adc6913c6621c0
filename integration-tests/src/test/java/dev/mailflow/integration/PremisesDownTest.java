/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.policy.testing.TestCertificates;

/**
 * A hybrid organization under load in both directions, centralized transport on, while the gateway is killed and the cloud (a
 * real Postfix) is stopped, in turn and both: every mail that either of them took arrives.
 */
class PremisesDownTest {
    private static final TestCertificates.Authority AUTHORITY = TestCertificates.authority("Hybrid Test CA");
    private static final String CLOUD_NAME = "mail.cloud.example";
    private static final String OUR_NAME = "gateway.contoso.com";
    private static final Pattern SUBJECT = Pattern.compile("(?m)^Subject: (\\S+)");
    /** Between two mails of one direction. */
    private static final long PAUSE_MILLIS = 25;
    /** Of each connector. */
    private static final int CONNECTIONS = 4;
    /** For each connection; what was delivered and not yet noted when the gateway is killed may come twice. */
    private static final int ATTEMPTS = 5;

    private static final int KILLS = 2;

    private final Set<String> taken = ConcurrentHashMap.newKeySet();
    private volatile boolean loading = true;

    @Test
    @Timeout(300)
    void everyMailShouldArriveWhilePremisesGoDownInTurn(@TempDir Path directory) throws Exception {
        PostfixPremises.require();
        Path ca = TestCertificates.writePem(directory.resolve("ca.pem"), AUTHORITY.certificate());
        FixedPorts ports = FixedPorts.free();
        try (ScriptedSmtpPeer world = ScriptedSmtpPeer.builder().start();
                PostfixPremises cloud = PostfixPremises.in(
                        directory.resolve("postfix"),
                        CLOUD_NAME,
                        "contoso.mail.onmicrosoft.com",
                        AUTHORITY.leaf(CLOUD_NAME).issue(),
                        ca)) {
            Path conf = configuration(directory, ca, cloud.port(), world.port(), ports);
            ForkedProcess gateway = CrashTest.gateway(directory, conf);
            try {
                CrashTest.awaitReady(gateway);
                cloud.start(ports.smtp(), OUR_NAME);
                CompletableFuture<Void> load = CompletableFuture.allOf(
                        CompletableFuture.runAsync(
                                () -> load("to-cloud-", ports.smtp(), "e@world.test", "d@contoso.com")),
                        CompletableFuture.runAsync(
                                () -> load("by-cloud-", cloud.port(), "d@contoso.com", "e@world.test")));
                awaitMore(world, cloud);

                cloud.halt();
                awaitTaken(50);
                cloud.resume();
                awaitMore(world, cloud);

                gateway.kill();
                awaitTaken(50);
                gateway = CrashTest.gateway(directory, conf);
                CrashTest.awaitReady(gateway);
                awaitMore(world, cloud);

                gateway.kill();
                cloud.halt();
                gateway = CrashTest.gateway(directory, conf);
                CrashTest.awaitReady(gateway);
                cloud.resume();
                awaitMore(world, cloud);

                loading = false;
                load.get(60, TimeUnit.SECONDS);
                GatewayScenario.await().atMost(120, TimeUnit.SECONDS).untilAsserted(() -> assertThat(
                                new HashSet<>(arrived(world, cloud)))
                        .containsAll(taken));
                List<String> arrived = arrived(world, cloud);
                assertThat(arrived.size() - new HashSet<>(arrived).size())
                        .as("mails that came twice, of %s", arrived.size())
                        .isLessThanOrEqualTo(KILLS * 2 * ATTEMPTS * CONNECTIONS);
            } finally {
                loading = false;
                gateway.close();
            }
        }
    }

    /** Sends one mail after the other; one that was not taken is given up, for nobody has promised anything. */
    private void load(String prefix, int port, String sender, String recipient) {
        for (int i = 0; loading; i++) {
            String subject = prefix + i;
            try {
                new SmtpSender("127.0.0.1", port).send(sender, List.of(recipient), SmtpSender.message(subject));
                taken.add(subject);
            } catch (IOException e) {
                // down
            }
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(PAUSE_MILLIS));
        }
    }

    private void awaitTaken(int more) {
        int before = taken.size();
        GatewayScenario.await().until(() -> taken.size() >= before + more);
    }

    /** Waits until mail gets through in both directions. */
    private static void awaitMore(ScriptedSmtpPeer world, PostfixPremises cloud) {
        int outside = world.messages().size();
        int inside = cloud.delivered().size();
        GatewayScenario.await()
                .until(() -> world.messages().size() >= outside + 20
                        && cloud.delivered().size() >= inside + 20);
    }

    private static List<String> arrived(ScriptedSmtpPeer world, PostfixPremises cloud) {
        List<String> mails = new ArrayList<>(cloud.delivered());
        world.messages().forEach(message -> mails.add(message.text()));
        return mails.stream()
                .map(SUBJECT::matcher)
                .filter(Matcher::find)
                .map(matcher -> matcher.group(1))
                .toList();
    }

    private static Path configuration(Path directory, Path ca, int cloud, int world, FixedPorts ports)
            throws IOException {
        TestCertificates.Issued ours = AUTHORITY.leaf(OUR_NAME).issue();
        Path conf = ports.in(GatewayScenario.in(directory))
                .edit("smtpserver.xml", text -> text.replace(
                                "<authorizedAddresses>127.0.0.0/8</authorizedAddresses>", "")
                        .replace("file://var/tls/server.key", "file://conf/gateway.key")
                        .replace("file://var/tls/server.crt", "file://conf/gateway.crt"))
                .file("mailboxes.csv", "d@contoso.com,cloud\n")
                .policy(
                        """
                        <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                        <inboundConnectors>
                          <inboundConnector name="cloud-in" type="organization">
                            <clientCertificate name="%1$s" trust="ca" trustAnchors="file://conf/ca.pem"/>
                            <internalHeaders>preserve</internalHeaders>
                          </inboundConnector>
                        </inboundConnectors>
                        <outboundConnectors>
                          <outboundConnector name="cloud-out" type="organization">
                            <recipientDomain>contoso.mail.onmicrosoft.com</recipientDomain>
                            <smartHost>127.0.0.1:%2$d</smartHost>
                            <tls level="domain" name="%1$s" trustAnchors="file://conf/ca.pem">
                              <clientCertificate keystore="file://conf/gateway.p12" alias="gateway" secret="changeit"/>
                            </tls>
                            <limits connections="%4$d" perDestination="%4$d"/>
                            <retry schedule="2s 2s 2s" warnAfter="4h" expireAfter="2d"/>
                            <internalHeaders>preserve</internalHeaders>
                          </outboundConnector>
                          <outboundConnector name="internet" type="internet">
                            <recipientDomain>*</recipientDomain>
                            <smartHost>127.0.0.1:%3$d</smartHost>
                            <tls level="none"/>
                            <limits connections="%4$d" perDestination="%4$d"/>
                          </outboundConnector>
                        </outboundConnectors>
                        <hybrid>
                          <sharedDomain>contoso.com</sharedDomain>
                          <remoteRoutingDomain>contoso.mail.onmicrosoft.com</remoteRoutingDomain>
                          <cloud inboundConnector="cloud-in" outboundConnector="cloud-out"/>
                          <mx>onPremises</mx>
                          <centralizedTransport>true</centralizedTransport>
                          <secureMail>true</secureMail>
                          <mailboxes source="file" url="file://conf/mailboxes.csv"/>
                        </hybrid>"""
                                .formatted(CLOUD_NAME, cloud, world, CONNECTIONS))
                .configuration();
        Files.copy(ca, conf.resolve("ca.pem"));
        ours.writePkcs12(conf.resolve("gateway.p12"), "gateway");
        ours.writeChainPem(conf.resolve("gateway.crt"));
        ours.writeKeyPem(conf.resolve("gateway.key"));
        return conf;
    }
}
