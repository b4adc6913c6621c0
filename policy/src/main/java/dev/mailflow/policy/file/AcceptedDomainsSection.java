/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.domain.AcceptedDomain;
import dev.mailflow.policy.domain.AcceptedDomains;
import dev.mailflow.policy.domain.DomainPattern;

/** {@code <acceptedDomains>}. */
final class AcceptedDomainsSection {
    private final Problems problems;
    private final Map<DomainPattern, SourceLocation> seen = new HashMap<>();

    AcceptedDomainsSection(Reading reading) {
        this.problems = reading.problems();
    }

    AcceptedDomains map(Node<Void> section) {
        List<AcceptedDomain> domains = new ArrayList<>();
        section.all(Grammar.DOMAIN).forEach(node -> domain(node).ifPresent(domains::add));
        return AcceptedDomains.of(domains);
    }

    private Optional<AcceptedDomain> domain(Node<DomainPattern> node) {
        if (node.said().isEmpty()) {
            return Optional.empty();
        }
        DomainPattern written = node.said().get();
        boolean subdomains = node.get(Grammar.MATCH_SUBDOMAINS).orElse(false);
        if (written.kind() == DomainPattern.Kind.SUFFIX
                && node.get(Grammar.MATCH_SUBDOMAINS).equals(Optional.of(false))) {
            problems.error(
                    node.at(Grammar.MATCH_SUBDOMAINS),
                    "attribute matchSubdomains of <domain>: found 'false' with " + node.shownText()
                            + ", which names the subdomains; expected one or the other");
        }
        DomainPattern pattern = subdomains ? new DomainPattern(DomainPattern.Kind.SUFFIX, written.name()) : written;
        SourceLocation first = seen.putIfAbsent(pattern, node.location());
        if (first != null) {
            problems.error(
                    node.atText(),
                    "<domain>: found " + node.shownText()
                            + " a second time, expected each domain once; the first is on line " + first.line());
        }
        return Optional.of(new AcceptedDomain(
                pattern, node.get(Grammar.DOMAIN_TYPE).orElse(AcceptedDomain.Type.AUTHORITATIVE), node.location()));
    }
}
