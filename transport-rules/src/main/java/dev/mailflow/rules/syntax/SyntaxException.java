/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.syntax;

/** The text is no Sieve; nothing after the place can be understood. */
public final class SyntaxException extends Exception {
    private static final long serialVersionUID = 1L;

    private final transient Position at;

    SyntaxException(Position at, String message) {
        super(message, null, false, false);
        this.at = at;
    }

    public Position at() {
        return at;
    }
}
