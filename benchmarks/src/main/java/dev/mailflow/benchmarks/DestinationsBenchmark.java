/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/**
 * {@code bin/bench destinations}: how the rate and the memory of the gateway change with the number of domains that the same
 * number of messages goes to. Each domain has an MX host of its own, which the gateway looks up; all are at one next hop.
 */
@Command(
        name = "bench destinations",
        description = "Measures rate and memory with 1 to 10,000 destination domains, each with an MX host of its own.",
        sortOptions = false,
        showDefaultValues = true,
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:measured", "1:something is missing or did not arrive", "2:wrong usage"})
final class DestinationsBenchmark implements Callable<Integer> {
    private static final List<Integer> COUNTS = List.of(1, 10, 100, 1_000, 10_000);
    private static final String ROUTE = "class=\"dev.mailflow.mailets.RouteToConnector\"/>";

    @Spec
    private CommandSpec spec;

    @Mixin
    private SteadyLoad load;

    /** A policy that sends everything to the sink in plaintext. */
    static String smartHost(int port) {
        return policy("<smartHost>127.0.0.1:" + port + "</smartHost>");
    }

    private static String policy(String nextHop) {
        return """
                <?xml version="1.0" encoding="UTF-8"?>
                <mailflow>
                  <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                  <outboundConnectors>
                    <outboundConnector name="out" type="internet">
                      <recipientDomain>*</recipientDomain>
                      %s
                      <tls level="none"/>
                    </outboundConnector>
                  </outboundConnectors>
                </mailflow>
                """
                .formatted(nextHop);
    }

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        try (Workbench workbench = Workbench.in(load.directory, false)) {
            int most = load.warmup + COUNTS.size() * load.messages;
            TimingSink sink = TimingSink.start(workbench, most);
            EveryName names = workbench.add(EveryName.start());
            GatewayProcess gateway = GatewayProcess.start(
                    workbench,
                    "gateway",
                    policy("<useMx>true</useMx>"),
                    conf -> lookUpMx(conf.resolve("mailetcontainer.xml"), sink.port(), names.port()));
            SteadyRun run = new SteadyRun(gateway, sink, most, load.senders, load.size);
            run.send(load.warmup, 0, number -> "b@warm.test");
            out.printf(
                    Locale.ROOT,
                    "%d messages of %d bytes to each number of domains, %d senders%n%n%12s %12s %8s %10s %8s%n",
                    load.messages,
                    load.size,
                    load.senders,
                    "domains",
                    "messages/s",
                    "ratio",
                    "RSS KiB",
                    "ratio");
            double rateOfOne = 0;
            long memoryOfOne = 0;
            for (int count : COUNTS) {
                String zone = "of" + count + ".test";
                double rate = run.rate(run.send(load.messages, 0, number -> "b@d" + number % count + "." + zone));
                long memory = SteadyRun.kibibytes(gateway, "VmRSS");
                rateOfOne = rateOfOne == 0 ? rate : rateOfOne;
                memoryOfOne = memoryOfOne == 0 ? memory : memoryOfOne;
                out.printf(
                        Locale.ROOT,
                        "%12d %12.0f %8.2f %10d %8.2f%n",
                        count,
                        rate,
                        rate / rateOfOne,
                        memory,
                        (double) memory / memoryOfOne);
                out.flush();
            }
        }
        return 0;
    }

    private static void lookUpMx(Path mailets, int sink, int names) throws IOException {
        String before = Files.readString(mailets);
        String after = before.replace(
                ROUTE,
                ROUTE.replace("/>", ">") + "<mxPort>" + sink + "</mxPort><trustedResolver>127.0.0.1:" + names
                        + "</trustedResolver></mailet>");
        if (after.equals(before)) {
            throw new BenchmarkFailure("found no " + ROUTE + " in " + mailets);
        }
        Files.writeString(mailets, after);
    }
}
