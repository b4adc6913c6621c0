/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.integration.DoorClient.Way;
import dev.mailflow.policy.PolicyRepository;

/**
 * A million prefixes are replaced while mail comes in. Every list blocks 127.0.5.1 in its first line and 127.0.5.2 in its
 * last; the first list of all blocks 127.0.5.3 in the middle, the later ones 127.0.5.4: a verdict from half a list, or from
 * two, would let somebody in or refuse somebody.
 */
class ListReloadTest {
    private static final int PREFIXES = 1_000_000;
    private static final int PIECES = 20;
    private static final String BLOCKED_REPLY =
            "550 5.7.1 Service unavailable, client host [%s] blocked by connection filter";

    private static byte[] list(String inTheMiddle) {
        StringBuilder lines = new StringBuilder(32 << 20).append("127.0.5.1\n");
        for (int i = 0; i < PREFIXES; i++) {
            if (i == PREFIXES / 2) {
                lines.append(inTheMiddle).append('\n');
            }
            if (i % 3 == 0) {
                lines.append("2001:db8:").append(Integer.toHexString(i >> 8)).append(':');
                lines.append(Integer.toHexString(i & 0xff)).append("::/64\n");
            } else {
                lines.append("10.")
                        .append(i >> 16 & 0xff)
                        .append('.')
                        .append(i >> 8 & 0xff)
                        .append('.');
                lines.append(i & 0xff).append("/32\n");
            }
        }
        return lines.append("127.0.5.2\n").toString().getBytes(StandardCharsets.US_ASCII);
    }

    @Test
    @Timeout(300)
    void millionPrefixesShouldBeReplacedUnderLoadWithoutALostSessionOrAVerdictFromHalfAList(@TempDir Path directory)
            throws Exception {
        byte[] first = list("127.0.5.3");
        byte[] second = list("127.0.5.4");
        Path conf = GatewayScenario.in(directory)
                .policy(
                        """
                        <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                        <connectionFilter><blockFile>file://conf/block.txt</blockFile></connectionFilter>""")
                .configuration();
        Path list = conf.resolve("block.txt");
        Files.write(list, first);
        ExecutorService clients = Executors.newFixedThreadPool(5);
        AtomicBoolean goOn = new AtomicBoolean(true);
        AtomicInteger sessions = new AtomicInteger();
        Queue<String> ofTheMiddle = new ConcurrentLinkedQueue<>();
        try (GatewayScenario scenario = GatewayScenario.in(directory).start()) {
            scenario.gateway().addUser("joe@contoso.com", "secret");
            int port = scenario.gateway().port("smtp");
            PolicyRepository policies = scenario.gateway().instance(PolicyRepository.class);
            List<Future<?>> load = new ArrayList<>();
            for (String blocked : List.of("127.0.5.1", "127.0.5.2")) {
                load.add(clients.submit(during(goOn, sessions, () -> {
                    assertThat(mail(port, blocked)).isEqualTo(BLOCKED_REPLY.formatted(blocked));
                    return null;
                })));
            }
            load.add(clients.submit(during(goOn, sessions, () -> {
                try (DoorClient client = Way.plain("127.0.5.9").open(port)) {
                    assertThat(client.deliver("<a@example.test>", "joe@contoso.com", "Subject: 1\r\n\r\n"))
                            .startsWith("250");
                }
                return null;
            })));
            load.add(clients.submit(during(goOn, sessions, () -> {
                ofTheMiddle.add((mail(port, "127.0.5.3").startsWith("550") ? "3" : "")
                        + (mail(port, "127.0.5.4").startsWith("550") ? "4" : ""));
                return null;
            })));

            GatewayScenario.await().until(() -> ofTheMiddle.contains("3"));
            // at once, by rename
            String version = policies.current().version();
            Path other = conf.resolve("block.new");
            Files.write(other, second);
            Files.move(other, list, StandardCopyOption.ATOMIC_MOVE);
            version = newVersion(policies, version);
            GatewayScenario.await().until(() -> ofTheMiddle.contains("4"));
            // slowly and in place: for two seconds there is half a list
            try (OutputStream out = Files.newOutputStream(list)) {
                for (int piece = 0; piece < PIECES; piece++) {
                    int from = (int) ((long) first.length * piece / PIECES);
                    int to = (int) ((long) first.length * (piece + 1) / PIECES);
                    out.write(first, from, to - from);
                    assertThat(policies.current().version()).isEqualTo(version);
                    GatewayScenario.await()
                            .pollDelay(100, TimeUnit.MILLISECONDS)
                            .until(() -> true);
                }
            }
            version = newVersion(policies, version);
            // broken: the last good list stays
            Files.write(list, "127.0.5.4\n127.0.5.x\n".getBytes(StandardCharsets.US_ASCII));
            GatewayScenario.await().until(() -> !policies.pendingProblems().isEmpty());
            assertThat(policies.pendingProblems()).singleElement().asString().contains("block.txt:2", "127.0.5.x");
            assertThat(policies.current().version()).isEqualTo(version);

            goOn.set(false);
            for (Future<?> client : load) {
                client.get(60, TimeUnit.SECONDS);
            }
            assertThat(mail(port, "127.0.5.3")).startsWith("550");
        } finally {
            goOn.set(false);
            clients.shutdownNow();
        }
        assertThat(sessions.get()).isGreaterThan(20);
        // two MAILs may be on two sides of a change, one after which there is the other list: both or none are blocked
        // then
        assertThat(ofTheMiddle.stream().filter(seen -> seen.length() != 1).count())
                .isLessThanOrEqualTo(2);
    }

    private static String newVersion(PolicyRepository policies, String before) {
        return GatewayScenario.await().until(() -> policies.current().version(), version -> !version.equals(before));
    }

    private static Callable<Void> during(AtomicBoolean goOn, AtomicInteger sessions, Callable<Void> session) {
        return () -> {
            while (goOn.get()) {
                session.call();
                sessions.incrementAndGet();
            }
            return null;
        };
    }

    private static String mail(int port, String from) throws Exception {
        try (DoorClient client = Way.plain(from).open(port)) {
            return client.command("MAIL FROM:<a@example.test>");
        }
    }
}
