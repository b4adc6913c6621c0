/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntFunction;

/** A gateway with its load and its next hop, on which one thing after the other is measured. */
final class SteadyRun {
    private static final long PATIENCE = TimeUnit.MINUTES.toNanos(2);

    private final GatewayProcess gateway;
    private final TimingSink sink;
    private final AtomicLongArray accepted;
    private final int senders;
    private final int bytes;
    private int sent;

    /** @param most messages in all measurements together */
    SteadyRun(GatewayProcess gateway, TimingSink sink, int most, int senders, int bytes) {
        this.gateway = gateway;
        this.sink = sink;
        this.accepted = new AtomicLongArray(most);
        this.senders = senders;
        this.bytes = bytes;
    }

    /** Numbers of messages, the last one not included. */
    record Range(int from, int to) {}

    /**
     * Sends messages and waits until all have arrived.
     *
     * @param perSecond 0: as fast as the gateway takes them
     */
    Range send(int messages, double perSecond, IntFunction<String> recipient) {
        Range range = new Range(sent, sent + messages);
        sent = range.to();
        new NumberedLoad(gateway.port(), senders, bytes, recipient, accepted).send(range.from(), range.to(), perSecond);
        long deadline = System.nanoTime() + PATIENCE;
        while (sink.messages() - sink.repeated() < sent) {
            if (System.nanoTime() - deadline > 0) {
                throw new BenchmarkFailure("%d of %d messages arrived; the end of the gateway's log:%n%s"
                        .formatted(sink.messages(), sent, gateway.process().lastLog()));
            }
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
        }
        if (sink.repeated() > 0) {
            throw new BenchmarkFailure(sink.repeated() + " messages arrived twice");
        }
        return range;
    }

    /** Messages per second, from the first that was accepted to the last that arrived. */
    double rate(Range range) {
        long first = Long.MAX_VALUE;
        long last = Long.MIN_VALUE;
        for (int number = range.from(); number < range.to(); number++) {
            first = Math.min(first, accepted.get(number));
            last = Math.max(last, sink.takenAt(number));
        }
        return (range.to() - range.from()) * (double) TimeUnit.SECONDS.toNanos(1) / (last - first);
    }

    /** From the {@code 250} of the gateway to the {@code 250} of the next hop, sorted, nanoseconds; a mail may overtake its reply. */
    long[] latencies(Range range) {
        long[] latencies = new long[range.to() - range.from()];
        for (int i = 0; i < latencies.length; i++) {
            latencies[i] = Math.max(0, sink.takenAt(range.from() + i) - accepted.get(range.from() + i));
        }
        Arrays.sort(latencies);
        return latencies;
    }

    /** Of the gateway's process: kibibytes by a field of {@code /proc/PID/status}. */
    static long kibibytes(GatewayProcess gateway, String field) {
        Path status = Path.of("/proc", Long.toString(gateway.process().pid()), "status");
        try {
            return Files.readAllLines(status).stream()
                    .filter(line -> line.startsWith(field + ":"))
                    .map(line -> line.replaceAll("\\D", ""))
                    .mapToLong(Long::parseLong)
                    .findFirst()
                    .orElseThrow(() -> new BenchmarkFailure("found no " + field + " in " + status));
        } catch (IOException e) {
            throw new BenchmarkFailure("cannot read " + status + ": " + e.getMessage(), e);
        }
    }

    static String milliseconds(long[] sorted, double share) {
        int index = (int) Math.min(sorted.length - 1L, Math.round(Math.ceil(share * sorted.length)) - 1);
        return String.format(Locale.ROOT, "%.1f ms", sorted[Math.max(0, index)] / 1e6);
    }
}
