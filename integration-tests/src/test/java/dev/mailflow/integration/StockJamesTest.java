/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import com.unboundid.ldap.listener.InMemoryDirectoryServer;
import com.unboundid.ldap.listener.InMemoryDirectoryServerConfig;
import com.unboundid.ldap.listener.InMemoryListenerConfig;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.policy.testing.TestCertificates;

/**
 * The drop-in jar in the James 3.8.1 memory app of Central: the jar in {@code extensions-jars/}, {@code mailflow.xml} in
 * {@code conf/}, {@code mailetcontainer.xml} edited, and nothing else.
 */
class StockJamesTest {
    private static final TestCertificates.Authority CA = TestCertificates.authority("Partner CA");

    @Test
    void dropInJarShouldRouteOverVerifiedTlsAndMarkTheVerdict(@TempDir Path directory) throws Exception {
        try (ScriptedSmtpPeer peer = ScriptedSmtpPeer.builder()
                .startTls(CA.leaf("mail.fabrikam.com").issue())
                .start()) {
            int port = FreePort.next();
            install(directory, port);
            TestCertificates.writePem(directory.resolve("conf/ca.pem"), CA.certificate());
            Files.writeString(
                    directory.resolve("conf/mailflow.xml"),
                    """
                    <mailflow>
                      <connectionFilter><allow>127.0.0.1</allow></connectionFilter>
                      <outboundConnectors>
                        <outboundConnector name="fabrikam-out" type="partner">
                          <recipientDomain>fabrikam.com</recipientDomain>
                          <smartHost>127.0.0.1:%d</smartHost>
                          <tls level="domain" name="mail.fabrikam.com" trustAnchors="file://conf/ca.pem"/>
                        </outboundConnector>
                      </outboundConnectors>
                      <transportRules>
                        <rule name="Tag"><sieve><![CDATA[
                          require ["editheader", "envelope", "regex"];
                          if header :regex "Subject" "^sto+ck$" { addheader "X-Ruled" "yes"; }
                          if envelope "to" "nobody@fabrikam.com" { discard; }
                        ]]></sieve></rule>
                      </transportRules>
                    </mailflow>"""
                            .formatted(peer.port()));

            try (ForkedProcess james = start(directory)) {
                awaitSmtp(james, port);
                new SmtpSender("127.0.0.1", port)
                        .send(
                                "joe@contoso.com",
                                List.of("jane@fabrikam.com", "nobody@fabrikam.com"),
                                SmtpSender.message("stock")
                                        .replace("Subject:", "X-Mailflow-Connection-Filter: forged\r\nSubject:"));

                GatewayScenario.await()
                        .untilAsserted(() ->
                                assertThat(peer.messages()).as(james.output()).hasSize(1));
                ScriptedSmtpPeer.ReceivedMessage message = peer.messages().get(0);
                assertThat(message.overTls()).isTrue();
                assertThat(message.recipients()).singleElement().asString().contains("jane@fabrikam.com");
                assertThat(message.text())
                        .contains("X-Mailflow-Connection-Filter: CIP=127.0.0.1; IPV=CAL\r\n")
                        .contains("X-Forefront-Antispam-Report: CIP:127.0.0.1;IPV:CAL;SCL:-1;")
                        .contains("X-Routed-To: fabrikam-out", "X-Ruled: yes\r\n")
                        .doesNotContain("forged");
                assertThat(message.session().commands()).contains("EHLO stock.contoso.com");
                GatewayScenario.await().untilAsserted(() -> assertThat(james.output())
                        .containsPattern("event=delivered .*connector=fabrikam-out .*tls=\"?TLSv1.3"));
            }
        }
    }

    /** The jar has an LDAP library of its own, under another name. */
    @Test
    void dropInJarShouldAskADirectoryWhereRecipientsAre(@TempDir Path directory) throws Exception {
        InMemoryDirectoryServerConfig config = new InMemoryDirectoryServerConfig("dc=contoso,dc=com");
        config.setSchema(null);
        config.setListenerConfigs(InMemoryListenerConfig.createLDAPConfig("plain", 0));
        InMemoryDirectoryServer people = new InMemoryDirectoryServer(config);
        people.add("dn: dc=contoso,dc=com", "objectClass: domain", "dc: contoso");
        people.add(
                "dn: cn=d,dc=contoso,dc=com",
                "objectClass: person",
                "cn: d",
                "mail: d@contoso.com",
                "targetAddress: SMTP:d@contoso.mail.cloud.example");
        people.startListening();
        int port = FreePort.next();
        install(directory, port);
        Path mailets = directory.resolve("conf/mailetcontainer.xml");
        Files.writeString(
                mailets,
                Files.readString(mailets)
                        .replace("fabrikam-out", "cloud-out")
                        .replace(
                                "<processor state=\"transport\">",
                                "<processor state=\"transport\">"
                                        + "<mailet match=\"All\" class=\"dev.mailflow.mailets.LocateRecipients\"/>"));
        try (ScriptedSmtpPeer cloud = ScriptedSmtpPeer.builder().start()) {
            Files.writeString(
                    directory.resolve("conf/mailflow.xml"),
                    """
                    <mailflow>
                      <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                      <inboundConnectors>
                        <inboundConnector name="cloud-in" type="organization"><clientIp>192.0.2.1</clientIp></inboundConnector>
                      </inboundConnectors>
                      <outboundConnectors>
                        <outboundConnector name="cloud-out" type="organization">
                          <recipientDomain>contoso.mail.cloud.example</recipientDomain>
                          <smartHost>127.0.0.1:%d</smartHost>
                          <tls level="none"/>
                        </outboundConnector>
                      </outboundConnectors>
                      <hybrid>
                        <sharedDomain>contoso.com</sharedDomain>
                        <remoteRoutingDomain>contoso.mail.cloud.example</remoteRoutingDomain>
                        <cloud inboundConnector="cloud-in" outboundConnector="cloud-out"/>
                        <mx>onPremises</mx>
                        <secureMail>false</secureMail>
                        <mailboxes source="ldap" url="ldap://127.0.0.1:%d" base="dc=contoso,dc=com"/>
                      </hybrid>
                    </mailflow>"""
                            .formatted(cloud.port(), people.getListenPort()));

            try (ForkedProcess james = start(directory)) {
                awaitSmtp(james, port);
                new SmtpSender("127.0.0.1", port)
                        .send("joe@contoso.com", List.of("d@contoso.com"), SmtpSender.message("stock-ldap"));

                GatewayScenario.await()
                        .untilAsserted(() ->
                                assertThat(cloud.messages()).as(james.output()).hasSize(1));
                assertThat(cloud.messages().get(0).recipients())
                        .singleElement()
                        .asString()
                        .contains("d@contoso.mail.cloud.example");
            }
        } finally {
            people.shutDown(true);
        }
    }

    @Test
    void dropInJarShouldKeepJamesFromStartingWithABrokenPolicy(@TempDir Path directory) throws Exception {
        install(directory, 0);
        Files.writeString(
                directory.resolve("conf/mailflow.xml"),
                "<mailflow>\n<connectionFilter><alow>1.2.3.4</alow></connectionFilter></mailflow>");

        try (ForkedProcess james = start(directory)) {
            GatewayScenario.await()
                    .untilAsserted(() -> assertThat(james.output()).contains("mailflow.xml:2", "alow"));
            assertThat(james.exitCode(60)).isNotZero();
        }
    }

    static void install(Path directory, int port) throws Exception {
        Path conf = Files.createDirectories(directory.resolve("conf"));
        Path from =
                Path.of(StockJamesTest.class.getResource("/stock-james/conf").toURI());
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : (Iterable<Path>) files::iterator) {
                Files.writeString(
                        conf.resolve(file.getFileName().toString()),
                        Files.readString(file).replace("@SMTP_PORT@", String.valueOf(port)));
            }
        }
        Path jar = Project.ROOT.resolve(
                "extension/target/mailflow-extension-" + System.getProperty("mailflow.version") + ".jar");
        Files.copy(
                jar,
                Files.createDirectories(directory.resolve("extensions-jars")).resolve("mailflow-extension.jar"));
    }

    /** Everything that James brings and nothing of ours. */
    private static String classpathWithoutMailflow() {
        return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(entry -> !entry.contains("mailflow") && !entry.startsWith(Project.ROOT.toString()))
                .collect(Collectors.joining(File.pathSeparator));
    }

    static ForkedProcess start(Path directory) {
        return ForkedProcess.java(
                directory,
                directory.resolve("output.txt"),
                directory.resolve("conf") + File.pathSeparator + classpathWithoutMailflow(),
                "org.apache.james.MemoryJamesServerMain",
                List.of());
    }

    static void awaitSmtp(ForkedProcess james, int port) {
        GatewayScenario.await().until(() -> {
            if (!james.isAlive()) {
                throw new AssertionError("James did not start:\n" + james.output());
            }
            try (SmtpSender.Session session = new SmtpSender("127.0.0.1", port).open()) {
                return session.command("NOOP", "250").startsWith("250");
            } catch (java.io.IOException e) {
                return false;
            }
        });
    }
}
