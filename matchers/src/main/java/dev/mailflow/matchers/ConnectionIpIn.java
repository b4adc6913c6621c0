/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.matchers;

import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

import javax.mail.MessagingException;

import com.google.inject.Inject;

import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.connection.IpRange;
import dev.mailflow.policy.connection.IpRangeSet;
import dev.mailflow.policy.inbound.InboundFacts;

/**
 * Matches mail from a client in one of the given ranges, each an address, a CIDR block or first-last, IPv4 or IPv6:
 * {@code match="dev.mailflow.matchers.ConnectionIpIn=192.0.2.0/24,2001:db8::/32"}.
 */
public final class ConnectionIpIn extends InboundFactsMatcher {
    private IpRangeSet ranges = IpRangeSet.of(List.of());

    @Inject
    public ConnectionIpIn(PolicyRepository policies) {
        super(policies, Clock.systemUTC());
    }

    @Override
    public void init() throws MessagingException {
        List<IpRange> parsed = new ArrayList<>();
        for (String range : Optional.ofNullable(getCondition()).orElse("").split(",")) {
            try {
                parsed.add(IpRange.parse(range.trim()));
            } catch (IllegalArgumentException e) {
                throw new MessagingException(
                        "condition of matcher " + getClass().getName() + ": " + e.getMessage(), e);
            }
        }
        ranges = IpRangeSet.of(parsed);
    }

    @Override
    boolean matches(InboundFacts facts) {
        return ranges.contains(facts.clientIp());
    }
}
