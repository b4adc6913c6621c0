/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

/**
 * Sections that are read but not carried out. A policy with one of them is refused, because it would mean less than it
 * says; their mistakes are told all the same.
 */
final class NotYetSupportedSections {
    private final Problems problems;

    NotYetSupportedSections(Reading reading) {
        this.problems = reading.problems();
    }

    void refuse(Node<Void> root) {
        Grammar.NOT_YET_SUPPORTED.stream()
                .flatMap(section -> root.one(section).stream())
                .forEach(section -> problems.error(
                        section.location(),
                        "section <" + section.rule().name()
                                + "> is not yet supported, so that a policy with it cannot come into force;"
                                + " expected a policy without it"));
    }
}
