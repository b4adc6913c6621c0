/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks.limit;

import java.util.Optional;

/**
 * How much is taken, of one client or through one connector. Each limit is above 0; empty: no limit.
 *
 * @param connections that send mail at the same time
 * @param messagesPerMinute MAIL commands
 * @param recipientsPerMinute RCPT commands
 */
public record Limits(
        Optional<Integer> connections, Optional<Integer> messagesPerMinute, Optional<Integer> recipientsPerMinute) {

    public static final Limits NONE = new Limits(Optional.empty(), Optional.empty(), Optional.empty());
}
