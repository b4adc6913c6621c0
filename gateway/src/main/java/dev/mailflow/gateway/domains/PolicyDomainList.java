/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.domains;

import java.util.List;

import org.apache.james.core.Domain;
import org.apache.james.domainlist.api.DomainList;

import com.google.inject.Inject;
import com.google.inject.Singleton;

import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.domain.AcceptedDomain;

/**
 * James's list of local domains, read from the accepted domains of the policy in force: there is no second list that
 * could say something else. Authoritative and internal relay domains are local, for those can have mailboxes here;
 * external relay domains are not. Changing it means editing {@code mailflow.xml}.
 */
@Singleton
public final class PolicyDomainList implements DomainList {
    /** What an address without a domain gets while the policy accepts none. */
    private static final Domain NO_DOMAIN = Domain.LOCALHOST;

    private final PolicyRepository policies;

    @Inject
    PolicyDomainList(PolicyRepository policies) {
        this.policies = policies;
    }

    /** The domains that the policy names, in its order; the subdomains of an entry that matches them are not listed. */
    @Override
    public List<Domain> getDomains() {
        return policies.current().acceptedDomains().entries().stream()
                .filter(PolicyDomainList::canHaveMailboxes)
                .map(entry -> Domain.of(entry.pattern().name()))
                .distinct()
                .toList();
    }

    @Override
    public boolean containsDomain(Domain domain) {
        return policies.current()
                .acceptedDomains()
                .find(domain)
                .filter(PolicyDomainList::canHaveMailboxes)
                .isPresent();
    }

    private static boolean canHaveMailboxes(AcceptedDomain entry) {
        return entry.type() != AcceptedDomain.Type.EXTERNAL_RELAY;
    }

    /** @throws IllegalArgumentException always; webadmin answers 400 with it, but takes James's own exception for success */
    @Override
    public void addDomain(Domain domain) {
        throw new IllegalArgumentException(
                "Domain " + domain.asString() + " was not added: the accepted domains stand in"
                        + " mailflow.xml; add <domain>" + domain.asString() + "</domain> to <acceptedDomains> there");
    }

    /** @throws IllegalArgumentException always, as for adding */
    @Override
    public void removeDomain(Domain domain) {
        throw new IllegalArgumentException(
                "Domain " + domain.asString() + " was not removed: the accepted domains stand in"
                        + " mailflow.xml; remove its <domain> from <acceptedDomains> there");
    }

    @Override
    public Domain getDefaultDomain() {
        List<Domain> domains = getDomains();
        return domains.isEmpty() ? NO_DOMAIN : domains.get(0);
    }
}
