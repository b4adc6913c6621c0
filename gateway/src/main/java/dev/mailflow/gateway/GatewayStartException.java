/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

/** Why the gateway did not start, told to an administrator: what is wrong, where, and what would be right. */
public final class GatewayStartException extends Exception {
    private static final long serialVersionUID = 1L;

    public GatewayStartException(String message) {
        super(message);
    }

    public GatewayStartException(String message, Throwable cause) {
        super(message, cause);
    }
}
