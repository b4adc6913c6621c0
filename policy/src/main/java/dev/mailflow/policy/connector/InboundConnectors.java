/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

import org.apache.james.core.Domain;

import dev.mailflow.policy.certificate.PeerCertificate;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.connection.IpRange;
import dev.mailflow.policy.connection.IpRangeSet;
import dev.mailflow.policy.connection.IpTable;
import dev.mailflow.policy.connector.InboundAttribution.Match;
import dev.mailflow.policy.connector.InboundAttribution.Refusal;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.domain.DomainTable;
import dev.mailflow.policy.inbound.ClientSession;
import dev.mailflow.policy.inbound.SmtpReply;

/**
 * Decides which inbound connectors a session came through; section 3 of the mail-flow behaviour. Immutable; addresses
 * and sender domains are looked up in indexes.
 *
 * <p><b>Organization connectors grant.</b> One that states a certificate is identified by it alone: an address is easier
 * to borrow than a key, so it never replaces a certificate that was asked for, and addresses stated beside one say
 * nothing ({@code check} warns of them). One that states only addresses is
 * identified by them, the narrowest range first. Certificates are tried before addresses. Among connectors that fit
 * alike, pins come before names, specific names before general ones, and then the name of the connector decides.
 *
 * <p><b>Partner connectors restrict</b>, also where an organization connector matched. The most specific sender domain
 * decides; of two connectors with the same one, the first by name. Restrictions are checked in the order TLS, address,
 * certificate, and the first that fails is the reply. The null sender has no partner.
 *
 * <p>The client sees the replies of {@link SmtpReply}; the attribution's reasons tell the administrator more.
 */
public final class InboundConnectors {
    private static final InboundConnectors NONE = of(List.of());

    private final Map<String, InboundConnector> byName;
    private final List<InboundConnector> organizationsByCertificate;
    /** What a session without a certificate is told of them; made once, for most sessions have none. */
    private final List<Match> withoutCertificate;

    private final List<Match> withoutTls;
    private final OrganizationsByAddress organizationsByAddress;
    private final DomainTable<Partner> partners;

    private InboundConnectors(List<InboundConnector> connectors) {
        this.byName = new LinkedHashMap<>();
        for (InboundConnector connector : connectors) {
            InboundConnector other = byName.putIfAbsent(connector.name(), connector);
            if (other != null) {
                throw new IllegalArgumentException("found two inbound connectors named '" + connector.name() + "' ("
                        + other.location() + " and " + connector.location() + "), expected different names");
            }
        }
        List<InboundConnector> inForce = connectors.stream()
                .filter(InboundConnector::enabled)
                .sorted(Comparator.comparing(InboundConnector::name))
                .toList();
        List<InboundConnector> organizations = inForce.stream()
                .filter(connector -> connector.type() == ConnectorType.ORGANIZATION)
                .toList();
        this.organizationsByCertificate = organizations.stream()
                .filter(connector -> connector.clientCertificate().isPresent())
                .sorted(Comparator.comparingInt(InboundConnectors::certificateSpecificity)
                        .reversed())
                .toList();
        this.withoutCertificate = absences("the client presented none");
        this.withoutTls = absences("the session is plaintext");
        this.organizationsByAddress = OrganizationsByAddress.of(organizations.stream()
                .filter(connector -> connector.clientCertificate().isEmpty())
                .toList());
        Map<DomainPattern, Partner> partnersByDomain = new HashMap<>();
        inForce.stream()
                .filter(connector -> connector.type() == ConnectorType.PARTNER)
                .map(connector -> new Partner(connector, IpRangeSet.of(connector.clientIps())))
                .forEach(partner -> partner.connector()
                        .senderDomains()
                        .forEach(domain -> partnersByDomain.putIfAbsent(domain, partner)));
        this.partners = DomainTable.of(partnersByDomain);
    }

    private List<Match> absences(String absence) {
        return organizationsByCertificate.stream()
                .map(connector -> new Match(
                        connector,
                        "it is identified by a certificate '"
                                + connector.clientCertificate().orElseThrow().describe() + "', and " + absence))
                .toList();
    }

    /** @throws IllegalArgumentException when two connectors have one name */
    public static InboundConnectors of(List<InboundConnector> connectors) {
        return new InboundConnectors(connectors);
    }

    public static InboundConnectors none() {
        return NONE;
    }

    /** The connector of that name, enabled or not. */
    public Optional<InboundConnector> find(String name) {
        return Optional.ofNullable(byName.get(name));
    }

    /** These connectors with another one of the same name in its place. */
    public InboundConnectors with(InboundConnector replacement) {
        return of(all().stream()
                .map(connector -> connector.name().equals(replacement.name()) ? replacement : connector)
                .toList());
    }

    /** All connectors in file order, the disabled ones too. */
    public List<InboundConnector> all() {
        return List.copyOf(byName.values());
    }

    /**
     * Which connectors a session came through, for mail of one envelope sender.
     *
     * @param senderDomain empty for the null sender
     */
    public InboundAttribution attribute(ClientSession session, Optional<Domain> senderDomain, Instant now) {
        List<Match> rejected = new ArrayList<>();
        Optional<Match> organization = byCertificate(session, senderDomain, now, rejected)
                .or(() -> organizationsByAddress.find(session, senderDomain));
        if (organization.isEmpty()) {
            organizationsByAddress
                    .findIfOnlyTlsWereThere(session, senderDomain)
                    .ifPresent(match -> rejected.add(new Match(
                            match.connector(),
                            match.reason() + " is right, but it requires TLS and the session is plaintext")));
        }
        Optional<PartnerMatch> partner = senderDomain.flatMap(this::partnerOf);
        return new InboundAttribution(
                organization,
                partner.map(PartnerMatch::match),
                partner.flatMap(match -> match.partner().refusalOf(session, now)),
                session.authenticatedUser().isPresent(),
                rejected);
    }

    private Optional<Match> byCertificate(
            ClientSession session, Optional<Domain> senderDomain, Instant now, List<Match> rejected) {
        // without TLS there is no certificate; a session that claims otherwise is not believed
        Optional<PeerCertificate> presented =
                session.peerCertificate().filter(unused -> session.tls().isPresent());
        if (presented.isEmpty()) {
            rejected.addAll(session.tls().isPresent() ? withoutCertificate : withoutTls);
            return Optional.empty();
        }
        for (InboundConnector connector : organizationsByCertificate) {
            ClientCertificateRule rule = connector.clientCertificate().orElseThrow();
            Optional<String> objection = rule.objectionTo(presented.get(), now)
                    .or(() -> isFor(connector, senderDomain)
                            ? Optional.empty()
                            : Optional.of("the certificate is right, but " + nameOf(senderDomain)
                                    + " is not one of its sender domains"));
            if (objection.isEmpty()) {
                return Optional.of(
                        new Match(connector, "client certificate '" + rule.describe() + "' (" + rule.trust() + ")"));
            }
            rejected.add(new Match(connector, objection.get()));
        }
        return Optional.empty();
    }

    private static boolean isFor(InboundConnector connector, Optional<Domain> senderDomain) {
        return connector.senderDomains().isEmpty()
                || senderDomain.isEmpty()
                || connector.senderDomains().stream().anyMatch(pattern -> pattern.matches(senderDomain.get()));
    }

    private static String nameOf(Optional<Domain> senderDomain) {
        return senderDomain.map(Domain::asString).orElse("<>");
    }

    private static int certificateSpecificity(InboundConnector connector) {
        ClientCertificateRule rule = connector.clientCertificate().orElseThrow();
        return switch (rule.trust()) {
            case PINNED -> Integer.MAX_VALUE;
            case CA -> Math.min(rule.name().orElse(DomainPattern.ANY).specificity(), Integer.MAX_VALUE - 1);
        };
    }

    private Optional<PartnerMatch> partnerOf(Domain senderDomain) {
        List<PartnerMatch> mostSpecific = new ArrayList<>(1);
        partners.visit(
                senderDomain.asString(),
                (pattern, partner) -> mostSpecific.add(
                        new PartnerMatch(partner, new Match(partner.connector(), "senderDomain " + pattern))));
        return mostSpecific.stream().findFirst();
    }

    private record PartnerMatch(Partner partner, Match match) {}

    private record Partner(InboundConnector connector, IpRangeSet clientIps) {

        Optional<Refusal> refusalOf(ClientSession session, Instant now) {
            String by = "connector '" + connector.name() + "' ";
            if (connector.requireTls() && session.tls().isEmpty()) {
                return Optional.of(
                        new Refusal(SmtpReply.mustIssueStartTls(), by + "requires TLS and the session is plaintext"));
            }
            if (!connector.clientIps().isEmpty() && !clientIps.contains(session.clientIp())) {
                return Optional.of(new Refusal(
                        SmtpReply.restrictedToOtherAddresses(connector.name()),
                        by + "accepts only its client addresses, and " + session.clientIp() + " is none of them"));
            }
            return connector.clientCertificate().flatMap(rule -> certificateObjection(rule, session, now)
                    .map(objection -> new Refusal(
                            SmtpReply.requiresCertificate(rule.describe(), connector.name()),
                            by + "requires a certificate '" + rule.describe() + "' (" + rule.trust() + "), but "
                                    + objection)));
        }

        private static Optional<String> certificateObjection(
                ClientCertificateRule rule, ClientSession session, Instant now) {
            if (session.tls().isEmpty()) {
                return Optional.of("the session is plaintext");
            }
            return session.peerCertificate()
                    .map(certificate -> rule.objectionTo(certificate, now))
                    .orElse(Optional.of("the client presented none"));
        }
    }

    /**
     * Organization connectors that only their addresses identify. The null sender is granted what any sender from that
     * address would be, for it is how the peer's delivery status notifications arrive.
     */
    private record OrganizationsByAddress(
            BySessionKind nullSender, BySessionKind anySender, DomainTable<BySessionKind> bySender) {

        static OrganizationsByAddress of(List<InboundConnector> connectors) {
            Map<DomainPattern, List<InboundConnector>> scoped = new HashMap<>();
            connectors.forEach(connector -> connector.senderDomains().forEach(domain -> scoped.computeIfAbsent(
                            domain, unused -> new ArrayList<>())
                    .add(connector)));
            Map<DomainPattern, BySessionKind> compiled = new HashMap<>();
            scoped.forEach((domain, itsConnectors) -> compiled.put(domain, BySessionKind.of(itsConnectors)));
            return new OrganizationsByAddress(
                    BySessionKind.of(connectors),
                    BySessionKind.of(connectors.stream()
                            .filter(connector -> connector.senderDomains().isEmpty())
                            .toList()),
                    DomainTable.of(compiled));
        }

        Optional<Match> find(ClientSession session, Optional<Domain> senderDomain) {
            return find(session.clientIp(), session.tls().isPresent(), senderDomain);
        }

        /** What a plaintext session would match had it been encrypted. */
        Optional<Match> findIfOnlyTlsWereThere(ClientSession session, Optional<Domain> senderDomain) {
            return session.tls().isPresent() ? Optional.empty() : find(session.clientIp(), true, senderDomain);
        }

        private Optional<Match> find(IpAddress client, boolean encrypted, Optional<Domain> senderDomain) {
            if (senderDomain.isEmpty()) {
                return nullSender.find(client, encrypted);
            }
            List<Match> found = new ArrayList<>(1);
            bySender.visit(senderDomain.get().asString(), (pattern, connectors) -> {
                connectors.find(client, encrypted).ifPresent(found::add);
                return !found.isEmpty();
            });
            return found.stream().findFirst().or(() -> anySender.find(client, encrypted));
        }
    }

    /** Two indexes, so that a narrow range that demands TLS does not hide a wider one that does not. */
    private record BySessionKind(IpTable<Candidate> encrypted, IpTable<Candidate> plaintext) {

        private record Candidate(InboundConnector connector, IpRange range) {}

        static BySessionKind of(List<InboundConnector> connectors) {
            return new BySessionKind(
                    index(connectors.stream()),
                    index(connectors.stream().filter(connector -> !connector.requireTls())));
        }

        private static IpTable<Candidate> index(Stream<InboundConnector> connectors) {
            IpTable.Builder<Candidate> table = IpTable.builder();
            connectors.forEach(connector ->
                    connector.clientIps().forEach(range -> table.add(range, new Candidate(connector, range))));
            return table.build();
        }

        Optional<Match> find(IpAddress client, boolean isEncrypted) {
            return (isEncrypted ? encrypted : plaintext)
                    .find(client)
                    .map(candidate -> new Match(candidate.connector(), "clientIp " + candidate.range()));
        }
    }
}
