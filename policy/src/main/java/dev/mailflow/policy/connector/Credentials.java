/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

import dev.mailflow.policy.Secret;
import dev.mailflow.policy.domain.SenderPattern;

/** How we authenticate to a next hop, for the senders that {@code sender} names (most specific wins). */
public record Credentials(SenderPattern sender, String user, Secret secret) {}
