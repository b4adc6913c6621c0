/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Map;
import java.util.Optional;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.PolicyProblem.Severity;
import dev.mailflow.policy.file.MailFlowXmlReader;
import dev.mailflow.policy.file.PolicyReading;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code --conf DIR}, wherever a command reads the policy. */
public final class PolicyOption {
    @Spec(Spec.Target.MIXEE)
    private CommandSpec spec;

    @Option(
            names = "--conf",
            paramLabel = "DIR",
            defaultValue = "${sys:mailflow.conf:-conf}",
            description = "configuration directory with mailflow.xml (default: ${DEFAULT-VALUE})")
    private Path directory;

    /** The configuration directory, in which there is a policy. */
    public Path existingDirectory() {
        requirePolicy();
        return directory.toAbsolutePath().normalize();
    }

    private Path requirePolicy() {
        Path file = directory.resolve("mailflow.xml");
        if (!Files.exists(file)) {
            throw new CommandLine.ParameterException(
                    spec.commandLine(), "--conf: found no " + file + ", expected a directory with mailflow.xml");
        }
        return file;
    }

    /** Reads the policy; when it is broken, says so on {@code err}. */
    public Optional<MailFlowPolicy> readGood(Map<String, String> environment, Clock clock, PrintWriter err) {
        PolicyReading reading = read(environment, clock);
        if (reading.policy().isEmpty()) {
            reading.problems().stream()
                    .filter(problem -> problem.severity() == Severity.ERROR)
                    .map(PolicyProblem::toString)
                    .forEach(err::println);
            err.println("mailflow: the policy is broken, see above");
            err.flush();
        }
        return reading.policy();
    }

    /** Reads the policy, good or bad. */
    public PolicyReading read(Map<String, String> environment, Clock clock) {
        return MailFlowXmlReader.read(requirePolicy(), directory, environment, clock);
    }
}
