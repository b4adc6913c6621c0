/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * {@code bin/bench door}: what connection filter, inbound connectors, accepted recipients, hop limit and facts cost at the
 * SMTP door. Two gateways that differ in nothing but the handlers of {@code smtpserver.xml} take the same mail in turn:
 * ours with a filter of a hundred thousand prefixes and fifty connectors, and James's {@code ValidRcptHandler} alone. What
 * they accept is thrown away at once, so that the door is what is measured.
 */
@Command(
        name = "bench door",
        description =
                "Measures what our handlers cost at the SMTP door, side by side with the same James without them.",
        sortOptions = false,
        showDefaultValues = true,
        mixinStandardHelpOptions = false,
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:measured", "1:something is missing or did not take everything", "2:wrong usage"})
final class DoorBenchmark implements Callable<Integer> {
    private static final int LISTED_PREFIXES = 100_000;
    private static final int CONNECTORS = 50;
    private static final Pattern OUR_HANDLERS = Pattern.compile("<handler class=\"dev\\.mailflow\\.hooks\\.[^\"]*\"/>");
    private static final String CORE = "<handler class=\"org.apache.james.smtpserver.CoreCmdHandlerLoader\"/>";
    private static final String VALID_RECIPIENTS =
            "<handler class=\"org.apache.james.smtpserver.fastfail.ValidRcptHandler\"/>";
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final String RECIPIENT = "postmaster@contoso.com";

    @Spec
    private CommandSpec spec;

    @Option(names = "--messages", defaultValue = "3000", description = "messages in each measurement")
    private int messages;

    @Option(names = "--rounds", defaultValue = "7", description = "measurements of each door")
    private int rounds;

    @Option(names = "--warmup-rounds", defaultValue = "3", description = "rounds before them that do not count")
    private int warmupRounds;

    @Option(names = "--senders", defaultValue = "20", description = "parallel senders")
    private int senders;

    @Option(names = "--size", defaultValue = "5000", description = "bytes in a message's body")
    private int size;

    @Option(names = "--directory", defaultValue = "/var/tmp", description = "where the files of the run are")
    private Path directory;

    // picocli acts on it
    @SuppressWarnings("UnusedVariable")
    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "show this text")
    private boolean help;

    /** The two doors. */
    private enum Door {
        OURS,
        JAMES
    }

    /** How the senders connect. */
    private enum Sessions {
        ONE_MESSAGE("a connection for each message", List.of()),
        MANY_MESSAGES("one connection for each sender", List.of("-d"));

        private final String label;

        @SuppressWarnings("ImmutableEnumChecker") // made by List.of
        private final List<String> options;

        Sessions(String label, List<String> options) {
            this.label = label;
            this.options = options;
        }
    }

    @Override
    public Integer call() {
        Load load = new Load(messages, size, senders, PATIENCE);
        Map<Sessions, Map<Door, List<Double>>> rates = new EnumMap<>(Sessions.class);
        try (Workbench workbench = Workbench.in(directory, false)) {
            Map<Door, GatewayProcess> doors = new EnumMap<>(Door.class);
            for (Door door : Door.values()) {
                doors.put(door, start(workbench, door));
            }
            for (int round = 1 - warmupRounds; round <= rounds; round++) {
                for (Sessions sessions : Sessions.values()) {
                    for (Door door : Door.values()) {
                        double rate = measure(workbench, doors.get(door), load, sessions);
                        say(round, door, sessions, rate);
                        if (round >= 1) {
                            rates.computeIfAbsent(sessions, ignored -> new EnumMap<>(Door.class))
                                    .computeIfAbsent(door, ignored -> new ArrayList<>())
                                    .add(rate);
                        }
                    }
                }
            }
        }
        report(rates);
        return 0;
    }

    private void report(Map<Sessions, Map<Door, List<Double>>> rates) {
        PrintWriter out = spec.commandLine().getOut();
        out.printf(
                Locale.ROOT,
                "SMTP door: %d messages of %d bytes, %d senders, %d rounds; medians, messages/s%n%n",
                messages,
                size,
                senders,
                rounds);
        rates.forEach((sessions, ofDoors) -> {
            double ours = Throughput.median(ofDoors.get(Door.OURS)).orElseThrow();
            double james = Throughput.median(ofDoors.get(Door.JAMES)).orElseThrow();
            out.printf(
                    Locale.ROOT,
                    "%-32s with our handlers %7.0f   without %7.0f   ratio %.3f%n",
                    sessions.label,
                    ours,
                    james,
                    ours / james);
        });
        out.flush();
    }

    private static double measure(Workbench workbench, GatewayProcess door, Load load, Sessions sessions) {
        SmtpSource partner = new SmtpSource(load, "a@partner7.example", RECIPIENT, sessions.options);
        long start = System.nanoTime();
        try (Forked source = partner.start(workbench, door.port())) {
            source.awaitSuccess(load.timeout());
        }
        return load.messages() * (double) TimeUnit.SECONDS.toNanos(1) / (System.nanoTime() - start);
    }

    /** On standard error, so that the report can be piped. */
    private void say(int round, Door door, Sessions sessions, double rate) {
        PrintWriter err = spec.commandLine().getErr();
        err.printf(
                Locale.ROOT,
                "%-10s%-8s%-32s%8.0f messages/s%n",
                round < 1 ? "warm-up" : round + "/" + rounds,
                door,
                sessions.label,
                rate);
        err.flush();
    }

    private static GatewayProcess start(Workbench workbench, Door door) {
        return GatewayProcess.start(
                workbench, "door-" + door.name().toLowerCase(Locale.ROOT), policy(), configuration -> {
                    Files.writeString(configuration.resolve("block.txt"), prefixes());
                    Path container = configuration.resolve("mailetcontainer.xml");
                    Files.writeString(
                            container,
                            Files.readString(container)
                                    .replaceFirst(
                                            "<processor state=\"root\"[^>]*>",
                                            "$0<mailet match=\"All\" class=\"Null\"/>"));
                    if (door == Door.JAMES) {
                        Path smtp = configuration.resolve("smtpserver.xml");
                        Files.writeString(
                                smtp,
                                OUR_HANDLERS
                                        .matcher(Files.readString(smtp))
                                        .replaceAll("")
                                        .replace(CORE, VALID_RECIPIENTS + CORE));
                    }
                });
    }

    private static String policy() {
        StringBuilder connectors = new StringBuilder();
        for (int i = 0; i < CONNECTORS; i++) {
            connectors.append(
                    """
                    <inboundConnector name="partner-%1$d" type="partner"><senderDomain>*.partner%1$d.example</senderDomain>
                      <requireTls>false</requireTls><clientIp>127.0.0.0/8</clientIp></inboundConnector>
                    <inboundConnector name="branch-%1$d" type="organization"><clientIp>192.0.2.%1$d</clientIp>
                      <relay>true</relay></inboundConnector>
                    """
                            .formatted(i));
        }
        return """
                <?xml version="1.0" encoding="UTF-8"?>
                <mailflow>
                  <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                  <connectionFilter>
                    <allow senderDomain="fabrikam.com" except="198.51.100.66">198.51.100.0/24</allow>
                    <blockFile>file://conf/block.txt</blockFile>
                  </connectionFilter>
                  <inboundConnectors>%s</inboundConnectors>
                </mailflow>
                """
                .formatted(connectors);
    }

    private static String prefixes() {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < LISTED_PREFIXES; i++) {
            lines.append("10.")
                    .append(i >> 10 & 0xff)
                    .append('.')
                    .append(i >> 2 & 0xff)
                    .append('.');
            lines.append((i & 3) << 6).append("/26\n");
        }
        return lines.toString();
    }
}
