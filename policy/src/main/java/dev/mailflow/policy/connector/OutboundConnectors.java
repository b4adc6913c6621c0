/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;

import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.domain.DomainTable;
import dev.mailflow.policy.domain.SenderPattern;

/**
 * All outbound connectors and the choice among them (mail-flow behaviour, section 4): a connector named by a rule or
 * a mailet; else the enabled, not rules-only connector with the most specific matching recipient domain; among equals
 * the one whose sender scope matches most specifically, then the lowest cost, then the name. No match: the implied
 * Internet connector, which exists unless the policy has a connector of that name.
 *
 * <p>Immutable. A choice costs one hash probe per label of the recipient domain.
 */
public final class OutboundConnectors {
    private static final int UNSCOPED = -1;

    private final Map<String, OutboundConnector> byName;
    private final DomainTable<List<OutboundConnector>> byRecipientDomain;

    private OutboundConnectors(Collection<OutboundConnector> connectors) {
        Map<String, OutboundConnector> names = new LinkedHashMap<>();
        connectors.forEach(connector -> names.put(connector.name(), connector));
        names.putIfAbsent(OutboundConnector.INTERNET, OutboundConnector.IMPLIED_INTERNET);
        this.byName = names;

        Map<DomainPattern, List<OutboundConnector>> candidates = new HashMap<>();
        // The implied connector is no candidate: it is what is left when there is none.
        connectors.stream()
                .filter(connector -> connector.enabled() && !connector.rulesOnly())
                .forEach(connector -> connector.recipientDomains().forEach(pattern -> candidates
                        .computeIfAbsent(pattern, key -> new ArrayList<>())
                        .add(connector)));
        candidates.replaceAll((pattern, list) -> List.copyOf(list));
        this.byRecipientDomain = DomainTable.of(candidates);
    }

    /** The given connectors, whose names are distinct, and the implied one. */
    public static OutboundConnectors of(Collection<OutboundConnector> connectors) {
        return new OutboundConnectors(connectors);
    }

    /** The implied Internet connector only. */
    public static OutboundConnectors none() {
        return new OutboundConnectors(List.of());
    }

    /** All connectors in file order, disabled ones and the implied one too. */
    public Collection<OutboundConnector> all() {
        return Collections.unmodifiableCollection(byName.values());
    }

    /** The connector of that name, whether or not it is enabled. */
    public Optional<OutboundConnector> find(String name) {
        return Optional.ofNullable(byName.get(name));
    }

    /** These connectors with another one of the same name in its place. */
    public OutboundConnectors with(OutboundConnector replacement) {
        return of(byName.values().stream()
                .filter(connector -> !connector.equals(OutboundConnector.IMPLIED_INTERNET))
                .map(connector -> connector.name().equals(replacement.name()) ? replacement : connector)
                .toList());
    }

    /** The connector for one recipient; {@code sender} is empty for the null sender. */
    public Route choose(Optional<MailAddress> sender, Domain recipientDomain) {
        Choice choice = new Choice(sender);
        byRecipientDomain.visit(recipientDomain.asString(), choice);
        if (choice.best != null) {
            return new Route.Via(choice.best, choice.reason());
        }
        OutboundConnector internet = byName.get(OutboundConnector.INTERNET);
        if (internet.equals(OutboundConnector.IMPLIED_INTERNET)) {
            return new Route.Via(
                    internet, "no connector is for " + recipientDomain.asString() + ": implied default route");
        }
        return new Route.NoSuchConnector(
                OutboundConnector.INTERNET,
                "no connector is for " + recipientDomain.asString()
                        + ", and the policy's own connector 'internet' takes the place of the implied one");
    }

    /** The connector that a rule or a mailet names. */
    public Route named(String name, String namedBy) {
        OutboundConnector connector = byName.get(name);
        if (connector == null) {
            return new Route.NoSuchConnector(
                    name,
                    namedBy + " names outbound connector '" + name + "', which the policy does not have (it has "
                            + String.join(", ", byName.keySet()) + ")");
        }
        if (!connector.enabled()) {
            return new Route.NoSuchConnector(
                    name, namedBy + " names outbound connector '" + name + "', which is disabled");
        }
        return new Route.Via(connector, "named by " + namedBy);
    }

    /** Remembers the best candidate of the most specific pattern that has any. */
    private static final class Choice implements DomainTable.Visitor<List<OutboundConnector>> {
        private final Optional<MailAddress> sender;
        private DomainPattern pattern = DomainPattern.ANY;
        private OutboundConnector best;

        private Choice(Optional<MailAddress> sender) {
            this.sender = sender;
        }

        @Override
        public boolean visit(DomainPattern visited, List<OutboundConnector> candidates) {
            best = candidates.stream()
                    .filter(candidate -> scope(candidate) > Integer.MIN_VALUE)
                    .min(Comparator.<OutboundConnector>comparingLong(candidate -> -scope(candidate))
                            .thenComparingInt(OutboundConnector::cost)
                            .thenComparing(OutboundConnector::name))
                    .orElse(null);
            pattern = visited;
            return best != null;
        }

        /** How specifically the connector's sender scope names the sender; the minimum: not at all. */
        private long scope(OutboundConnector candidate) {
            if (candidate.senderDomains().isEmpty()) {
                return UNSCOPED;
            }
            return candidate.senderDomains().stream()
                    .filter(scope -> scope.matches(sender))
                    .mapToLong(SenderPattern::specificity)
                    .max()
                    .orElse(Integer.MIN_VALUE);
        }

        private String reason() {
            String byDomain = "recipientDomain " + pattern;
            return best.senderDomains().stream()
                    .filter(scope -> scope.matches(sender))
                    .max(Comparator.comparingLong(SenderPattern::specificity))
                    .map(scope -> byDomain + ", senderDomain " + scope)
                    .orElse(byDomain);
        }
    }
}
