/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The memory app of James as Central has it: queues in memory, TLS demanded, certificate not verified. */
final class JamesRelay implements Relay {
    private final Forked process;
    private final int port;

    private JamesRelay(Forked process, int port) {
        this.process = process;
        this.port = port;
    }

    static JamesRelay start(Workbench workbench, NextHops nextHops) {
        Path benchmarks = workbench.project().resolve("benchmarks");
        Path directory = workbench.directory(RelaySystem.JAMES.label());
        Path conf = workbench.directory(RelaySystem.JAMES.label() + "/conf");
        int port = LoopbackPorts.free();
        String classpath;
        try {
            classpath = Files.readString(benchmarks.resolve("target/james.classpath"))
                    .strip();
            try (Stream<Path> files = Files.list(benchmarks.resolve("src/main/conf/james"))) {
                for (Path file : files.toList()) {
                    String text = Files.readString(file)
                            .replace("@SMTP_PORT@", String.valueOf(port))
                            .replace("@PLAIN_PORT@", String.valueOf(nextHops.port(Transport.PLAIN)))
                            .replace("@TLS_PORT@", String.valueOf(nextHops.port(Transport.STARTTLS)));
                    Files.writeString(conf.resolve(file.getFileName().toString()), text);
                }
            }
        } catch (IOException e) {
            throw new BenchmarkFailure(
                    "cannot make the configuration of James (bin/bench builds what it needs): " + e, e);
        }
        Forked process = workbench.add(Forked.startJava(
                RelaySystem.JAMES.label(),
                directory,
                List.of("-Dworking.directory=" + directory),
                conf + File.pathSeparator + classpath,
                "org.apache.james.MemoryJamesServerMain",
                List.of()));
        process.awaitGreeting(port);
        return new JamesRelay(process, port);
    }

    @Override
    public RelaySystem system() {
        return RelaySystem.JAMES;
    }

    @Override
    public int port() {
        return port;
    }

    @Override
    public String lastLog() {
        return process.lastLog();
    }
}
