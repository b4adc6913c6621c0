/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy;

import java.util.List;
import java.util.stream.Collectors;

/** A policy that cannot come into force, with every reason at once. The message lists one problem a line. */
public final class InvalidPolicyException extends Exception {
    private static final long serialVersionUID = 1L;

    private final transient List<PolicyProblem> problems;

    public InvalidPolicyException(String source, List<PolicyProblem> problems) {
        super(source + " has " + problems.size() + (problems.size() == 1 ? " problem:" : " problems:") + "\n"
                + problems.stream().map(problem -> "  " + problem).collect(Collectors.joining("\n")));
        this.problems = List.copyOf(problems);
    }

    /** All problems in file order; at least one is an error. */
    public List<PolicyProblem> problems() {
        return problems;
    }
}
