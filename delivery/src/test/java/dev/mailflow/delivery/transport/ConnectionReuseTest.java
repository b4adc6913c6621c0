/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import static dev.mailflow.delivery.testing.Connectors.address;
import static dev.mailflow.delivery.testing.Connectors.connector;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.delivery.DeliveryReport;
import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.RecipientOutcome.Deferred;
import dev.mailflow.delivery.RecipientOutcome.Delivered;
import dev.mailflow.delivery.SmtpTimeouts;
import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.delivery.testing.SettableClock;
import dev.mailflow.policy.connector.OutboundConnector;

/** Connections are reused, within limits, and a connection that went stale costs nobody anything. */
class ConnectionReuseTest {
    private static final Duration IDLE = Duration.ofSeconds(30);
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private Outbound outbound;

    @BeforeEach
    void start() {
        outbound = Outbound.start();
    }

    @AfterEach
    void stop() {
        outbound.close();
    }

    private List<DeliveryReport> sendAtOnce(OutboundConnector connector, int messages) {
        List<CompletableFuture<DeliveryReport>> reports = new ArrayList<>();
        for (int i = 0; i < messages; i++) {
            reports.add(outbound.transport()
                    .send(connector, connector.tls(), Outbound.message())
                    .toCompletableFuture()
                    .orTimeout(30, TimeUnit.SECONDS));
        }
        return reports.stream().map(CompletableFuture::join).toList();
    }

    private static void assertDelivered(List<DeliveryReport> reports) {
        assertThat(reports)
                .allSatisfy(report -> assertThat(report.outcomes().values()).allMatch(Delivered.class::isInstance));
    }

    @ParameterizedTest(name = "pipelining {0}")
    @ValueSource(booleans = {true, false})
    void messagesOneAfterTheOtherShouldShareAConnectionWithoutReset(boolean pipelining) {
        try (var peer = ScriptedSmtpPeer.builder()
                .extensions(pipelining ? "PIPELINING" : "8BITMIME")
                .start()) {
            var connector = connector().to(peer).build();
            for (int i = 0; i < 5; i++) {
                assertThat(outbound.send(connector)).isInstanceOf(Delivered.class);
            }

            assertThat(peer.sessions()).hasSize(1);
            assertThat(peer.sessions().get(0).commands()).doesNotContain("RSET");
            assertThat(peer.messages()).hasSize(5);
        }
    }

    @Test
    void connectionShouldEndWithQuitAfterTheConfiguredNumberOfMessages() {
        try (var peer = ScriptedSmtpPeer.builder().start()) {
            var connector = connector().to(peer).limits(5, 1, 3, IDLE).build();
            for (int i = 0; i < 7; i++) {
                assertThat(outbound.send(connector)).isInstanceOf(Delivered.class);
            }

            assertThat(peer.sessions())
                    .extracting(session -> session.messages())
                    .containsExactly(3, 3, 1);
            assertThat(peer.sessions().get(0).commands()).endsWith("QUIT");
        }
    }

    @Test
    void connectionShouldEndWithQuitWhenIdleTooLong() {
        try (var peer = ScriptedSmtpPeer.builder().start()) {
            outbound.send(connector()
                    .to(peer)
                    .limits(5, 5, 100, Duration.ofMillis(300))
                    .build());

            await().atMost(Duration.ofSeconds(30)).untilAsserted(() -> {
                assertThat(peer.openConnections()).isZero();
                assertThat(outbound.transport().connections()).isZero();
            });
            assertThat(peer.sessions().get(0).commands()).endsWith("QUIT");
        }
    }

    @Test
    void limitsShouldHoldWhenManyMessagesAreSentAtOnce() {
        try (var peer = ScriptedSmtpPeer.builder().start()) {
            assertDelivered(
                    sendAtOnce(connector().to(peer).limits(20, 3, 10, IDLE).build(), 200));

            assertThat(peer.messages()).hasSize(200);
            assertThat(peer.mostOpenConnections()).isBetween(2, 3);
            assertThat(peer.sessions()).allMatch(session -> session.messages() <= 10);
        }
    }

    @Test
    void connectionClosedByThePeerWhileIdleShouldNotBeUsed() {
        try (var peer = ScriptedSmtpPeer.builder().start()) {
            var connector = connector().to(peer).build();
            outbound.send(connector);
            peer.dropConnections();
            await().until(() -> outbound.transport().connections() == 0);

            assertThat(outbound.send(connector)).isInstanceOf(Delivered.class);
            assertThat(peer.sessions()).hasSize(2);
        }
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"drop", "421 4.4.2 idle too long"})
    void messageCaughtByAStaleConnectionShouldBeRetriedAtOnceOnAFreshOne(String how) {
        Action stale = how.equals("drop") ? Action.drop() : Action.replyThenDrop(how);
        try (var peer = ScriptedSmtpPeer.builder()
                .on("MAIL", Action.reply("250 2.1.0 sender ok"), stale)
                .start()) {
            var connector = connector().to(peer).build();

            assertThat(outbound.send(connector)).isInstanceOf(Delivered.class);
            assertThat(outbound.send(connector)).isInstanceOf(Delivered.class);
            assertThat(peer.messages()).hasSize(2);
            assertThat(peer.sessions()).hasSize(2);
        }
    }

    @ParameterizedTest(name = "421 to {0}, {1}")
    @CsvSource({
        "MAIL, PIPELINING",
        "MAIL, 8BITMIME",
        "RCPT, PIPELINING",
        "RCPT, 8BITMIME",
        "DATA, PIPELINING",
        "DATA, 8BITMIME"
    })
    void messageThatARetiringConnectionRefusesShouldGoOnceOverAFreshOne(String step, String extension) {
        String usual =
                switch (step) {
                    case "MAIL" -> "250 2.1.0 sender ok";
                    case "RCPT" -> "250 2.1.5 recipient ok";
                    default -> "354 go on";
                };
        try (var peer = ScriptedSmtpPeer.builder()
                .extensions(extension)
                .on(step, Action.reply(usual), Action.replyThenDrop("421 4.4.2 idle too long"))
                .start()) {
            var connector = connector().to(peer).build();

            assertThat(outbound.send(connector, message("first")).outcomes().values())
                    .allMatch(Delivered.class::isInstance);
            assertThat(outbound.send(connector, message("second")).outcomes().values())
                    .allMatch(Delivered.class::isInstance);

            assertThat(peer.messages())
                    .extracting(received -> received.text().lines().findFirst().orElseThrow())
                    .containsExactly("Subject: first", "Subject: second");
            assertThat(peer.sessions())
                    .extracting(ScriptedSmtpPeer.Session::messages)
                    .containsExactly(1, 1);
        }
    }

    private static OutboundMessage message(String subject) {
        return Outbound.message(("Subject: " + subject + "\r\n\r\nHello\r\n").getBytes(StandardCharsets.US_ASCII));
    }

    /** Three failures in a row would have the destination left alone: two are counted here, and not the 421 before. */
    @Test
    void retiringConnectionShouldNotCountAgainstItsDestination() {
        try (var peer = ScriptedSmtpPeer.builder()
                .on(
                        "CONNECT",
                        Action.reply("220 peer.test"),
                        Action.replyThenDrop("421 4.3.2 busy"),
                        Action.replyThenDrop("421 4.3.2 busy"))
                .on("MAIL", Action.reply("250 2.1.0 sender ok"), Action.replyThenDrop("421 4.4.2 idle too long"))
                .start()) {
            var connector = connector().to(peer).build();

            assertThat(outbound.send(connector)).isInstanceOf(Delivered.class);
            assertThat(outbound.send(connector)).isInstanceOf(Deferred.class);
            assertThat(outbound.send(connector)).isInstanceOf(Deferred.class);
            assertThat(outbound.send(connector)).isInstanceOf(Delivered.class);
            assertThat(peer.sessions()).hasSize(4);
        }
    }

    @Test
    void messageShouldBeRetriedOnlyOnceWhenTheFreshConnectionDiesToo() {
        try (var peer = ScriptedSmtpPeer.builder()
                .on("MAIL", Action.reply("250 2.1.0 sender ok"), Action.drop(), Action.drop(), Action.drop())
                .start()) {
            var connector = connector().to(peer).build();

            assertThat(outbound.send(connector)).isInstanceOf(Delivered.class);
            assertThat(outbound.send(connector)).isInstanceOf(Deferred.class);
            assertThat(peer.sessions()).hasSize(2);
        }
    }

    @Test
    void peerThatTakesFewerConnectionsThanAllowedShouldGetAllMail() {
        try (var peer = ScriptedSmtpPeer.builder()
                .on(
                        "CONNECT",
                        Action.reply("220 first"),
                        Action.replyThenDrop("421 4.7.0 too many"),
                        Action.replyThenDrop("421 4.7.0 too many"),
                        Action.replyThenDrop("421 4.7.0 too many"))
                .start()) {
            assertDelivered(
                    sendAtOnce(connector().to(peer).limits(20, 5, 100, IDLE).build(), 50));
            assertThat(peer.messages()).hasSize(50);
        }
    }

    @Test
    void deadDestinationShouldNotDelayAnother() {
        try (var dead = ScriptedSmtpPeer.builder()
                        .address("127.0.0.2")
                        .always("CONNECT", Action.silence())
                        .start();
                var healthy = ScriptedSmtpPeer.builder()
                        .address("127.0.0.3")
                        .port(dead.port())
                        .start();
                var dns = LocalDns.start()
                        .mx("dead.test", 10, "mx.dead.test")
                        .a("mx.dead.test", "127.0.0.2")
                        .mx("healthy.test", 10, "mx.healthy.test")
                        .a("mx.healthy.test", "127.0.0.3");
                var byMx = Outbound.start(Outbound.config()
                        .resolver(dns.resolver())
                        .mxPort(dead.port())
                        .timeouts(SmtpTimeouts.DEFAULT.atMost(Duration.ofSeconds(4)))
                        .build())) {
            var connector = connector().limits(4, 3, 100, IDLE).build();
            List<CompletableFuture<DeliveryReport>> late = new ArrayList<>();
            for (int i = 0; i < 50; i++) {
                late.add(byMx.transport()
                        .send(connector, connector.tls(), Outbound.message(address("x@dead.test")))
                        .toCompletableFuture());
            }
            for (int i = 0; i < 50; i++) {
                assertDelivered(List.of(byMx.send(connector, Outbound.message(address("x@healthy.test")))));
            }
            assertThat(healthy.messages()).hasSize(50);
            assertThat(late.get(0)).isNotDone();
            assertThat(late).allSatisfy(report -> assertThat(report.orTimeout(30, TimeUnit.SECONDS)
                            .join()
                            .outcomes()
                            .values())
                    .allMatch(Deferred.class::isInstance));
            // the 50 were told together, not one after the other
            assertThat(dead.sessions()).hasSizeLessThan(4);
        }
    }

    @Test
    void hangingDestinationShouldKeepNoMoreMailWaitingThanItMayHaveConnections() {
        SettableClock clock = new SettableClock(Instant.parse("2026-11-23T12:00:00Z"));
        try (var hanging = ScriptedSmtpPeer.builder()
                        .always("BODY", Action.silence())
                        .start();
                var dns = LocalDns.start()
                        .mx("hanging.test", 10, "mx.hanging.test")
                        .a("mx.hanging.test", "127.0.0.1");
                var byMx = Outbound.start(Outbound.config()
                        .resolver(dns.resolver())
                        .mxPort(hanging.port())
                        .timeouts(SmtpTimeouts.DEFAULT)
                        .clock(clock)
                        .build())) {
            var limits = connector().limits(4, 2, 100, IDLE);
            List<CompletableFuture<DeliveryReport>> shared = sendToHanging(byMx, limits.build(), 30);
            // whoever waits for a smart host keeps nobody else from leaving
            List<CompletableFuture<DeliveryReport>> alone =
                    sendToHanging(byMx, limits.name("alone").to(hanging).build(), 30);
            await().atMost(PATIENCE).untilAsserted(() -> assertThat(hanging.sessions())
                    .hasSize(4)
                    .allMatch(session -> session.commands().contains("DATA")));

            // it is only slow so far
            clock.forward(Duration.ofSeconds(50));
            await().during(Duration.ofSeconds(1)).atMost(PATIENCE).until(() -> shared.stream()
                    .noneMatch(CompletableFuture::isDone));
            clock.forward(Duration.ofSeconds(70));

            await().atMost(PATIENCE)
                    .untilAsserted(() -> assertThat(shared.stream().filter(CompletableFuture::isDone))
                            .hasSize(26));
            assertThat(shared.stream().filter(CompletableFuture::isDone)).allSatisfy(report -> assertThat(
                            report.join().outcomes().values())
                    .allSatisfy(outcome -> {
                        assertThat(((Deferred) outcome).reason()).contains("has made no progress for 60 s or more");
                        assertThat(((Deferred) outcome).turnedAway()).isTrue();
                    }));
            assertThat(alone).noneMatch(CompletableFuture::isDone);
        }
    }

    /** No connection is new and no message is over, but replies come. */
    @Test
    void destinationThatAnswersShouldNotHang() {
        SettableClock clock = new SettableClock(Instant.parse("2026-11-23T12:00:00Z"));
        CountDownLatch later = new CountDownLatch(1);
        try (var slow = ScriptedSmtpPeer.builder()
                        .always("DATA", Action.when(later))
                        .always("BODY", Action.swallow())
                        .start();
                var dns = LocalDns.start()
                        .mx("hanging.test", 10, "mx.hanging.test")
                        .a("mx.hanging.test", "127.0.0.1");
                var byMx = Outbound.start(Outbound.config()
                        .resolver(dns.resolver())
                        .mxPort(slow.port())
                        .timeouts(SmtpTimeouts.DEFAULT)
                        .clock(clock)
                        .build())) {
            List<CompletableFuture<DeliveryReport>> all =
                    sendToHanging(byMx, connector().limits(4, 2, 100, IDLE).build(), 12);
            await().atMost(PATIENCE)
                    .untilAsserted(() -> assertThat(slow.sessions()).hasSize(2).allMatch(session -> session.commands()
                            .contains("DATA")));
            clock.forward(Duration.ofSeconds(50));
            later.countDown();
            await().atMost(PATIENCE).until(() -> slow.messages().size() == 2);
            clock.forward(Duration.ofSeconds(30));

            await().during(Duration.ofSeconds(1)).atMost(PATIENCE).until(() -> all.stream()
                    .noneMatch(CompletableFuture::isDone));
        }
    }

    private static List<CompletableFuture<DeliveryReport>> sendToHanging(
            Outbound from, OutboundConnector connector, int messages) {
        List<CompletableFuture<DeliveryReport>> reports = new ArrayList<>();
        for (int i = 0; i < messages; i++) {
            reports.add(from.transport()
                    .send(connector, connector.tls(), Outbound.message(address("x@hanging.test")))
                    .toCompletableFuture());
        }
        return reports;
    }

    @Test
    void manyDestinationsShouldShareFewConnectionsFairly() {
        try (var peer = ScriptedSmtpPeer.builder().start();
                var dns = LocalDns.start();
                var byMx = Outbound.start(Outbound.config()
                        .resolver(dns.resolver())
                        .mxPort(peer.port())
                        .build())) {
            var connector = connector().limits(3, 2, 100, IDLE).build();
            List<CompletableFuture<DeliveryReport>> reports = new ArrayList<>();
            for (int domain = 0; domain < 30; domain++) {
                dns.mx("d" + domain + ".test", 10, "mx" + domain + ".test").a("mx" + domain + ".test", "127.0.0.1");
                for (int i = 0; i < 5; i++) {
                    reports.add(byMx.transport()
                            .send(connector, connector.tls(), Outbound.message(address("x@d" + domain + ".test")))
                            .toCompletableFuture()
                            .orTimeout(30, TimeUnit.SECONDS));
                }
            }
            assertDelivered(reports.stream().map(CompletableFuture::join).toList());
            assertThat(peer.mostOpenConnections()).isLessThanOrEqualTo(3);
        }
    }

    @Test
    void waitForAConnectionShouldEndInTime() {
        try (var peer = ScriptedSmtpPeer.builder()
                        .always("BODY", Action.silence())
                        .start();
                var impatient = Outbound.start(Outbound.config()
                        .timeouts(new SmtpTimeouts(
                                Duration.ofSeconds(5),
                                Duration.ofSeconds(5),
                                Duration.ofSeconds(5),
                                Duration.ofSeconds(5),
                                Duration.ofSeconds(5),
                                Duration.ofSeconds(5),
                                Duration.ofSeconds(5),
                                Duration.ofSeconds(5),
                                Duration.ofSeconds(10),
                                Duration.ofMillis(300)))
                        .build())) {
            var connector = connector().to(peer).limits(1, 1, 100, IDLE).build();
            var first = impatient
                    .transport()
                    .send(connector, connector.tls(), Outbound.message())
                    .toCompletableFuture();
            await().until(() -> !peer.sessions().isEmpty());

            assertThat(((Deferred) impatient.send(connector)).reason())
                    .contains("no connection of connector 'test' to")
                    .contains("limits: 1 connections");
            assertThat(first).isNotDone();
        }
    }

    @Test
    void closeShouldGiveEveryRecipientAnOutcomeAndLeaveNoThreadAndNoConnection() {
        try (var peer =
                ScriptedSmtpPeer.builder().always("BODY", Action.silence()).start()) {
            var connector = connector().to(peer).limits(2, 2, 100, IDLE).build();
            List<CompletableFuture<DeliveryReport>> reports = new ArrayList<>();
            for (int i = 0; i < 20; i++) {
                reports.add(outbound.transport()
                        .send(connector, connector.tls(), Outbound.message())
                        .toCompletableFuture());
            }
            await().until(() -> peer.openConnections() == 2);

            outbound.close();

            assertThat(reports).allSatisfy(report -> assertThat(report.orTimeout(30, TimeUnit.SECONDS)
                            .join()
                            .outcomes()
                            .values())
                    .allMatch(Deferred.class::isInstance));
            assertThat(outbound.transport().connections()).isZero();
            await().atMost(Duration.ofSeconds(30)).untilAsserted(() -> {
                assertThat(peer.openConnections()).isZero();
                assertThat(Thread.getAllStackTraces().keySet())
                        .noneMatch(thread -> thread.getName().startsWith("mailflow-delivery"));
            });
            assertThat(outbound.send(connector)).isInstanceOf(Deferred.class);
        }
    }
}
