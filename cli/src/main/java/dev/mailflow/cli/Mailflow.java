/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.Charset;
import java.time.Clock;
import java.util.Map;

import dev.mailflow.cli.connector.ValidateConnectorCommand;
import dev.mailflow.cli.hybrid.HybridCommand;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/**
 * {@code bin/mailflow}: asks the policy before mail does. Prints for people by default, {@code --json} for programs;
 * exit 0 good, 1 the answer is no, 2 usage.
 */
@Command(
        name = "mailflow",
        description = "Checks a mail-flow policy and explains what it does with a message.",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        synopsisSubcommandLabel = "COMMAND",
        commandListHeading = "%nCommands:%n",
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:good", "1:the answer is no", "2:wrong usage"})
public final class Mailflow implements Runnable {
    /** The answer is no. */
    public static final int NO = 1;

    private static final String LOGGING = "logback.configurationFile";

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        throw new CommandLine.ParameterException(spec.commandLine(), "Missing command");
    }

    /**
     * The command line over the given surroundings.
     *
     * @param environment for {@code ${env:NAME}} in policies
     */
    public static CommandLine commandLine(Map<String, String> environment, Clock clock) {
        return commandLine(
                environment, clock, new BufferedReader(new InputStreamReader(System.in, Charset.defaultCharset())));
    }

    /**
     * The command line over the given surroundings.
     *
     * @param environment for {@code ${env:NAME}} in policies
     * @param in where answers to questions come from
     */
    public static CommandLine commandLine(Map<String, String> environment, Clock clock, BufferedReader in) {
        CommandLine commandLine = new CommandLine(new Mailflow());
        commandLine.addSubcommand(new CheckCommand(environment, clock));
        commandLine.addSubcommand(new ExplainCommand(environment, clock));
        commandLine.addSubcommand(new ValidateConnectorCommand(environment, clock));
        commandLine.addSubcommand(HybridCommand.commandLine(environment, clock, in));
        commandLine.setExecutionExceptionHandler((error, where, parsed) -> {
            PrintWriter err = where.getErr();
            err.println("mailflow: " + (error.getMessage() == null ? error.toString() : error.getMessage()));
            return NO;
        });
        return commandLine;
    }

    public static void main(String[] args) {
        if (System.getProperty(LOGGING) == null) {
            // the class path may hold the gateway's configuration too, which logs on standard output
            System.setProperty(LOGGING, "dev/mailflow/cli/logback.xml");
        }
        System.exit(commandLine(System.getenv(), Clock.systemUTC()).execute(args));
    }
}
