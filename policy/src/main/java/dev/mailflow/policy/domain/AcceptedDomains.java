/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.domain;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import org.apache.james.core.Domain;

/** The domains this organization receives mail for; the most specific entry wins. Immutable. */
public final class AcceptedDomains {
    private final List<AcceptedDomain> entries;
    private final DomainTable<AcceptedDomain> table;

    private AcceptedDomains(List<AcceptedDomain> entries) {
        this.entries = List.copyOf(entries);
        Map<DomainPattern, AcceptedDomain> byPattern = new LinkedHashMap<>();
        entries.forEach(entry -> byPattern.put(entry.pattern(), entry));
        this.table = DomainTable.of(byPattern);
    }

    public static AcceptedDomains of(List<AcceptedDomain> entries) {
        return new AcceptedDomains(entries);
    }

    public static AcceptedDomains none() {
        return new AcceptedDomains(List.of());
    }

    /** The entry that decides for the domain; empty when the domain is none of ours. */
    public Optional<AcceptedDomain> find(Domain domain) {
        return table.find(domain.asString());
    }

    public boolean contains(Domain domain) {
        return find(domain).isPresent();
    }

    /** All entries in file order. */
    public List<AcceptedDomain> entries() {
        return entries;
    }
}
