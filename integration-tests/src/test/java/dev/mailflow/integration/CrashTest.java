/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;

/** The gateway as a process of its own, killed and stopped with mail on its way. */
class CrashTest {
    private static final int MESSAGES = 1_000;
    /** Attempts of a connector that are under way at once: five for each of its 20 connections. */
    private static final int IN_FLIGHT = 100;

    private static final Pattern SUBJECT = Pattern.compile("Subject: (\\S+)");

    @Test
    void allMailShouldArriveWhenTheGatewayIsKilledInTheMiddle(@TempDir Path directory) throws Exception {
        try (ScriptedSmtpPeer peer = ScriptedSmtpPeer.builder().start()) {
            FixedPorts ports = FixedPorts.free();
            int port = ports.smtp();
            Path conf = configuration(directory, peer.port(), ports);
            Set<String> accepted = new TreeSet<>();
            AtomicInteger arrivedBeforeTheKill = new AtomicInteger();
            try (ForkedProcess gateway = gateway(directory, conf)) {
                awaitReady(gateway);
                CompletableFuture<Void> killed = CompletableFuture.runAsync(() -> {
                    GatewayScenario.await().until(() -> peer.messages().size() >= MESSAGES / 4);
                    arrivedBeforeTheKill.set(peer.messages().size());
                    try {
                        gateway.kill();
                    } catch (InterruptedException e) {
                        Thread.currentThread().interrupt();
                    }
                });
                accepted.addAll(sendUntilItDies(port, 0));
                killed.get(60, TimeUnit.SECONDS);
            }
            assertThat(accepted.size()).as("accepted before the kill").isGreaterThanOrEqualTo(MESSAGES / 4);

            try (ForkedProcess gateway = gateway(directory, conf)) {
                awaitReady(gateway);
                accepted.addAll(sendUntilItDies(port, accepted.size()));
                assertThat(accepted).hasSize(MESSAGES);
                GatewayScenario.await().atMost(120, TimeUnit.SECONDS).untilAsserted(() -> assertThat(subjects(peer))
                        .containsAll(accepted));
                assertThat(gateway.terminate(60)).as(gateway.output()).isEqualTo(143);
            }
            assertOnlyThoseInFlightAreDoubled(peer, arrivedBeforeTheKill.get());
        }
    }

    /** A mail may come twice only if its first delivery was not yet written down. */
    private static void assertOnlyThoseInFlightAreDoubled(ScriptedSmtpPeer peer, int arrivedBeforeTheKill) {
        List<String> arrived = inOrder(peer);
        List<String> settled = arrived.subList(0, Math.max(0, arrivedBeforeTheKill - IN_FLIGHT));
        assertThat(settled).allSatisfy(subject -> assertThat(Collections.frequency(arrived, subject))
                .as(subject)
                .isEqualTo(1));
    }

    @Test
    void nothingShouldBeLostOrDoubledWhenTheGatewayIsStopped(@TempDir Path directory) throws Exception {
        try (ScriptedSmtpPeer peer = ScriptedSmtpPeer.builder().start()) {
            FixedPorts ports = FixedPorts.free();
            int port = ports.smtp();
            Path conf = configuration(directory, peer.port(), ports);
            Set<String> accepted = new TreeSet<>();
            try (ForkedProcess gateway = gateway(directory, conf)) {
                awaitReady(gateway);
                for (int i = 0; i < 50; i++) {
                    send(port, "stop-" + i);
                    accepted.add("stop-" + i);
                }
                assertThat(gateway.terminate(60)).as(gateway.output()).isEqualTo(143);
            }
            try (ForkedProcess gateway = gateway(directory, conf)) {
                awaitReady(gateway);
                GatewayScenario.await()
                        .untilAsserted(() -> assertThat(subjects(peer)).containsAll(accepted));
                assertThat(peer.messages()).hasSameSizeAs(accepted);
            }
        }
    }

    private static Path configuration(Path directory, int peer, FixedPorts ports) {
        return ports.in(GatewayScenario.in(directory))
                .policy(
                        """
                        <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                        <outboundConnectors>
                          <outboundConnector name="out" type="partner">
                            <recipientDomain>fabrikam.com</recipientDomain>
                            <smartHost>127.0.0.1:%d</smartHost>
                            <tls level="none"/>
                          </outboundConnector>
                        </outboundConnectors>"""
                                .formatted(peer))
                .configuration();
    }

    static ForkedProcess gateway(Path directory, Path conf) {
        return ForkedProcess.java(
                directory,
                directory.resolve("output.txt"),
                System.getProperty("java.class.path"),
                "dev.mailflow.gateway.GatewayMain",
                List.of(
                        "--conf",
                        conf.toString(),
                        "--data",
                        directory.resolve("data").toString()));
    }

    static void awaitReady(ForkedProcess gateway) {
        long before = readiness(gateway);
        GatewayScenario.await().until(() -> {
            if (!gateway.isAlive()) {
                throw new AssertionError("the gateway did not start:\n" + gateway.output());
            }
            return readiness(gateway) > before;
        });
    }

    private static long readiness(ForkedProcess gateway) {
        return gateway.output().lines().filter(line -> line.contains("swaks")).count();
    }

    private static void send(int port, String subject) throws Exception {
        new SmtpSender("127.0.0.1", port)
                .send("joe@contoso.com", List.of("jane@fabrikam.com"), SmtpSender.message(subject));
    }

    /** Subjects of the messages that the gateway took, which is a promise. */
    private static Set<String> sendUntilItDies(int port, int from) {
        Set<String> accepted = new TreeSet<>();
        try (SmtpSender.Session session = new SmtpSender("127.0.0.1", port).open()) {
            for (int i = from; i < MESSAGES; i++) {
                String subject = "crash-" + i;
                session.send("joe@contoso.com", List.of("jane@fabrikam.com"), SmtpSender.message(subject));
                accepted.add(subject);
            }
        } catch (java.io.IOException e) {
            // killed: what was not accepted was not promised
            return accepted;
        }
        return accepted;
    }

    private static Set<String> subjects(ScriptedSmtpPeer peer) {
        return new TreeSet<>(inOrder(peer));
    }

    private static List<String> inOrder(ScriptedSmtpPeer peer) {
        return peer.messages().stream()
                .map(message -> SUBJECT.matcher(message.text()))
                .filter(Matcher::find)
                .map(matcher -> matcher.group(1))
                .toList();
    }
}
