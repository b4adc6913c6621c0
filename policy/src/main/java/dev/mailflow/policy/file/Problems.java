/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.SourceLocation;

/**
 * Everything found wrong in one reading. Of each file only the first problems are listed in full, so that a file of
 * the wrong kind with a million lines does not make a report of a million lines.
 */
final class Problems {
    /** More than anybody will mend before reading the file again. */
    static final int LISTED_PER_FILE = 1000;

    private final List<PolicyProblem> listed = new ArrayList<>();
    private final Map<String, Integer> perFile = new HashMap<>();
    private boolean errors;

    void error(SourceLocation location, String message) {
        errors = true;
        add(PolicyProblem.error(location, message));
    }

    void warning(SourceLocation location, String message) {
        add(PolicyProblem.warning(location, message));
    }

    /** A file that is named but not usable: an error where it is needed, a warning where it is not in force. */
    void missing(boolean inForce, SourceLocation location, String message) {
        if (inForce) {
            error(location, message);
        } else {
            warning(location, message);
        }
    }

    private void add(PolicyProblem problem) {
        if (perFile.merge(problem.location().file(), 1, Integer::sum) <= LISTED_PER_FILE) {
            listed.add(problem);
        }
    }

    /** Whether the policy cannot come into force. */
    boolean hasErrors() {
        return errors;
    }

    /** All problems: those of {@code mainFile} first, each file's in line order. */
    List<PolicyProblem> inFileOrder(String mainFile) {
        List<PolicyProblem> all = new ArrayList<>(listed);
        perFile.forEach((file, count) -> {
            if (count > LISTED_PER_FILE) {
                all.add(PolicyProblem.error(
                        new SourceLocation(file, Integer.MAX_VALUE), "and " + (count - LISTED_PER_FILE) + " more"));
            }
        });
        all.sort(Comparator.comparing(
                        (PolicyProblem problem) -> problem.location().file().equals(mainFile)
                                ? ""
                                : problem.location().file())
                .thenComparingInt(problem -> problem.location().line()));
        all.replaceAll(problem -> problem.location().line() == Integer.MAX_VALUE
                ? PolicyProblem.error(new SourceLocation(problem.location().file(), 0), problem.message())
                : problem);
        return List.copyOf(all);
    }
}
