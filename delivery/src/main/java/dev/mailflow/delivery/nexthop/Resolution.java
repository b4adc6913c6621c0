/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.nexthop;

import java.util.List;

import dev.mailflow.delivery.RecipientOutcome;

/**
 * The answer to "where to".
 *
 * @param <T> hosts or addresses
 */
public sealed interface Resolution<T> {

    /** In the order to be tried; empty: nowhere. */
    List<T> choices();

    /** In the order to be tried; never empty. */
    record Found<T>(List<T> choices) implements Resolution<T> {
        public Found {
            choices = List.copyOf(choices);
        }
    }

    /** Nowhere, now or ever; {@code outcome} is deferred or failed. */
    record Nowhere<T>(RecipientOutcome outcome) implements Resolution<T> {
        @Override
        public List<T> choices() {
            return List.of();
        }
    }
}
