/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.gateway.queue.DurableMailQueueFactory;
import dev.mailflow.gateway.queue.QueueTrouble;
import dev.mailflow.policy.event.MailFlowEvent;

/** The gateway with all its data on a disk that becomes full. */
class FullDiskTest {
    private static final int DISK = 200;
    private static final int DEFERRED = 10;
    private static final int LARGE = 20_000_000;
    private static final String NO_ROOM = "452 4.3.1 Insufficient system storage, try again later";
    private static final Pattern SUBJECT = Pattern.compile("Subject: (\\S+)");

    private static Optional<SmallDisk> disk = Optional.empty();
    private static ScriptedSmtpPeer ready;
    private static ScriptedSmtpPeer busy;
    private static GatewayScenario scenario;

    @BeforeAll
    static void start(@TempDir Path directory) throws Exception {
        disk = SmallDisk.mount(directory.resolve("data"), DISK);
        if (disk.isEmpty() && Project.CI) {
            throw new AssertionError("found no right to mount a disk, expected in CI");
        }
        assumeTrue(disk.isPresent(), "SKIPPED, there is no right to mount a disk");
        ready = ScriptedSmtpPeer.builder().start();
        Action again = Action.reply("451 4.3.2 come again");
        busy = ScriptedSmtpPeer.builder()
                .on("RCPT", Collections.nCopies(DEFERRED, again).toArray(Action[]::new))
                .start();
        scenario = GatewayScenario.in(directory)
                .policy("<outboundConnectors>" + connector("ready", ready) + connector("busy", busy)
                        + "</outboundConnectors>")
                .start();
    }

    private static String connector(String name, ScriptedSmtpPeer peer) {
        return """
                <outboundConnector name="%s" type="partner">
                  <recipientDomain>%s.test</recipientDomain>
                  <smartHost>127.0.0.1:%d</smartHost>
                  <tls level="none"/>
                  <retry schedule="3s" warnAfter="1h" expireAfter="1d"/>
                </outboundConnector>"""
                .formatted(name, name, peer.port());
    }

    @AfterAll
    static void stop() throws Exception {
        if (scenario != null) {
            scenario.close();
            ready.close();
            busy.close();
        }
        if (disk.isPresent()) {
            disk.get().close();
        }
    }

    private static void send(SmtpSender.Session session, String to, String subject) throws Exception {
        session.send("joe@contoso.com", List.of(to), SmtpSender.message(subject));
    }

    private static List<String> arrived() {
        return Stream.of(ready, busy)
                .flatMap(peer -> peer.messages().stream())
                .flatMap(message -> SUBJECT.matcher(message.text()).results())
                .map(match -> match.group(1))
                .toList();
    }

    private static DurableMailQueueFactory queues() {
        return scenario.gateway().instance(DurableMailQueueFactory.class);
    }

    private static void awaitTrouble(boolean expected) {
        GatewayScenario.await().until(() -> queues().trouble().isPresent() == expected);
    }

    @Test
    @Timeout(90)
    void mailShouldBeRefusedByItsNameAndQueuedMailGoOnWhenThereIsRoomAgain() throws Exception {
        SmallDisk small = disk.orElseThrow();
        List<String> accepted = new ArrayList<>();
        try (SmtpSender.Session session = scenario.sender().open();
                SmtpSender.Session begun = scenario.sender().open()) {
            // short of room for new mail, and enough to deliver the old
            send(session, "jane@ready.test", "before");
            accepted.add("before");
            begun.command("MAIL FROM:<joe@contoso.com>", "250");
            begun.command("RCPT TO:<jane@ready.test>", "250");
            begun.command("DATA", "354");
            small.leave(40);
            awaitTrouble(true);
            assertThat(begun.command(SmtpSender.message("begun") + ".", "452")).isEqualTo(NO_ROOM);
            assertThat(session.command("MAIL FROM:<joe@contoso.com>", "452")).isEqualTo(NO_ROOM);
            assertThat(session.command("NOOP", "250")).startsWith("250");
            GatewayScenario.await().untilAsserted(() -> assertThat(arrived()).contains("before"));

            // room for a small one and not for a large one
            small.leave(80);
            GatewayScenario.await()
                    .until(() -> queues().trouble().isEmpty()
                            && queues().troubleWith(LARGE).isPresent());
            assertThat(session.command("MAIL FROM:<joe@contoso.com> SIZE=" + LARGE, "452"))
                    .isEqualTo(NO_ROOM);
            session.command("MAIL FROM:<joe@contoso.com> SIZE=2000", "250");
            session.command("RSET", "250");

            // not a byte left, with mail in the queue whose time comes
            for (int i = 0; i < DEFERRED; i++) {
                send(session, "jane@busy.test", "waiting-" + i);
                accepted.add("waiting-" + i);
            }
            GatewayScenario.await()
                    .until(() -> scenario.events(MailFlowEvent.Deferred.class).size() >= DEFERRED);
            small.leave(0);
            GatewayScenario.await().until(() -> queues().trouble()
                    .filter(trouble -> trouble.kind() == QueueTrouble.Kind.NO_ROOM)
                    .isPresent());
            session.command("MAIL FROM:<joe@contoso.com>", "452");
            // what was under way may still arrive
            AtomicReference<List<String>> last = new AtomicReference<>(arrived());
            GatewayScenario.await()
                    .during(Duration.ofSeconds(4))
                    .atMost(Duration.ofSeconds(30))
                    .until(() -> arrived().equals(last.getAndSet(arrived())));

            // and room again
            small.makeRoom();
            awaitTrouble(false);
            send(session, "jane@ready.test", "after");
            accepted.add("after");
        }
        GatewayScenario.await()
                .untilAsserted(() -> assertThat(arrived()).containsExactlyInAnyOrderElementsOf(accepted));
        GatewayScenario.await()
                .untilAsserted(() -> assertThat(scenario.queued("busy")).isEmpty());
    }
}
