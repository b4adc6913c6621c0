/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.nio.file.Path;

import picocli.CommandLine.Option;

/** Options of the benchmarks that send a {@link SteadyRun} through one warm gateway. */
final class SteadyLoad {
    @Option(names = "--messages", defaultValue = "10000", description = "messages in each measurement")
    int messages;

    @Option(names = "--warmup-messages", defaultValue = "15000", description = "messages before, which do not count")
    int warmup;

    @Option(names = "--senders", defaultValue = "20", description = "parallel senders")
    int senders;

    @Option(names = "--size", defaultValue = "5000", description = "bytes in a message's body")
    int size;

    @Option(names = "--directory", defaultValue = "/var/tmp", description = "where queues are; a disk, not memory")
    Path directory;

    // picocli acts on it
    @SuppressWarnings("UnusedVariable")
    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "show this text")
    private boolean help;
}
