/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.util.List;
import java.util.concurrent.TimeUnit;

/** Sends a load through a relay and times it. */
final class Measurement {
    /** Later than this nothing comes that belongs to the load, unless a relay sends twice. */
    private static final long QUIET_MILLIS = 300;

    private final Workbench workbench;
    private final NextHops nextHops;
    private final Load load;

    Measurement(Workbench workbench, NextHops nextHops, Load load) {
        this.workbench = workbench;
        this.nextHops = nextHops;
        this.load = load;
    }

    /**
     * Messages per second from the start of the load until its last message reached the next hop. Throws {@link
     * BenchmarkFailure} if messages are missing after the timeout, or arrive twice.
     */
    double of(Relay relay, Transport transport) {
        SinkCounter counter = nextHops.counter(transport);
        String what = relay.system().label() + " " + transport.label();
        try {
            long before = counter.awaitQuiet(QUIET_MILLIS, System.nanoTime() + TimeUnit.SECONDS.toNanos(5));
            long start = System.nanoTime();
            long deadline = start + load.timeout().toNanos();
            SmtpSource senders = new SmtpSource(load, "a@contoso.com", "b@" + transport.domain(), List.of());
            try (Forked source = senders.start(workbench, relay.port())) {
                if (!counter.await(before + load.messages(), deadline, source::checkNotFailed)) {
                    throw new BenchmarkFailure("%s: %d of %d messages arrived within %d s; the end of its log:%n%s"
                            .formatted(
                                    what,
                                    counter.messages() - before,
                                    load.messages(),
                                    load.timeout().toSeconds(),
                                    relay.lastLog()));
                }
                long elapsed = System.nanoTime() - start;
                source.awaitSuccess(load.timeout());
                long arrived = counter.awaitQuiet(QUIET_MILLIS, deadline) - before;
                if (arrived != load.messages()) {
                    throw new BenchmarkFailure("%s: %d messages were sent and %d arrived; the end of its log:%n%s"
                            .formatted(what, load.messages(), arrived, relay.lastLog()));
                }
                return load.messages() * (double) TimeUnit.SECONDS.toNanos(1) / elapsed;
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new BenchmarkFailure("interrupted while measuring " + what, e);
        }
    }
}
