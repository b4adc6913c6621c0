/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import com.google.common.collect.Sets;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;

/** The gateway as a process of its own, killed and stopped with mail on its way. */
class CrashTest {
    private static final int KILLS = 3;
    /** Accepted after a start before the gateway is killed again, at least. */
    private static final int UNDER_LOAD = 40;
    /** Attempts of a connector that are under way at once: five for each of its 20 connections. */
    private static final int IN_FLIGHT = 100;
    /** The first attempts at the busy next hop are put off. */
    private static final int PUT_OFF = 300;
    /** Every so many messages one is large enough to be a file of its own. */
    private static final int LARGE_EVERY = 40;

    private static final int LARGE_BYTES = 400_000;

    private static final Pattern SUBJECT = Pattern.compile("Subject: (\\S+)");

    /** Where mail goes, and what it waits for there. */
    private record NextHop(String name, ScriptedSmtpPeer peer) implements AutoCloseable {
        List<String> arrived() {
            return inOrder(peer);
        }

        @Override
        public void close() {
            peer.close();
        }
    }

    private static List<NextHop> nextHops() {
        Action[] putOff =
                Collections.nCopies(PUT_OFF, Action.reply("451 4.3.2 later")).toArray(Action[]::new);
        return List.of(
                new NextHop("ready", ScriptedSmtpPeer.builder().start()),
                new NextHop(
                        "busy", ScriptedSmtpPeer.builder().on("RCPT", putOff).start()),
                new NextHop(
                        "slow",
                        ScriptedSmtpPeer.builder()
                                .always("BODY", Action.delay(Duration.ofMillis(150)))
                                .start()));
    }

    @Test
    @Timeout(150)
    void allMailShouldArriveHoweverOftenTheGatewayIsKilled(@TempDir Path directory) throws Exception {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        List<NextHop> hops = nextHops();
        ExecutorService threads = Executors.newCachedThreadPool();
        try {
            FixedPorts ports = FixedPorts.free();
            Path conf = configuration(directory, hops, ports);
            Set<String> accepted = new TreeSet<>();
            // how much had arrived at each next hop when the gateway was killed
            List<Map<NextHop, Integer>> kills = new ArrayList<>();
            List<Integer> underWay = new ArrayList<>();
            List<Long> starts = new ArrayList<>();
            for (int kill = 0; kill < KILLS; kill++) {
                try (ForkedProcess gateway = gateway(directory, conf)) {
                    starts.add(awaitReady(gateway));
                    // from the first mails on, for how long a start takes nobody can tell
                    CountDownLatch underLoad = new CountDownLatch(UNDER_LOAD);
                    List<CompletableFuture<Set<String>>> senders = new ArrayList<>();
                    for (NextHop hop : hops) {
                        String round = kill + "-" + hop.name();
                        senders.add(CompletableFuture.supplyAsync(
                                () -> sendUntilItDies(ports.smtp(), hop, round, underLoad), threads));
                    }
                    assertThat(underLoad.await(60, TimeUnit.SECONDS))
                            .as(gateway.output())
                            .isTrue();
                    kills.add(CompletableFuture.supplyAsync(
                                    () -> kill(gateway, hops),
                                    CompletableFuture.delayedExecutor(random.nextInt(1_500), TimeUnit.MILLISECONDS))
                            .get(60, TimeUnit.SECONDS));
                    for (CompletableFuture<Set<String>> sender : senders) {
                        accepted.addAll(sender.get(60, TimeUnit.SECONDS));
                    }
                    underWay.add(Sets.difference(accepted, arrived(hops)).size());
                }
            }
            assertThat(accepted).as("seed " + seed).hasSizeGreaterThanOrEqualTo(KILLS * UNDER_LOAD);
            assertThat(underWay)
                    .as("mails that were accepted and had not arrived, at each kill, seed " + seed)
                    .allSatisfy(mails -> assertThat(mails).isPositive());

            try (ForkedProcess gateway = gateway(directory, conf)) {
                starts.add(awaitReady(gateway));
                GatewayScenario.await().atMost(60, TimeUnit.SECONDS).untilAsserted(() -> assertThat(arrived(hops))
                        .as("seed " + seed)
                        .containsAll(accepted));
                assertThat(gateway.terminate(60)).as(gateway.output()).isEqualTo(143);
            }
            long doubled = hops.stream()
                    .mapToLong(hop -> doubled(hop.arrived()).size())
                    .sum();
            System.out.printf(
                    "%d mails accepted, %d kills with %s of them under way, %d came twice, ready after %s ms%n",
                    accepted.size(), KILLS, underWay, doubled, starts);
            for (NextHop hop : hops) {
                assertOnlyThoseInFlightAreDoubled(
                        hop, kills.stream().map(kill -> kill.get(hop)).toList());
            }
            assertThat(starts.get(KILLS)).as("start after a kill, ms").isLessThan(2 * starts.get(0) + 30_000);
            try (Stream<Path> contents = Files.list(directory.resolve("data/queue/content"))) {
                assertThat(contents).as("files of delivered mail").isEmpty();
            }
        } finally {
            threads.shutdownNow();
            hops.forEach(NextHop::close);
        }
    }

    private static Map<NextHop, Integer> kill(ForkedProcess gateway, List<NextHop> hops) {
        try {
            gateway.kill();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return hops.stream()
                .collect(Collectors.toMap(
                        hop -> hop, hop -> hop.peer().messages().size()));
    }

    private static Set<String> arrived(List<NextHop> hops) {
        return hops.stream().flatMap(hop -> hop.arrived().stream()).collect(Collectors.toSet());
    }

    private static Set<String> doubled(List<String> arrived) {
        Set<String> once = new HashSet<>();
        return arrived.stream().filter(subject -> !once.add(subject)).collect(Collectors.toSet());
    }

    /** A mail may come twice only if its first delivery was not yet written down: it came just before a kill. */
    private static void assertOnlyThoseInFlightAreDoubled(NextHop hop, List<Integer> arrivedAtKills) {
        List<String> arrived = hop.arrived();
        assertThat(doubled(arrived)).as(hop.name()).allSatisfy(subject -> {
            int first = arrived.indexOf(subject);
            assertThat(arrivedAtKills)
                    .as(subject + " came first as number " + first)
                    .anySatisfy(killed -> assertThat(first)
                            .isBetween(killed - IN_FLIGHT, killed + hop.peer().mostOpenConnections()));
            assertThat(Collections.frequency(arrived, subject)).as(subject).isLessThanOrEqualTo(KILLS);
        });
    }

    @Test
    void nothingShouldBeLostOrDoubledWhenTheGatewayIsStopped(@TempDir Path directory) throws Exception {
        try (ScriptedSmtpPeer peer = ScriptedSmtpPeer.builder().start()) {
            FixedPorts ports = FixedPorts.free();
            int port = ports.smtp();
            Path conf = configuration(directory, List.of(new NextHop("ready", peer)), ports);
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

    private static Path configuration(Path directory, List<NextHop> hops, FixedPorts ports) {
        String connectors = hops.stream()
                .map(hop ->
                        """
                        <outboundConnector name="%s" type="partner">
                          <recipientDomain>%s.test</recipientDomain>
                          <smartHost>127.0.0.1:%d</smartHost>
                          <tls level="none"/>
                          <retry schedule="1s" warnAfter="1h" expireAfter="1d"/>
                        </outboundConnector>"""
                                .formatted(hop.name(), hop.name(), hop.peer().port()))
                .collect(Collectors.joining());
        return ports.in(GatewayScenario.in(directory))
                .policy("<acceptedDomains><domain>contoso.com</domain></acceptedDomains><outboundConnectors>"
                        + connectors + "</outboundConnectors>")
                .configuration();
    }

    static ForkedProcess gateway(Path directory, Path conf) {
        return ForkedProcess.start(directory, directory.resolve("output.txt"), gatewayCommand(directory, conf));
    }

    /** What runs a gateway, for those who start it by another program. */
    static List<String> gatewayCommand(Path directory, Path conf) {
        return ForkedProcess.javaCommand(
                directory,
                System.getProperty("java.class.path"),
                "dev.mailflow.gateway.GatewayMain",
                List.of(
                        "--conf",
                        conf.toString(),
                        "--data",
                        directory.resolve("data").toString()));
    }

    /** @return milliseconds since the call */
    static long awaitReady(ForkedProcess gateway) {
        long start = System.nanoTime();
        long before = readiness(gateway);
        GatewayScenario.await().until(() -> {
            if (!gateway.isAlive()) {
                throw new AssertionError("the gateway did not start:\n" + gateway.output());
            }
            return readiness(gateway) > before;
        });
        return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start);
    }

    private static long readiness(ForkedProcess gateway) {
        return gateway.output().lines().filter(line -> line.contains("swaks")).count();
    }

    private static void send(int port, String subject) throws Exception {
        new SmtpSender("127.0.0.1", port)
                .send("joe@contoso.com", List.of("jane@ready.test"), SmtpSender.message(subject));
    }

    /** Subjects of the messages that the gateway took, which is a promise. */
    private static Set<String> sendUntilItDies(int port, NextHop hop, String round, CountDownLatch underLoad) {
        Set<String> accepted = new TreeSet<>();
        try (SmtpSender.Session session = new SmtpSender("127.0.0.1", port).open()) {
            for (int i = 0; ; i++) {
                String subject = "crash-" + round + "-" + i;
                String body = i % LARGE_EVERY == 1 ? "0123456789\r\n".repeat(LARGE_BYTES / 12) : "";
                session.send(
                        "joe@contoso.com", List.of("jane@" + hop.name() + ".test"), SmtpSender.message(subject) + body);
                accepted.add(subject);
                underLoad.countDown();
            }
        } catch (IOException e) {
            // killed: what was not accepted was not promised
            return accepted;
        }
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
