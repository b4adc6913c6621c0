/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;

/**
 * The gateway on a host that nobody knows the name of: it stands in no hosts file, and there is no DNS. The process has
 * a host name and such files of its own, which takes root or the right to make user namespaces.
 */
class UnknownHostNameTest {
    private static final String NAME = "strange-host";
    private static final List<String> ALONE = List.of("unshare", "--map-root-user", "--uts", "--mount", "sh", "-c");
    private static final String PREPARE = "hostname " + NAME
            + " && mount --bind \"$0/hosts\" /etc/hosts && mount --bind \"$0/resolv.conf\" /etc/resolv.conf";

    @TempDir
    private static Path directory;

    @BeforeAll
    static void prepare() throws Exception {
        Files.writeString(directory.resolve("hosts"), "127.0.0.1 localhost\n::1 localhost\n");
        Files.writeString(directory.resolve("resolv.conf"), "nameserver 127.0.0.1\n");
        boolean possible;
        try (ForkedProcess process = alone("probe.txt", PREPARE, List.of())) {
            possible = process.exitCode(60) == 0;
        } catch (UncheckedIOException e) {
            possible = false;
        }
        if (!possible && Project.CI) {
            throw new AssertionError("found no right to have a host name of one's own, expected in CI");
        }
        assumeTrue(possible, "SKIPPED, there is no unshare(1), or no right to have a host name of one's own");
    }

    private static ForkedProcess alone(String output, String script, List<String> arguments) {
        List<String> command = new ArrayList<>(ALONE);
        command.add(script);
        command.add(directory.toString());
        command.addAll(arguments);
        return ForkedProcess.start(directory, directory.resolve(output), command);
    }

    private static ForkedProcess gateway(Path conf) {
        return alone("output.txt", PREPARE + " && exec \"$@\"", CrashTest.gatewayCommand(directory, conf));
    }

    private static String connector(String name, ScriptedSmtpPeer peer) {
        return """
                <outboundConnector name="%s" type="partner">
                  <recipientDomain>%s.test</recipientDomain>
                  <smartHost>127.0.0.1:%d</smartHost>
                  <tls level="none"/>
                </outboundConnector>"""
                .formatted(name, name, peer.port());
    }

    @Test
    @Timeout(value = 5, unit = TimeUnit.MINUTES)
    void gatewayShouldStartGreetAndBounceByTheNameThatTheHostCallsItself() throws Exception {
        FixedPorts ports = FixedPorts.free();
        try (ScriptedSmtpPeer refusing = ScriptedSmtpPeer.builder()
                        .always("RCPT", Action.reply("550 5.1.1 no such user"))
                        .start();
                ScriptedSmtpPeer sender = ScriptedSmtpPeer.builder().start()) {
            Path conf = ports.in(GatewayScenario.in(directory))
                    .policy("<acceptedDomains><domain>contoso.com</domain></acceptedDomains><outboundConnectors>"
                            + connector("refusing", refusing) + connector("sender", sender) + "</outboundConnectors>")
                    .configuration();
            try (ForkedProcess gateway = gateway(conf)) {
                CrashTest.awaitReady(gateway);
                assertThat(greeting(ports.smtp())).startsWith("220 " + NAME + " ");
                assertThat(greeting(ports.lmtp())).startsWith("220 " + NAME + " ");
                assertThat(greeting(ports.imap())).contains(" " + NAME + " ");
                assertThat(certificate(directory.resolve("data/tls/server.crt"))
                                .getSubjectX500Principal()
                                .getName())
                        .isEqualTo("CN=" + NAME);
                assertThat(gateway.output()).containsOnlyOnce("event=own-name-not-found name=" + NAME);

                // without a Message-ID, so that the gateway gives it one when it changes it
                new SmtpSender("127.0.0.1", ports.smtp())
                        .send("joe@sender.test", List.of("jane@refusing.test"), "Subject: lost\r\n\r\nText\r\n");
                GatewayScenario.await()
                        .untilAsserted(() -> assertThat(sender.messages()).hasSize(1));
                String report = sender.messages().get(0).text();
                assertThat(report)
                        .contains("Reporting-MTA: dns; " + NAME + "\r\n")
                        .containsPattern("Message-ID: <[^>]+@" + NAME + ">")
                        .contains("by " + NAME + " (");
                assertThat(refusing.sessions().get(0).commands()).contains("EHLO " + NAME);
            }
        }
    }

    private static String greeting(int port) throws IOException {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port);
                BufferedReader in = new BufferedReader(
                        new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1))) {
            socket.setSoTimeout(30_000);
            return in.readLine();
        }
    }

    private static X509Certificate certificate(Path file) throws Exception {
        try (InputStream in = Files.newInputStream(file)) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
    }
}
