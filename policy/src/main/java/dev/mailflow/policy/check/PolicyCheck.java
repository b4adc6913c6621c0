/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.check;

import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.certificate.ClientKey;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.connection.ConnectionFilter;
import dev.mailflow.policy.connector.ConnectorType;
import dev.mailflow.policy.connector.InboundConnector;
import dev.mailflow.policy.connector.NextHops;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.Route;
import dev.mailflow.policy.connector.SmartHost;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import dev.mailflow.policy.domain.AcceptedDomain;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.domain.SenderPattern;

/**
 * Finds what is valid in a policy and yet cannot mean what it seems to mean: connectors that are never chosen, mail that
 * goes nowhere, TLS that can never succeed, entries that expired. An error is something that can never work; a warning
 * something that has no effect or is doubtful. Pure.
 */
public final class PolicyCheck {
    /** Certificates are reported this long before they expire. */
    private static final java.time.Duration EXPIRES_SOON = java.time.Duration.ofDays(14);

    private final MailFlowPolicy policy;
    private final Instant now;
    private final List<PolicyProblem> problems = new ArrayList<>();

    private PolicyCheck(MailFlowPolicy policy, Instant now) {
        this.policy = policy;
        this.now = now;
    }

    /** All findings at the given time, in file order. */
    public static List<PolicyProblem> check(MailFlowPolicy policy, Instant now) {
        PolicyCheck check = new PolicyCheck(policy, now);
        check.connectionFilter();
        check.inboundConnectors();
        check.outboundConnectors();
        check.acceptedDomains();
        new AddressRewriteCheck(policy, check.problems::add).run();
        new TransportRulesCheck(policy, now, check.problems::add).run();
        new HybridCheck(policy, check.problems::add).run();
        return check.problems.stream()
                .sorted(Comparator.comparing(
                                (PolicyProblem problem) -> problem.location().file())
                        .thenComparingInt(problem -> problem.location().line()))
                .toList();
    }

    private void error(SourceLocation location, String message) {
        problems.add(PolicyProblem.error(location, message));
    }

    private void warning(SourceLocation location, String message) {
        problems.add(PolicyProblem.warning(location, message));
    }

    private void connectionFilter() {
        List<ConnectionFilter.Entry> entries = policy.connectionFilter().entries().stream()
                .filter(ConnectionFilter.Entry::enabled)
                .toList();
        for (ConnectionFilter.Entry entry : entries) {
            if (entry.isExpiredAt(now)) {
                warning(
                        entry.location(),
                        "<" + entry.action() + "> " + entry.range() + " expired at "
                                + entry.expires().orElseThrow()
                                + " and has no effect; remove it or set a later expires");
                continue;
            }
            for (var except : entry.except()) {
                if (!entry.range().contains(except.first()) && !entry.range().contains(except.last())) {
                    warning(
                            entry.location(),
                            "except " + except + " carves nothing out of " + entry.range() + ": they do not overlap");
                }
            }
            entries.stream()
                    .filter(other -> !other.equals(entry) && hides(other, entry))
                    .findFirst()
                    .ifPresent(other -> warning(
                            entry.location(),
                            "<" + entry.action() + "> " + entry.range() + " has no effect: <" + other.action() + "> "
                                    + other.range() + " at " + other.location() + " covers it"
                                    + (other.action() == entry.action() ? "" : ", and allow beats block")));
        }
    }

    /** Whether {@code entry} never decides because {@code other} always does, with the same or a stronger action. */
    private boolean hides(ConnectionFilter.Entry other, ConnectionFilter.Entry entry) {
        boolean unconditional = other.except().isEmpty()
                && other.senderDomain().isEmpty()
                && other.expires().isEmpty();
        boolean covers = other.range().contains(entry.range().first())
                && other.range().contains(entry.range().last());
        boolean beats =
                other.action() == ConnectionFilter.Action.ALLOW || entry.action() == ConnectionFilter.Action.BLOCK;
        boolean sameRangeAndLater = other.range().equals(entry.range())
                && other.action() == entry.action()
                && other.location().line() > entry.location().line();
        return unconditional && covers && beats && !sameRangeAndLater;
    }

    private void inboundConnectors() {
        Collection<InboundConnector> connectors = policy.inboundConnectors().all();
        for (InboundConnector connector : connectors) {
            if (!connector.enabled()) {
                continue;
            }
            String name = "inbound connector '" + connector.name() + "'";
            connector.clientCertificate().ifPresent(rule -> {
                anchors(rule.trustAnchors(), connector.location(), name);
                rule.name().ifPresent(pattern -> noAddress(pattern, connector.location(), name));
                if (!connector.requireTls() && connector.type() == ConnectorType.PARTNER) {
                    warning(
                            connector.location(),
                            name
                                    + " has requireTls false and demands a client certificate: a plaintext session has"
                                    + " none and is refused all the same");
                }
            });
            if (connector.type() == ConnectorType.ORGANIZATION
                    && connector.clientCertificate().isPresent()
                    && !connector.clientIps().isEmpty()) {
                warning(
                        connector.location(),
                        name + " is identified by its client certificate: its clientIp has no effect");
            }
            connectors.stream()
                    .filter(other -> other.enabled()
                            && other.type() == connector.type()
                            && other.name().compareTo(connector.name()) < 0)
                    .forEach(other -> sameClaim(connector, other));
        }
    }

    private void sameClaim(InboundConnector connector, InboundConnector other) {
        String names = "inbound connector '" + connector.name() + "' is never chosen for ";
        if (connector.type() == ConnectorType.PARTNER) {
            connector.senderDomains().stream()
                    .filter(other.senderDomains()::contains)
                    .forEach(domain -> warning(
                            connector.location(),
                            names + "senderDomain " + domain + ": '" + other.name() + "' at " + other.location()
                                    + " names it too and comes first by name"));
        } else if (connector.clientCertificate().isPresent()
                && connector.clientCertificate().equals(other.clientCertificate())) {
            warning(
                    connector.location(),
                    names + "its client certificate: '" + other.name() + "' at " + other.location()
                            + " is identified by the same one and comes first by name");
        }
    }

    private void outboundConnectors() {
        for (OutboundConnector connector : policy.outboundConnectors().all()) {
            if (!connector.enabled() || connector.location().equals(SourceLocation.NONE)) {
                continue;
            }
            shadowed(connector);
            tls(connector);
        }
    }

    private void shadowed(OutboundConnector connector) {
        if (connector.rulesOnly()) {
            return;
        }
        List<DomainPattern> hidden = new ArrayList<>();
        List<String> by = new ArrayList<>();
        for (DomainPattern pattern : connector.recipientDomains()) {
            policy.outboundConnectors().all().stream()
                    .filter(other -> !other.name().equals(connector.name())
                            && !other.equals(OutboundConnector.IMPLIED_INTERNET)
                            && other.enabled()
                            && !other.rulesOnly()
                            && other.recipientDomains().contains(pattern)
                            && alwaysBefore(other, connector))
                    .findFirst()
                    .ifPresent(other -> {
                        hidden.add(pattern);
                        by.add("'" + other.name() + "' at " + other.location());
                    });
        }
        for (int i = 0; i < hidden.size(); i++) {
            warning(
                    connector.location(),
                    "outbound connector '" + connector.name() + "' is shadowed"
                            + (hidden.size() == connector.recipientDomains().size() ? " and never used" : "")
                            + ": for recipientDomain " + hidden.get(i) + ", " + by.get(i)
                            + " is always chosen before it (cost, then name)");
        }
    }

    private static boolean alwaysBefore(OutboundConnector other, OutboundConnector connector) {
        boolean first = other.cost() != connector.cost()
                ? other.cost() < connector.cost()
                : other.name().compareTo(connector.name()) < 0;
        boolean everySender = other.senderDomains().contains(SenderPattern.ANY);
        if (connector.senderDomains().isEmpty()) {
            // A scope of '*' is a scope that matches: it is preferred to none.
            return everySender || (other.senderDomains().isEmpty() && first);
        }
        return first && other.senderDomains().containsAll(connector.senderDomains());
    }

    private void tls(OutboundConnector connector) {
        TlsRequirement tls = connector.tls();
        String name = "outbound connector '" + connector.name() + "'";
        SourceLocation location = connector.location();
        if (tls.level() == TlsLevel.CA || tls.level() == TlsLevel.DOMAIN) {
            anchors(tls.trustAnchors(), location, name);
        }
        tls.name().ifPresent(pattern -> noAddress(pattern, location, name));
        if (tls.level() == TlsLevel.DOMAIN
                && tls.name().isEmpty()
                && connector.nextHops() instanceof NextHops.SmartHosts smartHosts) {
            smartHosts.hosts().stream()
                    .filter(PolicyCheck::isAddress)
                    .forEach(host -> error(
                            location,
                            name + " can never succeed at TLS level domain: smartHost " + host
                                    + " is an address, certificates name hosts; add name= to <tls> or use the"
                                    + " host's name"));
        }
        if (tls.level() == TlsLevel.DANE && connector.nextHops() instanceof NextHops.SmartHosts smartHosts) {
            smartHosts.hosts().stream()
                    .filter(PolicyCheck::isAddress)
                    .forEach(host -> error(
                            location,
                            name + " can never succeed at TLS level dane: smartHost " + host
                                    + " is an address, TLSA records are found by name; use the host's name"));
        }
        if (tls.mtaSts() && connector.nextHops() instanceof NextHops.SmartHosts) {
            warning(
                    location,
                    name + " has mtaSts=\"true\", which has no effect with <smartHost>: only MX hosts are held to"
                            + " such policies; use level=\"domain\" to be sure of the host");
        }
        if (tls.level() == TlsLevel.NONE && connector.nextHops() instanceof NextHops.SmartHosts smartHosts) {
            smartHosts.hosts().stream()
                    .filter(host -> host.port() == SmartHost.IMPLICIT_TLS_PORT)
                    .forEach(host -> error(
                            location,
                            name + " can never succeed at TLS level none: smartHost " + host
                                    + " speaks TLS from the first byte on that port"));
        }
        tls.clientCertificate().ifPresent(key -> clientKey(key, location, name));
    }

    private void clientKey(ClientKey key, SourceLocation location, String name) {
        validity(key.chain().get(0), location, name + ", client certificate " + key.source());
    }

    private void anchors(TrustAnchors anchors, SourceLocation location, String name) {
        List<X509Certificate> valid = anchors.certificates().stream()
                .filter(certificate -> !now.isAfter(certificate.getNotAfter().toInstant())
                        && !now.isBefore(certificate.getNotBefore().toInstant()))
                .toList();
        if (!anchors.isJdk() && valid.isEmpty()) {
            error(
                    location,
                    name + " can never succeed: every certificate in " + anchors
                            + " is expired or not yet valid; replace the trust anchors");
        }
    }

    private void validity(X509Certificate certificate, SourceLocation location, String what) {
        Instant notAfter = certificate.getNotAfter().toInstant();
        Instant notBefore = certificate.getNotBefore().toInstant();
        if (now.isAfter(notAfter)) {
            error(location, what + " expired at " + notAfter + "; peers will refuse it: renew it");
        } else if (now.isBefore(notBefore)) {
            error(location, what + " is not valid before " + notBefore + "; peers will refuse it until then");
        } else if (now.plus(EXPIRES_SOON).isAfter(notAfter)) {
            warning(location, what + " expires at " + notAfter + "; renew it");
        }
    }

    private void noAddress(DomainPattern pattern, SourceLocation location, String name) {
        if (pattern.kind() == DomainPattern.Kind.EXACT && looksLikeAddress(pattern.name())) {
            error(
                    location,
                    name + " can never match a certificate named '" + pattern
                            + "': that is an address, expected a host name");
        }
    }

    private static boolean isAddress(SmartHost host) {
        return host.host().indexOf(':') >= 0 || looksLikeAddress(host.host());
    }

    private static boolean looksLikeAddress(String name) {
        return name.chars().allMatch(c -> c == '.' || (c >= '0' && c <= '9'));
    }

    private void acceptedDomains() {
        for (AcceptedDomain domain : policy.acceptedDomains().entries()) {
            // who is not here of a shared domain is in the cloud, whose connector has the remote routing domain
            boolean shared = policy.hybrid()
                    .filter(hybrid -> hybrid.isShared(
                            org.apache.james.core.Domain.of(domain.pattern().name())))
                    .isPresent();
            if (domain.type() != AcceptedDomain.Type.AUTHORITATIVE && !shared) {
                relayDomain(domain);
            }
        }
        OutboundConnector internet =
                policy.outboundConnectors().find(OutboundConnector.INTERNET).orElseThrow();
        boolean everyDomain = policy.outboundConnectors().all().stream()
                .anyMatch(connector -> connector.enabled()
                        && !connector.rulesOnly()
                        && connector.senderDomains().isEmpty()
                        && connector.recipientDomains().contains(DomainPattern.ANY));
        if (!everyDomain) {
            warning(
                    internet.location(),
                    "domains that no connector names have no route: connector 'internet' takes the place of the implied"
                            + " default route but is not for every sender and recipient (recipientDomain *); their mail"
                            + " waits until it expires");
        }
    }

    private void relayDomain(AcceptedDomain domain) {
        String probe = domain.pattern().name();
        Route route = policy.outboundConnectors().choose(Optional.empty(), org.apache.james.core.Domain.of(probe));
        String what = domain.type() + " domain " + domain.pattern();
        if (route instanceof Route.NoSuchConnector) {
            warning(domain.location(), what + " has no route: " + route.reason() + "; its mail waits until it expires");
        } else if (route instanceof Route.Via via
                && via.connector().type() == ConnectorType.INTERNET
                && via.connector().nextHops() instanceof NextHops.UseMx) {
            warning(
                    domain.location(),
                    what + " has no connector of its own: its mail goes to its MX by connector '"
                            + via.connector().name() + "', which loops if the MX is this gateway; add an outbound"
                            + " connector with its recipientDomain");
        }
    }
}
