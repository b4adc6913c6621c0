/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.PrintWriter;
import java.util.Locale;
import java.util.concurrent.Callable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/**
 * {@code bin/bench latency}: how long a message is in the gateway, from its {@code 250} to the next hop's, at half of the
 * rate that the gateway sustains in the same run.
 */
@Command(
        name = "bench latency",
        description = "Measures the time from 250 in to 250 out at half load, plaintext, durable queue.",
        sortOptions = false,
        showDefaultValues = true,
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:measured", "1:something is missing or did not arrive", "2:wrong usage"})
final class LatencyBenchmark implements Callable<Integer> {
    private static final double HALF = 0.5;

    @Spec
    private CommandSpec spec;

    @Mixin
    private SteadyLoad load;

    @Override
    public Integer call() {
        try (Workbench workbench = Workbench.in(load.directory, false)) {
            int capacityMessages = load.messages / 2;
            int most = load.warmup + capacityMessages + load.messages;
            TimingSink sink = TimingSink.start(workbench, most);
            GatewayProcess gateway = GatewayProcess.start(
                    workbench, "gateway", DestinationsBenchmark.smartHost(sink.port()), conf -> {});
            SteadyRun run = new SteadyRun(gateway, sink, most, load.senders, load.size);
            run.send(load.warmup, 0, number -> "b@plain.test");
            double capacity = run.rate(run.send(capacityMessages, 0, number -> "b@plain.test"));
            SteadyRun.Range half = run.send(load.messages, capacity * HALF, number -> "b@plain.test");
            long[] latencies = run.latencies(half);
            PrintWriter out = spec.commandLine().getOut();
            out.printf(
                    Locale.ROOT,
                    "From 250 in to 250 out: %d messages of %d bytes, %d senders; the gateway sustains %.0f messages/s,"
                            + " half of it was sent (%.0f)%n%n"
                            + "  50 %%  %s%n  95 %%  %s%n  99 %%  %s%n 100 %%  %s%n",
                    load.messages,
                    load.size,
                    load.senders,
                    capacity,
                    run.rate(half),
                    SteadyRun.milliseconds(latencies, 0.50),
                    SteadyRun.milliseconds(latencies, 0.95),
                    SteadyRun.milliseconds(latencies, 0.99),
                    SteadyRun.milliseconds(latencies, 1));
            out.flush();
        }
        return 0;
    }
}
