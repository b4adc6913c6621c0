/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.matchers;

import java.time.Clock;

import com.google.inject.Inject;

import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.connection.ConnectionVerdict;
import dev.mailflow.policy.inbound.InboundFacts;

/**
 * Matches mail from a client on the allow list of the connection filter: {@code match="dev.mailflow.matchers.ConnectionAllowed"}.
 * Spam filtering may be skipped for it, malware scanning never.
 */
public final class ConnectionAllowed extends InboundFactsMatcher {

    @Inject
    public ConnectionAllowed(PolicyRepository policies) {
        this(policies, Clock.systemUTC());
    }

    ConnectionAllowed(PolicyRepository policies, Clock clock) {
        super(policies, clock);
    }

    @Override
    boolean matches(InboundFacts facts) {
        return facts.verdict() == ConnectionVerdict.Kind.ALLOW;
    }
}
