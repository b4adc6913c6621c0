/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryType;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.DeliveryConfig;
import dev.mailflow.delivery.DeliveryReport;
import dev.mailflow.delivery.MessageContent;
import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.RecipientOutcome.Delivered;
import dev.mailflow.delivery.testing.Connectors;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.SmartHost;

/**
 * 200 messages of 25 MB, each half on its way at the same moment, in a process of its own with 512 MB of heap. The sink
 * takes a part of each message, waits until it has that of all, then takes a few whole and drops the others, so that
 * the test need not move 5 GB.
 */
class LargeMessagesInFlightTest {
    private static final int MESSAGES = 200;
    private static final int SIZE = 25 * 1024 * 1024;
    private static final int TAKEN_BEFORE = 2 * 1024 * 1024;
    private static final int TAKEN_WHOLE = 4;

    /** The process under test: arguments are the sink's port and the file with the message. */
    public static final class Sender {
        private Sender() {}

        public static void main(String[] args) throws Exception {
            Path file = Path.of(args[1]);
            MessageContent content = new MessageContent() {
                @Override
                public long size() {
                    return SIZE;
                }

                @Override
                public InputStream open() throws IOException {
                    return Files.newInputStream(file);
                }
            };
            OutboundConnector connector = Connectors.connector()
                    .to(new SmartHost("127.0.0.1", Integer.parseInt(args[0]), 10, 1))
                    .limits(MESSAGES, MESSAGES, 100, Duration.ofSeconds(30))
                    .build();
            long delivered;
            try (PooledSmtpTransport transport = new PooledSmtpTransport(
                    DeliveryConfig.builder("gateway.contoso.com").build())) {
                List<CompletableFuture<DeliveryReport>> reports = IntStream.range(0, MESSAGES)
                        .mapToObj(i -> transport
                                .send(
                                        connector,
                                        connector.tls(),
                                        OutboundMessage.of(
                                                "m" + i,
                                                Optional.of(Outbound.SENDER),
                                                List.of(Outbound.RECIPIENT),
                                                content))
                                .toCompletableFuture())
                        .toList();
                delivered = reports.stream()
                        .filter(report -> report.join().outcomes().get(Outbound.RECIPIENT) instanceof Delivered)
                        .count();
            }
            long peak = ManagementFactory.getMemoryPoolMXBeans().stream()
                    .filter(pool -> pool.getType() == MemoryType.HEAP)
                    .mapToLong(pool -> pool.getPeakUsage().getUsed())
                    .sum();
            System.out.println("delivered=" + delivered + " peakHeapMB=" + peak / 1024 / 1024);
        }
    }

    /** Takes mail and keeps none of it. */
    private static final class Sink implements AutoCloseable {
        private final ServerSocket server = new ServerSocket(0, MESSAGES, InetAddress.getLoopbackAddress());
        private final ExecutorService threads = Executors.newCachedThreadPool();
        private final CountDownLatch halfWay = new CountDownLatch(MESSAGES);
        private final CountDownLatch whole = new CountDownLatch(TAKEN_WHOLE);

        Sink() throws IOException {
            threads.execute(() -> {
                for (int i = 0; i < MESSAGES; i++) {
                    try {
                        Socket socket = server.accept();
                        boolean takesWhole = i < TAKEN_WHOLE;
                        threads.execute(() -> serve(socket, takesWhole));
                    } catch (IOException e) {
                        return;
                    }
                }
            });
        }

        private void serve(Socket socket, boolean takesWhole) {
            try (socket;
                    InputStream in = new BufferedInputStream(socket.getInputStream(), 16 * 1024)) {
                OutputStream out = socket.getOutputStream();
                say(out, "220 sink.test");
                for (String line = line(in); !line.startsWith("DATA"); line = line(in)) {
                    say(out, "250 ok");
                }
                say(out, "354 go on");
                in.skipNBytes(TAKEN_BEFORE);
                halfWay.countDown();
                halfWay.await(3, TimeUnit.MINUTES);
                if (takesWhole) {
                    String last = line(in);
                    while (!last.equals(".")) {
                        last = line(in);
                    }
                    say(out, "250 taken");
                    whole.countDown();
                    line(in);
                    say(out, "221 bye");
                } else {
                    whole.await(3, TimeUnit.MINUTES);
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        private static void say(OutputStream out, String line) throws IOException {
            out.write((line + "\r\n").getBytes(StandardCharsets.US_ASCII));
        }

        private static String line(InputStream in) throws IOException {
            StringBuilder line = new StringBuilder();
            for (int next = in.read(); next != '\n'; next = in.read()) {
                if (next < 0) {
                    throw new IOException("closed");
                }
                if (next != '\r') {
                    line.append((char) next);
                }
            }
            return line.toString();
        }

        @Override
        public void close() throws IOException {
            server.close();
            threads.shutdownNow();
        }
    }

    @Test
    void twoHundredLargeMessagesShouldNeedNoMoreThanHalfAGigabyteOfHeap(@TempDir Path directory) throws Exception {
        byte[] text = new byte[SIZE];
        Arrays.fill(text, (byte) 'x');
        for (int i = 76; i < SIZE; i += 77) {
            text[i] = '\n';
        }
        Path file = Files.write(directory.resolve("message"), text);
        Path log = directory.resolve("log");
        try (Sink sink = new Sink()) {
            Process sender = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin", "java")
                                    .toString(),
                            "-Xmx512m",
                            "-XX:+UseSerialGC",
                            "-XX:+ExitOnOutOfMemoryError",
                            "-cp",
                            System.getProperty("java.class.path"),
                            Sender.class.getName(),
                            String.valueOf(sink.server.getLocalPort()),
                            file.toString())
                    .redirectErrorStream(true)
                    .redirectOutput(log.toFile())
                    .start();
            try {
                assertThat(sender.waitFor(4, TimeUnit.MINUTES)).isTrue();
            } finally {
                sender.destroyForcibly();
            }
            assertThat(sender.exitValue()).as(Files.readString(log)).isZero();
            assertThat(sink.halfWay.getCount()).as("all at the same moment").isZero();
            assertThat(Files.readString(log)).contains("delivered=" + TAKEN_WHOLE);
            System.out.println(Files.readString(log).lines().reduce((a, b) -> b).orElse(""));
        }
    }
}
