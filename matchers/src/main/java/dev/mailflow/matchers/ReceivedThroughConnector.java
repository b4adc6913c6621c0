/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.matchers;

import java.time.Clock;
import java.util.Optional;
import java.util.stream.Collectors;

import javax.mail.MessagingException;

import com.google.inject.Inject;

import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.connector.InboundConnector;
import dev.mailflow.policy.inbound.InboundFacts;

/**
 * Matches mail that was attributed to the named inbound connector:
 * {@code match="dev.mailflow.matchers.ReceivedThroughConnector=cloud-in"}. Without the SMTP hooks that attribute it, no
 * mail matches.
 */
public final class ReceivedThroughConnector extends InboundFactsMatcher {
    private final PolicyRepository policies;
    private String connector = "";

    @Inject
    public ReceivedThroughConnector(PolicyRepository policies) {
        super(policies, Clock.systemUTC());
        this.policies = policies;
    }

    @Override
    public void init() throws MessagingException {
        connector = Optional.ofNullable(getCondition()).orElse("").trim();
        if (policies.current().inboundConnectors().find(connector).isEmpty()) {
            throw new MessagingException("condition of matcher " + getClass().getName() + ": found '" + connector
                    + "', expected the name of an inbound connector of the policy ("
                    + policies.current().inboundConnectors().all().stream()
                            .map(InboundConnector::name)
                            .collect(Collectors.joining(", "))
                    + ")");
        }
    }

    @Override
    boolean matches(InboundFacts facts) {
        return facts.connector()
                .map(InboundFacts.Connector::name)
                .filter(connector::equals)
                .isPresent();
    }
}
