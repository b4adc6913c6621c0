/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

import java.time.Duration;

/**
 * Bounds on the connections of one connector.
 *
 * @param connections at most this many at once, all destinations together
 * @param perDestination at most this many at once to one next hop
 * @param messagesPerConnection then the connection is closed
 * @param idle an unused connection is closed after this time
 */
public record ConnectionLimits(int connections, int perDestination, int messagesPerConnection, Duration idle) {

    public static final ConnectionLimits DEFAULT = new ConnectionLimits(20, 5, 100, Duration.ofSeconds(30));
}
