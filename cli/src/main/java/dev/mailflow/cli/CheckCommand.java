/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli;

import java.io.PrintWriter;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.PolicyProblem.Severity;
import dev.mailflow.policy.check.PolicyCheck;
import dev.mailflow.policy.file.PolicyReading;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code mailflow check}: every mistake in the policy, with its line, and everything that cannot mean what it says. */
@Command(
        name = "check",
        description = {
            "Reads the policy and prints every error with its line, then what is valid but can have no effect:"
                    + " shadowed connectors, routes to nowhere, TLS that can never succeed, expired entries."
        },
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:no error (there may be warnings)", "1:errors", "2:wrong usage"})
final class CheckCommand implements Callable<Integer> {
    private final Map<String, String> environment;
    private final Clock clock;

    @Spec
    private CommandSpec spec;

    @Mixin
    private PolicyOption policy;

    @Option(names = "--json", description = "print for programs")
    private boolean json;

    CheckCommand(Map<String, String> environment, Clock clock) {
        this.environment = environment;
        this.clock = clock;
    }

    @Override
    public Integer call() {
        PolicyReading reading = policy.read(environment, clock);
        List<PolicyProblem> problems = new ArrayList<>(reading.problems());
        reading.policy().ifPresent(read -> {
            problems.addAll(PolicyCheck.check(read, clock.instant()));
            DeliverySettings.in(policy.existingDirectory())
                    .ifPresent(settings -> problems.addAll(DaneCheck.check(read, settings)));
        });
        long errors = problems.stream()
                .filter(problem -> problem.severity() == Severity.ERROR)
                .count();
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(toJson(problems, errors).toPrettyString());
        } else {
            problems.forEach(out::println);
            out.println(
                    problems.isEmpty()
                            ? "The policy is good."
                            : errors
                                    + (errors == 1 ? " error, " : " errors, ")
                                    + (problems.size() - errors)
                                    + (problems.size() - errors == 1 ? " warning" : " warnings"));
        }
        out.flush();
        return errors == 0 ? 0 : Mailflow.NO;
    }

    private static ObjectNode toJson(List<PolicyProblem> problems, long errors) {
        ObjectNode root = JsonNodeFactory.instance.objectNode();
        root.put("good", errors == 0);
        root.put("errors", errors);
        root.put("warnings", problems.size() - errors);
        ArrayNode all = root.putArray("problems");
        problems.forEach(problem -> all.addObject()
                .put("severity", problem.severity().name().toLowerCase(Locale.ROOT))
                .put("file", problem.location().file())
                .put("line", problem.location().line())
                .put("message", problem.message()));
        return root;
    }
}
