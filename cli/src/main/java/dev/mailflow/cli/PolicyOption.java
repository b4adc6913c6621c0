/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Map;

import dev.mailflow.policy.file.MailFlowXmlReader;
import dev.mailflow.policy.file.PolicyReading;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code --conf DIR}, wherever a command reads the policy. */
final class PolicyOption {
    @Spec(Spec.Target.MIXEE)
    private CommandSpec spec;

    @Option(
            names = "--conf",
            paramLabel = "DIR",
            defaultValue = "${sys:mailflow.conf:-conf}",
            description = "configuration directory with mailflow.xml (default: ${DEFAULT-VALUE})")
    private Path directory;

    /** Reads the policy, good or bad. */
    PolicyReading read(Map<String, String> environment, Clock clock) {
        Path file = directory.resolve("mailflow.xml");
        if (!Files.exists(file)) {
            throw new CommandLine.ParameterException(
                    spec.commandLine(), "--conf: found no " + file + ", expected a directory with mailflow.xml");
        }
        return MailFlowXmlReader.read(file, directory, environment, clock);
    }
}
