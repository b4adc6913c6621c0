/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;

/** Where large messages lie while they come in, when there is no room or no disk. */
class IncomingDiskTest {
    private static final int DISK = 4;
    private static final String BODY = "0123456789 0123456789 0123456789 0123456789\r\n".repeat(50_000);
    private static final String LARGER_THAN_THE_DISK = BODY.repeat(3);

    @TempDir
    Path directory;

    private Optional<SmallDisk> disk = Optional.empty();
    private ScriptedSmtpPeer peer;
    private Optional<GatewayScenario> scenario = Optional.empty();

    @BeforeEach
    void startPeer() {
        peer = ScriptedSmtpPeer.builder().start();
    }

    @AfterEach
    void stop() throws Exception {
        scenario.ifPresent(GatewayScenario::close);
        peer.close();
        if (disk.isPresent()) {
            disk.get().close();
        }
    }

    private Path incoming() {
        return directory.resolve("data/tmp");
    }

    private List<Path> files() throws IOException {
        try (Stream<Path> files = Files.list(incoming())) {
            return files.toList();
        }
    }

    private SmtpSender start() throws Exception {
        GatewayScenario started = GatewayScenario.in(directory)
                .policy(
                        """
                        <outboundConnectors><outboundConnector name="ready" type="partner">
                          <recipientDomain>ready.test</recipientDomain>
                          <smartHost>127.0.0.1:%d</smartHost>
                          <tls level="none"/>
                        </outboundConnector></outboundConnectors>"""
                                .formatted(peer.port()))
                .start();
        scenario = Optional.of(started);
        return started.sender();
    }

    /** The reply to the end of the message. */
    private static String refusal(SmtpSender.Session session, String content, String code) throws IOException {
        session.command("MAIL FROM:<joe@contoso.com>", "250");
        session.command("RCPT TO:<jane@ready.test>", "250");
        session.command("DATA", "354");
        return session.command(content + ".", code);
    }

    private void awaitArrived(String... subjects) {
        GatewayScenario.await().untilAsserted(() -> {
            List<String> texts =
                    peer.messages().stream().map(message -> message.text()).toList();
            assertThat(texts).hasSize(subjects.length);
            for (String subject : subjects) {
                assertThat(texts).anySatisfy(text -> assertThat(text).contains("Subject: " + subject + "\r\n"));
            }
        });
    }

    @Test
    void messageThatFillsTheDiskShouldBeRefusedAtItsEndAndTheSessionGoOn() throws Exception {
        disk = SmallDisk.mount(incoming(), DISK);
        if (disk.isEmpty() && Project.CI) {
            throw new AssertionError("found no right to mount a disk, expected in CI");
        }
        assumeTrue(disk.isPresent(), "SKIPPED, there is no right to mount a disk");
        Files.writeString(incoming().resolve("incoming-1.eml"), "left by a crash");
        try (SmtpSender.Session session = start().open()) {
            assertThat(files()).isEmpty();

            String reply = refusal(session, SmtpSender.message("lost") + LARGER_THAN_THE_DISK, "452");

            assertThat(reply).isEqualTo("452 4.3.1 Insufficient system storage, try again later");
            assertThat(files()).as("what is left of it").isEmpty();
            session.send("joe@contoso.com", List.of("jane@ready.test"), SmtpSender.message("small"));
            session.send("joe@contoso.com", List.of("jane@ready.test"), SmtpSender.message("large") + BODY);
            awaitArrived("small", "large");
            assertThat(files()).isEmpty();
        }
    }

    @Test
    void messageThatCannotBeWrittenShouldBeRefusedForNow() throws Exception {
        try (SmtpSender.Session session = start().open()) {
            Files.delete(incoming());

            String reply = refusal(session, SmtpSender.message("lost") + BODY, "451");

            assertThat(reply).isEqualTo("451 4.3.0 Message cannot be stored now, try again later");
            Files.createDirectory(incoming());
            session.send("joe@contoso.com", List.of("jane@ready.test"), SmtpSender.message("large") + BODY);
            awaitArrived("large");
        }
    }

    @Test
    void messageWhoseClientIsLostShouldLeaveNothing() throws Exception {
        start();
        DoorClient client = DoorClient.Way.plain("127.0.0.1").open(port());
        client.command("MAIL FROM:<joe@contoso.com>");
        client.command("RCPT TO:<jane@ready.test>");
        client.command("DATA");
        client.send(BODY.getBytes(StandardCharsets.US_ASCII));
        GatewayScenario.await().untilAsserted(() -> assertThat(files()).hasSize(1));

        client.reset();

        GatewayScenario.await().untilAsserted(() -> assertThat(files()).isEmpty());
    }

    private int port() {
        return scenario.orElseThrow().gateway().port("smtp");
    }
}
