/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code bin/gateway}: runs one {@link Gateway} until the process is told to end. */
@Command(
        name = "gateway",
        description = "Runs the mail gateway in the foreground until SIGTERM or Ctrl-C.",
        sortOptions = false,
        footer = {
            "",
            "Exit code 143 after SIGTERM and 130 after Ctrl-C, 1 when it cannot start (the reason is on standard error), 2 for wrong usage.",
            "JAVA_OPTS and MAILFLOW_JAVA_OPTS are passed to Java, for instance MAILFLOW_JAVA_OPTS=-Xmx2g."
        })
public final class GatewayMain implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Option(
            names = "--conf",
            paramLabel = "DIR",
            required = true,
            description = "the configuration directory, which is never written (bin/gateway: james-conf/)")
    private Path conf;

    @Option(
            names = "--data",
            paramLabel = "DIR",
            required = true,
            description = "where queues, mailboxes and keys are kept; created if missing (bin/gateway: data/)")
    private Path data;

    @Option(names = "--help", usageHelp = true, description = "shows this text")
    @SuppressWarnings("unused") // picocli looks at it
    private boolean help;

    private GatewayMain() {}

    public static void main(String[] args) {
        System.exit(commandLine().execute(args));
    }

    static CommandLine commandLine() {
        return new CommandLine(new GatewayMain());
    }

    @Override
    public Integer call() throws InterruptedException {
        Path logging = conf.resolve("logback.xml");
        if (System.getProperty("logback.configurationFile") == null && Files.isRegularFile(logging)) {
            System.setProperty(
                    "logback.configurationFile", logging.toAbsolutePath().toString());
        }
        Gateway gateway = Gateway.builder().conf(conf).data(data).build();
        try {
            gateway.start();
        } catch (GatewayStartException e) {
            PrintWriter err = spec.commandLine().getErr();
            err.println(e.getMessage());
            err.flush();
            return CommandLine.ExitCode.SOFTWARE;
        }
        Runtime.getRuntime().addShutdownHook(new Thread(gateway::stop, "shutdown"));
        PrintWriter out = spec.commandLine().getOut();
        out.println(new Welcome(gateway).text());
        out.flush();
        // the shutdown hook ends the process
        new CountDownLatch(1).await();
        return CommandLine.ExitCode.OK;
    }
}
