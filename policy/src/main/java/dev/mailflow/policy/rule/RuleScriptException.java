/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rule;

import dev.mailflow.policy.SourceLocation;

/** A script failed on a message; the rule's {@code onError} decides what becomes of it. */
public final class RuleScriptException extends Exception {
    private static final long serialVersionUID = 1L;

    /**
     * @param where the line that failed
     * @param reason one sentence for people
     */
    public RuleScriptException(SourceLocation where, String reason, Throwable cause) {
        super(where + ": " + reason, cause);
    }

    public RuleScriptException(SourceLocation where, String reason) {
        super(where + ": " + reason);
    }
}
