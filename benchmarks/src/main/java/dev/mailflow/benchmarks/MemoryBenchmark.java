/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.IOException;
import java.io.PrintWriter;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * {@code bin/bench memory}: whether large messages pass a gateway with a small heap, and whether it answers others meanwhile.
 * Running out of memory ends the gateway at once, and with it the measurement.
 */
@Command(
        name = "bench memory",
        description = "Relays large messages through a gateway with a small heap, and asks for its greeting meanwhile.",
        sortOptions = false,
        showDefaultValues = true,
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:measured", "1:something is missing or did not arrive", "2:wrong usage"})
final class MemoryBenchmark implements Callable<Integer> {
    private static final long PROBE_MILLIS = 100;
    private static final int PROBE_PATIENCE_MILLIS = 60_000;

    @Spec
    private CommandSpec spec;

    @Option(names = "--messages", defaultValue = "200", description = "messages")
    private int messages;

    @Option(names = "--senders", defaultValue = "20", description = "parallel senders")
    private int senders;

    @Option(names = "--size", defaultValue = "25000000", description = "bytes in a message's body")
    private int size;

    @Option(names = "--heap", defaultValue = "512", description = "mebibytes")
    private int heap;

    @Option(names = "--timeout", defaultValue = "170", description = "seconds that it may take")
    private int timeout;

    @Option(names = "--directory", defaultValue = "/var/tmp", description = "where queues are; a disk, not memory")
    private Path directory;

    // picocli acts on it
    @SuppressWarnings("UnusedVariable")
    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "show this text")
    private boolean help;

    @Override
    public Integer call() throws Exception {
        try (Workbench workbench = Workbench.in(directory, false)) {
            CountingSink sink = CountingSink.start(workbench, Transport.PLAIN);
            GatewayProcess gateway = GatewayProcess.start(
                    workbench,
                    "gateway",
                    DestinationsBenchmark.smartHost(sink.port()),
                    conf -> {},
                    List.of("-Xmx" + heap + "m"));
            Probe probe = new Probe(gateway.port());
            Thread probing = new Thread(probe, "probe");
            probing.start();
            long start = System.nanoTime();
            long deadline = start + TimeUnit.SECONDS.toNanos(timeout);
            try (Forked source = workbench.add(Forked.start(
                    "smtp-source",
                    workbench.directory(),
                    List.of(
                            DebianTool.SMTP_SOURCE.path(),
                            "-s",
                            String.valueOf(senders),
                            "-m",
                            String.valueOf(messages),
                            "-l",
                            String.valueOf(size),
                            "-f",
                            "a@contoso.com",
                            "-t",
                            "b@plain.test",
                            "127.0.0.1:" + gateway.port())))) {
                if (!sink.counter().await(messages, deadline, () -> {
                    source.checkNotFailed();
                    gateway.process().checkNotFailed();
                })) {
                    throw new BenchmarkFailure(
                            "%d of %d messages arrived within %d s; the end of the gateway's log:%n%s"
                                    .formatted(
                                            sink.counter().messages(),
                                            messages,
                                            timeout,
                                            gateway.process().lastLog()));
                }
                double seconds = (System.nanoTime() - start) / 1e9;
                probing.interrupt();
                probing.join();
                PrintWriter out = spec.commandLine().getOut();
                out.printf(
                        Locale.ROOT,
                        "%d messages of %d bytes through a heap of %d MiB in %.0f s (%.0f MB/s); most memory of the process:"
                                + " %d MiB; slowest greeting of %d: %.0f ms%n",
                        messages,
                        size,
                        heap,
                        seconds,
                        messages * (double) size / 1e6 / seconds,
                        SteadyRun.kibibytes(gateway, "VmHWM") / 1024,
                        probe.greetings,
                        probe.slowestNanos / 1e6);
                out.flush();
            }
        }
        return 0;
    }

    /** Connects again and again and waits for the greeting. */
    private static final class Probe implements Runnable {
        private final int port;
        private volatile long slowestNanos;
        private volatile int greetings;

        private Probe(int port) {
            this.port = port;
        }

        @Override
        @SuppressWarnings("NonAtomicVolatileUpdate") // one thread writes
        public void run() {
            try {
                while (!Thread.currentThread().isInterrupted()) {
                    long start = System.nanoTime();
                    greet();
                    slowestNanos = Math.max(slowestNanos, System.nanoTime() - start);
                    greetings++;
                    TimeUnit.MILLISECONDS.sleep(PROBE_MILLIS);
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        private void greet() {
            try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
                socket.setSoTimeout(PROBE_PATIENCE_MILLIS);
                socket.getInputStream().readNBytes(3);
            } catch (IOException e) {
                slowestNanos = TimeUnit.MILLISECONDS.toNanos(PROBE_PATIENCE_MILLIS);
            }
        }
    }
}
