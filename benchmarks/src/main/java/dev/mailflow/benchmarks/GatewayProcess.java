/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A gateway in a process of its own, with the shipped configuration and another policy.
 *
 * @param port where it takes mail of other servers
 */
record GatewayProcess(Forked process, int port) {

    /** Changes the configuration before the start. */
    @FunctionalInterface
    interface Preparation {
        void prepare(Path configuration) throws IOException;
    }

    /**
     * Starts it and waits until it greets.
     *
     * @param name of its directory and log
     * @param policy the file {@code mailflow.xml}
     */
    static GatewayProcess start(Workbench workbench, String name, String policy, Preparation preparation) {
        return start(workbench, name, policy, preparation, List.of());
    }

    /**
     * The same.
     *
     * @param options of its JVM, which win over the usual ones
     */
    static GatewayProcess start(
            Workbench workbench, String name, String policy, Preparation preparation, List<String> options) {
        Path app = workbench.project().resolve("gateway/target/app");
        if (!Files.isDirectory(app.resolve("lib"))) {
            throw new BenchmarkFailure("found no " + app + "/lib; bin/bench builds it");
        }
        Path directory = workbench.directory(name);
        GatewayConfiguration configuration = GatewayConfiguration.write(
                workbench.project().resolve("james-conf"), directory.resolve("conf"), policy);
        try {
            preparation.prepare(configuration.directory());
        } catch (IOException e) {
            throw new BenchmarkFailure("cannot write the configuration of " + name + ": " + e.getMessage(), e);
        }
        Forked process = workbench.add(Forked.startJava(
                name,
                directory,
                options,
                app + "/*:" + app + "/lib/*",
                "dev.mailflow.gateway.GatewayMain",
                List.of(
                        "--conf",
                        configuration.directory().toString(),
                        "--data",
                        directory.resolve("data").toString())));
        process.awaitGreeting(configuration.smtpPort());
        return new GatewayProcess(process, configuration.smtpPort());
    }
}
