/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import com.google.common.util.concurrent.Uninterruptibles;
import com.sun.net.httpserver.HttpServer;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.integration.DoorClient.Way;
import dev.mailflow.policy.testing.TestCertificates;
import dev.mailflow.policy.testing.TestCertificates.Authority;
import dev.mailflow.policy.testing.TestCertificates.Issued;

/**
 * The hooks of the drop-in jar in the James 3.8.1 memory app of Central: an ordinary port, one behind a proxy, and one
 * that needs a client certificate, for a stock James cannot ask for one without insisting.
 */
class StockJamesDoorTest {
    private static final Authority CA = TestCertificates.authority("Partner CA");

    private static String server(String name, int port, String more, String filter) {
        return """
                <smtpserver enabled="true">
                  <jmxName>%s</jmxName>
                  <bind>127.0.0.1:%d</bind>
                  <connectionLimit>0</connectionLimit>
                  <connectionLimitPerIP>0</connectionLimitPerIP>
                  <heloEhloEnforcement>true</heloEhloEnforcement>
                  %s
                  <handlerchain>
                    <handler class="dev.mailflow.hooks.ConnectionFilterHook">%s</handler>
                    <handler class="dev.mailflow.hooks.InboundConnectorHook"/>
                    <handler class="dev.mailflow.hooks.XoorgExtension"/>
                    <handler class="dev.mailflow.hooks.LimitsHook"><messagesPerMinute>100</messagesPerMinute></handler>
                    <handler class="dev.mailflow.hooks.AcceptedRecipientHook"/>
                    <handler class="dev.mailflow.hooks.HopLimitHook"/>
                    <handler class="dev.mailflow.hooks.StampFactsHook"/>
                    <handler class="org.apache.james.smtpserver.CoreCmdHandlerLoader"/>
                  </handlerchain>
                </smtpserver>
                """
                .formatted(name, port, more, filter);
    }

    private static String tls(String more) {
        return """
                <tls socketTLS="false" startTLS="true">
                  <keystore>file://conf/server.p12</keystore>
                  <keystoreType>PKCS12</keystoreType>
                  <secret>%s</secret>%s
                </tls>"""
                .formatted(TestCertificates.PASSWORD, more);
    }

    @Test
    void hooksShouldKeepTheTableInAStockJames(@TempDir Path directory) throws Exception {
        int open = FreePort.next();
        int proxied = FreePort.next();
        int certified = FreePort.next();
        try (ScriptedSmtpPeer world = ScriptedSmtpPeer.builder().start()) {
            StockJamesTest.install(directory, open);
            Path conf = directory.resolve("conf");
            CA.leaf("mx.contoso.com").issue().writePkcs12(conf.resolve("server.p12"), "server");
            TestCertificates.writeTrustStore(conf.resolve("clients.p12"), CA.certificate());
            TestCertificates.writePem(conf.resolve("ca.pem"), CA.certificate());
            Files.writeString(
                    conf.resolve("smtpserver.xml"),
                    "<smtpservers>"
                            + server("open", open, tls(""), "")
                            + server(
                                    "proxied",
                                    proxied,
                                    "<proxyRequired>true</proxyRequired>",
                                    "<proxies>127.0.9.1</proxies>")
                            + server(
                                    "certified",
                                    certified,
                                    tls("<clientAuth><truststore>file://conf/clients.p12</truststore>"
                                            + "<truststoreSecret>" + TestCertificates.PASSWORD
                                            + "</truststoreSecret></clientAuth>"),
                                    "")
                            + "</smtpservers>");
            Files.writeString(
                    conf.resolve("mailetcontainer.xml"),
                    Files.readString(conf.resolve("mailetcontainer.xml"))
                            .replace(
                                    "<mailet match=\"All\" class=\"PostmasterAlias\"/>",
                                    "<mailet match=\"All\" class=\"dev.mailflow.mailets.HeaderFirewall\"/>"
                                            + "<mailet match=\"dev.mailflow.matchers.IsInternal\" class=\"SetMimeHeader\">"
                                            + "<name>X-Internal</name><value>yes</value></mailet>")
                            .replaceAll("(?s)<mailet match=\"dev.mailflow.matchers.RoutedTo.*?</mailet>", ""));
            Files.writeString(
                    conf.resolve("mailflow.xml"),
                    """
                    <mailflow>
                      <acceptedDomains>
                        <domain>contoso.com</domain>
                        <domain type="internalRelay">shared.test</domain>
                        <domain type="externalRelay">tailspin.test</domain>
                      </acceptedDomains>
                      <connectionFilter><block>127.0.1.0/24</block><block>203.0.113.0/24</block></connectionFilter>
                      <inboundConnectors>
                        <inboundConnector name="partner" type="partner">
                          <senderDomain>fabrikam.com</senderDomain>
                          <clientCertificate name="mail.fabrikam.com" trust="ca" trustAnchors="file://conf/ca.pem"/>
                        </inboundConnector>
                        <inboundConnector name="cloud-in" type="organization">
                          <clientCertificate name="*.cloud.test" trust="ca" trustAnchors="file://conf/ca.pem"/>
                          <internalHeaders>preserve</internalHeaders><relay>true</relay>
                        </inboundConnector>
                      </inboundConnectors>
                      <outboundConnectors>
                        <outboundConnector name="world" type="organization">
                          <recipientDomain>*</recipientDomain>
                          <smartHost>127.0.0.1:%d</smartHost>
                          <tls level="none"/>
                          <internalHeaders>preserve</internalHeaders>
                        </outboundConnector>
                      </outboundConnectors>
                    </mailflow>"""
                            .formatted(world.port()));

            try (ForkedProcess james = StockJamesTest.start(directory)) {
                StockJamesTest.awaitSmtp(james, open);
                atTheOpenPort(open);
                behindTheProxy(proxied);
                withACertificate(certified);
                withARevokedCertificate(certified);

                String message = GatewayScenario.await()
                        .until(
                                () -> world.messages().stream()
                                        .map(ScriptedSmtpPeer.ReceivedMessage::text)
                                        .filter(text -> text.contains("Subject: stock door\r\n"))
                                        .findFirst(),
                                Optional::isPresent)
                        .orElseThrow();
                assertThat(message)
                        .contains("X-Internal: yes\r\n")
                        .contains("X-MS-Exchange-CrossPremises-SCL: -1\r\n")
                        .doesNotContain("Organization");
                assertThat(james.output())
                        .contains("event=refused")
                        .contains("event=attributed")
                        .contains("connector=cloud-in origin=internal");
            }
        }
    }

    private static void atTheOpenPort(int port) throws Exception {
        try (DoorClient blocked = Way.plain("127.0.1.7").open(port)) {
            assertThat(blocked.command("MAIL FROM:<a@example.test>"))
                    .isEqualTo("550 5.7.1 Service unavailable, client host [127.0.1.7] blocked by connection filter");
        }
        try (DoorClient client = Way.plain("127.0.0.1").open(port)) {
            assertThat(client.command("MAIL FROM:<a@fabrikam.com>"))
                    .isEqualTo("530 5.7.0 Must issue a STARTTLS command first");
            assertThat(client.command("MAIL FROM:<a@example.test>")).startsWith("250");
            assertThat(client.command("RCPT TO:<nobody@contoso.com>")).isEqualTo("550 5.1.10 Recipient not found");
            assertThat(client.command("RCPT TO:<x@elsewhere.test>")).isEqualTo("550 5.7.64 Relay access denied");
            assertThat(client.command("RCPT TO:<x@shared.test>")).startsWith("250");
            assertThat(client.command("RCPT TO:<x@tailspin.test>")).startsWith("250");
        }
        Way tls = Way.plain("127.0.0.1")
                .withCertificate(CA.leaf("mail.fabrikam.com").issue());
        try (DoorClient client = tls.open(port)) {
            assertThat(client.command("MAIL FROM:<a@fabrikam.com>"))
                    .as("a stock James asks for no certificate here, so none is seen")
                    .startsWith("550 5.7.51 Sender domain requires a certificate named 'mail.fabrikam.com'");
        }
    }

    private static void behindTheProxy(int port) throws Exception {
        for (byte[] header :
                new byte[][] {DoorClient.proxyVersion1("203.0.113.9"), DoorClient.proxyVersion2("::ffff:203.0.113.9")
                }) {
            try (DoorClient client = Way.plain("127.0.9.1").proxying(header).open(port)) {
                assertThat(client.command("MAIL FROM:<a@example.test>")).contains("client host [203.0.113.9] blocked");
            }
        }
        try (DoorClient client = Way.plain("127.0.9.1")
                .proxying(DoorClient.proxyVersion1("192.0.2.9"))
                .open(port)) {
            assertThat(client.command("MAIL FROM:<a@example.test>")).startsWith("250");
        }
        try (DoorClient forger = Way.plain("127.0.0.1")
                .proxying(DoorClient.proxyVersion1("192.0.2.9"))
                .open(port)) {
            assertThat(forger.command("MAIL FROM:<a@example.test>"))
                    .isEqualTo("554 5.7.1 PROXY header refused, host [127.0.0.1] is not a configured proxy");
        }
    }

    private static void withACertificate(int port) throws Exception {
        Way partner = Way.plain("127.0.0.1")
                .withCertificate(CA.leaf("mail.fabrikam.com").issue());
        try (DoorClient client = partner.open(port)) {
            assertThat(client.command("MAIL FROM:<a@fabrikam.com>")).startsWith("250");
            assertThat(client.command("RCPT TO:<x@elsewhere.test>")).isEqualTo("550 5.7.64 Relay access denied");
        }
        Way cloud =
                Way.plain("127.0.0.1").withCertificate(CA.leaf("eu.cloud.test").issue());
        try (DoorClient client = cloud.open(port)) {
            assertThat(client.lines("EHLO cloud.test")).anyMatch(line -> line.endsWith("XOORG"));
            assertThat(client.deliver(
                            "<a@cloud.test>",
                            "x@elsewhere.test",
                            "X-MS-Exchange-CrossPremises-SCL: -1\r\nSubject: stock door\r\n\r\nbody\r\n"))
                    .startsWith("250");
        }
        try (DoorClient stranger = Way.plain("127.0.0.1").withTls().open(port)) {
            assertThat(stranger.command("MAIL FROM:<a@example.test>")).isEmpty();
        } catch (IOException e) {
            assertThat(e).as("the handshake needs a certificate").hasMessageNotContaining("no STARTTLS");
        }
    }

    /** Its hooks are on the event loop: a service that does not answer keeps nobody waiting, one that does is heard. */
    private static void withARevokedCertificate(int port) throws Exception {
        CountDownLatch never = new CountDownLatch(1);
        HttpServer authority = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        ExecutorService threads = Executors.newCachedThreadPool();
        authority.setExecutor(threads);
        String url = "http://127.0.0.1:" + authority.getAddress().getPort();
        Issued revoked = CA.leaf("mail.fabrikam.com").crl(url + "/revoked.crl").issue();
        byte[] list = CA.revoke(revoked.certificate()).getEncoded();
        authority.createContext("/", exchange -> {
            if (exchange.getRequestURI().getPath().contains("silent")) {
                Uninterruptibles.awaitUninterruptibly(never);
            }
            exchange.sendResponseHeaders(200, list.length);
            exchange.getResponseBody().write(list);
            exchange.close();
        });
        authority.start();
        try {
            // the gateway, which may wait, waits three seconds; a busy machine may be slow once, a wait is slow each
            // time
            GatewayScenario.await().untilAsserted(() -> {
                Issued unknown =
                        CA.leaf("mail.fabrikam.com").crl(url + "/silent.crl").issue();
                long from = System.nanoTime();
                try (DoorClient client =
                        Way.plain("127.0.0.1").withCertificate(unknown).open(port)) {
                    assertThat(client.command("MAIL FROM:<a@fabrikam.com>")).startsWith("250");
                }
                assertThat(Duration.ofNanos(System.nanoTime() - from)).isLessThan(Duration.ofMillis(2500));
            });

            GatewayScenario.await().untilAsserted(() -> {
                try (DoorClient client =
                        Way.plain("127.0.0.1").withCertificate(revoked).open(port)) {
                    assertThat(client.command("MAIL FROM:<a@fabrikam.com>"))
                            .startsWith("550 5.7.51 Sender domain requires a certificate");
                }
            });
        } finally {
            never.countDown();
            authority.stop(0);
            threads.shutdownNow();
        }
    }
}
