/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.matchers;

import java.time.Clock;

import com.google.inject.Inject;

import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.connection.ConnectionVerdict;
import dev.mailflow.policy.inbound.InboundFacts;

/**
 * Matches mail from a client on the block list of the connection filter and not on its allow list:
 * {@code match="dev.mailflow.matchers.ConnectionBlocked"}. With the SMTP hooks such mail is refused at the door and never gets here.
 */
public final class ConnectionBlocked extends InboundFactsMatcher {

    @Inject
    public ConnectionBlocked(PolicyRepository policies) {
        this(policies, Clock.systemUTC());
    }

    ConnectionBlocked(PolicyRepository policies, Clock clock) {
        super(policies, clock);
    }

    @Override
    boolean matches(InboundFacts facts) {
        return facts.verdict() == ConnectionVerdict.Kind.BLOCK;
    }
}
