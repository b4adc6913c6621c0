/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.io.BufferedReader;
import java.time.Clock;
import java.util.Map;

import dev.mailflow.cli.Version;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code mailflow hybrid …}: one organization on two premises. */
@Command(
        name = "hybrid",
        description =
                "Sets up and checks mail flow between this gateway and mailboxes of the same domains in the cloud.",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        synopsisSubcommandLabel = "COMMAND",
        commandListHeading = "%nCommands:%n")
public final class HybridCommand implements Runnable {
    @Spec
    private CommandSpec spec;

    private HybridCommand() {}

    @Override
    public void run() {
        throw new CommandLine.ParameterException(spec.commandLine(), "Missing command");
    }

    /**
     * The command with its subcommands.
     *
     * @param in where answers come from
     */
    public static CommandLine commandLine(Map<String, String> environment, Clock clock, BufferedReader in) {
        return new CommandLine(new HybridCommand())
                .addSubcommand(new HybridSetupCommand(environment, clock, in))
                .addSubcommand(new HybridShowCommand())
                .addSubcommand(new HybridCheckCommand(environment, clock))
                .addSubcommand(new HybridSetCommand(environment, clock))
                .addSubcommand(new HybridRemoveCommand(environment, clock, in));
    }
}
