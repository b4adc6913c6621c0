/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * {@code bin/bench}: how many messages per second the gateway, stock James and Postfix relay on this machine. They run
 * at the same time and are measured in turn, round after round, so that what disturbs the machine disturbs all.
 */
@Command(
        name = "bench",
        description = "Measures relay throughput on loopback, side by side, and prints ratios of medians.",
        sortOptions = false,
        showDefaultValues = true,
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:measured", "1:something is missing or did not relay everything", "2:wrong usage"})
public final class RelayBenchmark implements Callable<Integer> {
    private static final int MOST_MESSAGES = 100_000;
    private static final int MOST_ROUNDS = 50;
    private static final int MOST_SENDERS = 200;
    private static final int MOST_BYTES = 10_000_000;
    private static final int MOST_SECONDS = 3_600;
    /** Of load average to processors; above it something else is at work. */
    private static final double QUIET = 0.25;

    @Spec
    private CommandSpec spec;

    @Option(
            names = "--systems",
            split = ",",
            defaultValue = "gateway,james,postfix,postfix-reuse",
            paramLabel = "SYSTEM",
            description = "of gateway, james, postfix, postfix-reuse; ratios are those of the first to the others")
    private List<String> systems;

    @Option(names = "--messages", defaultValue = "1000", description = "messages in each measurement")
    private int messages;

    @Option(names = "--rounds", defaultValue = "3", description = "measurements of each system")
    private int rounds;

    @Option(
            names = "--warm-up",
            defaultValue = "30",
            paramLabel = "SECONDS",
            description = "how long each system in Java relays before, with each transport; the others do it once")
    private int warmUp;

    @Option(names = "--size", defaultValue = "5000", description = "bytes in a message's body")
    private int size;

    @Option(names = "--senders", defaultValue = "20", description = "parallel senders")
    private int senders;

    @Option(
            names = "--tls-front",
            defaultValue = "stunnel",
            paramLabel = "FRONT",
            description = "who speaks STARTTLS for the next hop: stunnel, which greets after 200 ms, or immediate")
    private String tlsFront;

    @Option(names = "--timeout", defaultValue = "120", description = "seconds that a measurement may take")
    private int timeout;

    @Option(names = "--directory", defaultValue = "/var/tmp", description = "where queues are; a disk, not memory")
    private Path directory;

    @Option(names = "--keep", description = "leave configuration, queues and logs there")
    private boolean keep;

    @Option(names = "--json", description = "print for programs")
    private boolean json;

    // picocli acts on it
    @SuppressWarnings("UnusedVariable")
    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "show this text")
    private boolean help;

    /** Run by {@code bin/bench}, which sets the system property {@code mailflow.project} to the checkout. */
    public static void main(String[] arguments) {
        System.exit(new CommandLine(new RelayBenchmark())
                .addSubcommand("door", new DoorBenchmark())
                .addSubcommand("latency", new LatencyBenchmark())
                .addSubcommand("destinations", new DestinationsBenchmark())
                .addSubcommand("memory", new MemoryBenchmark())
                .setExecutionExceptionHandler((failure, command, parsed) -> {
                    if (!(failure instanceof BenchmarkFailure)) {
                        throw failure;
                    }
                    command.getErr().println("bench: " + failure.getMessage());
                    command.getErr().flush();
                    return 1;
                })
                .execute(arguments));
    }

    @Override
    public Integer call() {
        List<RelaySystem> chosen = chosen();
        TlsFront front = TlsFront.of(tlsFront)
                .orElseThrow(() -> wrong("--tls-front: found '" + tlsFront + "', expected one of "
                        + String.join(", ", TlsFront.labels())));
        Load load = load();
        Throughput throughput = new Throughput(chosen);
        double loadAverage = ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage();
        warnOfNoise(loadAverage);

        try (Workbench workbench = Workbench.in(directory, keep)) {
            if (keep) {
                say("files are in " + workbench.directory());
            }
            NextHops nextHops = NextHops.start(workbench, front);
            List<Relay> relays = new ArrayList<>();
            for (RelaySystem system : chosen) {
                say("starting " + system.label());
                relays.add(system.start(workbench, nextHops));
            }
            Measurement measurement = new Measurement(workbench, nextHops, load);
            for (Relay relay : relays) {
                for (Transport transport : relay.system().transports()) {
                    long start = System.nanoTime();
                    do {
                        measured("warm-up", measurement, relay, transport);
                    } while (relay.system().isJava() && System.nanoTime() - start < TimeUnit.SECONDS.toNanos(warmUp));
                }
            }
            for (int round = 1; round <= rounds; round++) {
                for (Relay relay : relays) {
                    for (Transport transport : relay.system().transports()) {
                        throughput.add(
                                relay.system(),
                                transport,
                                measured("round " + round + "/" + rounds, measurement, relay, transport));
                    }
                }
            }
        }
        report(throughput, load, front, loadAverage);
        return 0;
    }

    private double measured(String when, Measurement measurement, Relay relay, Transport transport) {
        double rate = measurement.of(relay, transport);
        say(String.format(
                Locale.ROOT,
                "%-14s%-14s%-10s%8.0f messages/s",
                when,
                relay.system().label(),
                transport.label(),
                rate));
        return rate;
    }

    private List<RelaySystem> chosen() {
        return new LinkedHashSet<>(systems)
                .stream()
                        .map(label -> RelaySystem.of(label.strip())
                                .orElseThrow(() -> wrong("--systems: found '" + label + "', expected some of "
                                        + String.join(", ", RelaySystem.labels()))))
                        .toList();
    }

    private Load load() {
        bounded("--messages", messages, 1, MOST_MESSAGES);
        bounded("--rounds", rounds, 1, MOST_ROUNDS);
        bounded("--warm-up", warmUp, 0, MOST_SECONDS);
        bounded("--size", size, 1, MOST_BYTES);
        bounded("--senders", senders, 1, Math.min(MOST_SENDERS, messages));
        bounded("--timeout", timeout, 1, MOST_SECONDS);
        if (!Files.isDirectory(directory)) {
            throw wrong("--directory: found no directory " + directory);
        }
        return new Load(messages, size, senders, Duration.ofSeconds(timeout));
    }

    private void bounded(String option, int value, int least, int most) {
        if (value < least || value > most) {
            throw wrong(option + ": found " + value + ", expected " + least + " to " + most);
        }
    }

    private ParameterException wrong(String message) {
        return new ParameterException(spec.commandLine(), message);
    }

    private void warnOfNoise(double loadAverage) {
        int processors = Runtime.getRuntime().availableProcessors();
        if (loadAverage > QUIET * processors) {
            say(String.format(
                    Locale.ROOT,
                    "this machine is busy (load average %.1f, %d processors): figures will scatter",
                    loadAverage,
                    processors));
        }
    }

    private void report(Throughput throughput, Load load, TlsFront front, double loadAverage) {
        PrintWriter out = spec.commandLine().getOut();
        String java = System.getProperty("java.vm.name") + " " + System.getProperty("java.version");
        int processors = Runtime.getRuntime().availableProcessors();
        if (json) {
            ObjectNode root = JsonNodeFactory.instance.objectNode();
            root.put("messages", load.messages())
                    .put("bytes", load.size())
                    .put("senders", load.senders())
                    .put("tlsFront", front.label())
                    .put("measuredRounds", rounds)
                    .put("warmUpSeconds", warmUp)
                    .put("processors", processors)
                    .put("loadAverageBefore", loadAverage)
                    .put("java", java);
            throughput.writeTo(root);
            out.println(root.toPrettyString());
        } else {
            out.printf(
                    Locale.ROOT,
                    "Relay throughput: %d messages of %d bytes, %d senders, %d rounds; TLS next hop: %s; %d processors, %s%n%n%s",
                    load.messages(),
                    load.size(),
                    load.senders(),
                    rounds,
                    front.description(),
                    processors,
                    java,
                    throughput.toText());
        }
        out.flush();
    }

    /** On standard error, so that the report can be piped. */
    private void say(String line) {
        PrintWriter err = spec.commandLine().getErr();
        err.println(line);
        err.flush();
    }
}
