/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;

/** The gateway as a process of its own, which may open fewer files than its clients would like. */
class OpenFilesTest {
    private static final int OPEN_FILES = 1_000;
    private static final String BEGINS = "event=connections-not-accepted";
    private static final String ENDS = "event=connections-accepted-again";

    @Test
    @Timeout(value = 5, unit = TimeUnit.MINUTES)
    void connectionsThatCannotBeAcceptedShouldBeToldOfOnceAndServedLater(@TempDir Path directory) throws Exception {
        FixedPorts ports = FixedPorts.free();
        List<Socket> sockets = new ArrayList<>();
        try (ScriptedSmtpPeer peer = ScriptedSmtpPeer.builder().start()) {
            Path conf = ports.in(GatewayScenario.in(directory))
                    .policy(
                            """
                            <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                            <outboundConnectors><outboundConnector name="ready" type="partner">
                              <recipientDomain>ready.test</recipientDomain>
                              <smartHost>127.0.0.1:%d</smartHost>
                              <tls level="none"/>
                            </outboundConnector></outboundConnectors>"""
                                    .formatted(peer.port()))
                    .configuration();
            try (ForkedProcess gateway = gateway(directory, conf)) {
                CrashTest.awaitReady(gateway);
                while (!gateway.output().contains(BEGINS)) {
                    assertThat(sockets).hasSizeLessThan(OPEN_FILES);
                    sockets.add(new Socket(InetAddress.getLoopbackAddress(), ports.smtp()));
                }
                // it is tried again every second
                GatewayScenario.await().during(Duration.ofSeconds(4)).until(() -> !gateway.output()
                        .contains(ENDS));
                assertThat(gateway.output())
                        .containsOnlyOnce(BEGINS)
                        .contains("reason=\"Too many open files\" open-files-limit=" + OPEN_FILES)
                        .doesNotContain("exceptionCaught");

                closeAll(sockets);

                // connections are what tells that they are accepted
                GatewayScenario.await().ignoreExceptions().until(() -> {
                    new SmtpSender("127.0.0.1", ports.smtp()).open().close();
                    return gateway.output().contains(ENDS);
                });
                new SmtpSender("127.0.0.1", ports.smtp())
                        .send("joe@contoso.com", List.of("jane@ready.test"), SmtpSender.message("after"));
                GatewayScenario.await()
                        .untilAsserted(() -> assertThat(peer.messages()).hasSize(1));
                assertThat(gateway.output()).containsOnlyOnce(BEGINS).containsOnlyOnce(ENDS);
            }
        } finally {
            closeAll(sockets);
        }
    }

    private static void closeAll(List<Socket> sockets) throws IOException {
        for (Socket socket : sockets) {
            socket.close();
        }
        sockets.clear();
    }

    private static ForkedProcess gateway(Path directory, Path conf) {
        List<String> command =
                new ArrayList<>(List.of("sh", "-c", "ulimit -n " + OPEN_FILES + " && exec \"$@\"", "sh"));
        command.addAll(CrashTest.gatewayCommand(directory, conf));
        return ForkedProcess.start(directory, directory.resolve("output.txt"), command);
    }
}
