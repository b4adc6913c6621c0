/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.domains;

import java.util.Iterator;
import java.util.Map;
import java.util.TreeMap;

import org.apache.james.core.Domain;
import org.apache.james.core.Username;
import org.apache.james.user.api.UsersRepository;
import org.apache.james.user.api.UsersRepositoryException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.inject.Inject;

import dev.mailflow.policy.PolicyRepository;

/**
 * Says in the log, after start and after each change of the policy, which domains have users but are no longer local:
 * their mailboxes stay, but mail to them is refused or goes elsewhere.
 */
public final class OrphanedUsers {
    private static final Logger LOGGER = LoggerFactory.getLogger(OrphanedUsers.class);

    private final PolicyRepository policies;
    private final PolicyDomainList domains;
    private final UsersRepository users;

    @Inject
    OrphanedUsers(PolicyRepository policies, PolicyDomainList domains, UsersRepository users) {
        this.policies = policies;
        this.domains = domains;
        this.users = users;
    }

    /** Reports once now and again with every new policy, until the subscription is closed. */
    public PolicyRepository.Subscription watch() {
        report();
        return policies.subscribe(policy -> report());
    }

    private void report() {
        try {
            count().forEach((domain, number) -> LOGGER.warn(
                    "event=domain-not-accepted domain={} users={} effect=\"their mailboxes are kept but get no mail;"
                            + " accept the domain in mailflow.xml or delete the users\"",
                    domain,
                    number));
        } catch (UsersRepositoryException e) {
            LOGGER.warn("event=users-unreadable reason=\"{}\"", e.getMessage());
        }
    }

    private Map<String, Integer> count() throws UsersRepositoryException {
        Map<String, Integer> byDomain = new TreeMap<>();
        for (Iterator<Username> names = users.list(); names.hasNext(); ) {
            names.next()
                    .getDomainPart()
                    .filter(domain -> !domains.containsDomain(domain))
                    .map(Domain::asString)
                    .ifPresent(domain -> byDomain.merge(domain, 1, Integer::sum));
        }
        return byDomain;
    }
}
