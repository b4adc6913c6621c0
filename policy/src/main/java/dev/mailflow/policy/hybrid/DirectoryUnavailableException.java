/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.hybrid;

/** The directory cannot be asked now, or gives an answer that cannot be believed. */
public final class DirectoryUnavailableException extends Exception {
    private static final long serialVersionUID = 1L;

    /** @param message what failed, for administrators; no secret */
    public DirectoryUnavailableException(String message) {
        super(message);
    }

    public DirectoryUnavailableException(String message, Throwable cause) {
        super(message, cause);
    }
}
