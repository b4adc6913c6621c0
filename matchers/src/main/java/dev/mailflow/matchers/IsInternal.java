/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.matchers;

import java.time.Clock;

import com.google.inject.Inject;

import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.Origin;

/**
 * Matches mail of internal origin: from an authenticated user, or by an organization connector that preserves
 * internal headers: {@code match="dev.mailflow.matchers.IsInternal"}. Without the SMTP hooks that state it, no mail is internal.
 */
public final class IsInternal extends InboundFactsMatcher {

    @Inject
    public IsInternal(PolicyRepository policies) {
        this(policies, Clock.systemUTC());
    }

    IsInternal(PolicyRepository policies, Clock clock) {
        super(policies, clock);
    }

    @Override
    boolean matches(InboundFacts facts) {
        return facts.origin() == Origin.INTERNAL;
    }
}
