/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy;

/**
 * One thing wrong (or doubtful) in a policy, told to an administrator: where, what was found, what would be right.
 *
 * @param message one sentence; never contains a secret
 */
public record PolicyProblem(Severity severity, SourceLocation location, String message) {

    /** How bad it is. */
    public enum Severity {
        /** The policy cannot come into force. */
        ERROR,
        /** The policy works but part of it cannot mean what it seems to mean. */
        WARNING
    }

    public static PolicyProblem error(SourceLocation location, String message) {
        return new PolicyProblem(Severity.ERROR, location, message);
    }

    public static PolicyProblem warning(SourceLocation location, String message) {
        return new PolicyProblem(Severity.WARNING, location, message);
    }

    @Override
    public String toString() {
        return location + ": " + severity.name().toLowerCase(java.util.Locale.ROOT) + ": " + message;
    }
}
