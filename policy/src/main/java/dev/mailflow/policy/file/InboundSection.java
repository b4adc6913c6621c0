/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.certificate.CertificatePin;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.connection.IpRange;
import dev.mailflow.policy.connector.ClientCertificateRule;
import dev.mailflow.policy.connector.ConnectorType;
import dev.mailflow.policy.connector.InboundConnector;
import dev.mailflow.policy.connector.InboundConnectors;
import dev.mailflow.policy.connector.InternalHeaders;
import dev.mailflow.policy.domain.DomainPattern;

/** {@code <inboundConnectors>}. */
final class InboundSection {
    private static final Set<IpRange> EVERYBODY = Set.of(IpRange.parse("0.0.0.0/0"), IpRange.parse("::/0"));

    private final Problems problems;
    private final CertificateFiles certificates;
    private final Map<String, SourceLocation> seen = new HashMap<>();

    InboundSection(Reading reading) {
        this.problems = reading.problems();
        this.certificates = reading.certificates();
    }

    InboundConnectors map(Node<Void> section) {
        List<InboundConnector> connectors = new ArrayList<>();
        section.all(Grammar.INBOUND_CONNECTOR).forEach(node -> connector(node).ifPresent(connectors::add));
        return InboundConnectors.of(connectors);
    }

    private Optional<InboundConnector> connector(Node<Void> node) {
        Optional<String> name = ConnectorNames.take(node, seen, problems);
        Set<DomainPattern> senderDomains = RepeatedTexts.of(node, Grammar.INBOUND_SENDER_DOMAIN, problems);
        List<IpRange> clientIps = List.copyOf(RepeatedTexts.of(node, Grammar.CLIENT_IP, problems));
        Optional<Node<Void>> certificate = node.one(Grammar.PEER_CERTIFICATE);
        Optional<ClientCertificateRule> certificateRule =
                certificate.flatMap(inner -> certificate(inner, node.enabled()));
        Optional<ConnectorType> type = node.get(Grammar.INBOUND_TYPE);
        type.ifPresent(known -> {
            if (known == ConnectorType.ORGANIZATION) {
                checkOrganization(node, certificate.isPresent());
            } else {
                checkPartner(node, certificate);
            }
        });
        if (type.isEmpty() || name.isEmpty()) {
            return Optional.empty();
        }
        boolean organization = type.get() == ConnectorType.ORGANIZATION;
        return Optional.of(new InboundConnector(
                name.get(),
                node.enabled(),
                type.get(),
                senderDomains,
                node.said(Grammar.REQUIRE_TLS).orElse(!organization),
                clientIps,
                certificateRule,
                node.said(Grammar.INTERNAL_HEADERS).orElse(InternalHeaders.STRIP),
                node.said(Grammar.RELAY).orElse(organization),
                node.location()));
    }

    private void checkPartner(Node<Void> node, Optional<Node<Void>> certificate) {
        if (node.all(Grammar.INBOUND_SENDER_DOMAIN).isEmpty()) {
            problems.error(
                    node.location(),
                    "found partner connector " + node.shown(Grammar.NAME)
                            + " without <senderDomain>, expected one or more: it restricts the mail of these domains");
        }
        if (node.said(Grammar.INTERNAL_HEADERS).equals(Optional.of(InternalHeaders.PRESERVE))) {
            problems.error(
                    node.one(Grammar.INTERNAL_HEADERS).orElseThrow().atText(),
                    "<internalHeaders>: found 'preserve' on a partner connector, expected 'strip':"
                            + " only type=\"organization\" may pass internal status");
        }
        if (node.said(Grammar.RELAY).equals(Optional.of(true))) {
            problems.error(
                    node.one(Grammar.RELAY).orElseThrow().atText(),
                    "<relay>: found 'true' on a partner connector, expected 'false':"
                            + " only type=\"organization\" may relay");
        }
        if (certificate.isPresent() && node.said(Grammar.REQUIRE_TLS).equals(Optional.of(false))) {
            problems.warning(
                    node.one(Grammar.REQUIRE_TLS).orElseThrow().atText(),
                    "<requireTls>: found 'false' with a <clientCertificate>, which only a TLS session can show;"
                            + " expected 'true'");
        }
    }

    private void checkOrganization(Node<Void> node, boolean hasCertificate) {
        if (hasCertificate) {
            return;
        }
        if (node.all(Grammar.CLIENT_IP).isEmpty()) {
            problems.error(
                    node.location(),
                    "found organization connector " + node.shown(Grammar.NAME)
                            + " without <clientCertificate> and <clientIp>, expected at least one:"
                            + " without them every client would be the organization and could relay");
        }
        node.all(Grammar.CLIENT_IP).stream()
                .filter(ip -> ip.said().filter(EVERYBODY::contains).isPresent())
                .forEach(ip -> problems.error(
                        ip.atText(),
                        "<clientIp>: found " + ip.shownText() + " on an organization connector without"
                                + " <clientCertificate>, expected the addresses of the organization's own servers:"
                                + " every client could relay (open relay)"));
    }

    private Optional<ClientCertificateRule> certificate(Node<Void> node, boolean inForce) {
        boolean pinned = node.get(Grammar.PEER_TRUST).equals(Optional.of("pinned"));
        boolean trustKnown =
                !node.has(Grammar.PEER_TRUST) || node.get(Grammar.PEER_TRUST).isPresent();
        TrustAnchors anchors = certificates.trustAnchors(node, inForce);
        if (!trustKnown) {
            return Optional.empty();
        }
        if (pinned) {
            if (!node.has(Grammar.PEER_PINS)) {
                problems.error(
                        node.location(),
                        "found <clientCertificate trust=\"pinned\"> without attribute sha256, expected sha256=\"…\" with "
                                + Values.PIN.expected());
            }
            if (node.has(Grammar.TRUST_ANCHORS)) {
                problems.error(
                        node.at(Grammar.TRUST_ANCHORS),
                        "attribute trustAnchors of <clientCertificate>: found with trust=\"pinned\", expected only with"
                                + " trust=\"ca\": a pin needs no authority");
            }
        } else {
            if (node.has(Grammar.PEER_PINS)) {
                problems.error(
                        node.at(Grammar.PEER_PINS),
                        "attribute sha256 of <clientCertificate>: found with trust=\"ca\", expected only with trust=\"pinned\"");
            }
            if (!node.has(Grammar.PEER_NAME)) {
                problems.error(
                        node.location(),
                        "found <clientCertificate> without attribute name, expected name=\"…\" with "
                                + Grammar.PEER_NAME.type().expected()
                                + ": authorities issue certificates to anybody");
            }
        }
        Set<CertificatePin> pins = pinned
                ? node.get(Grammar.PEER_PINS).stream().flatMap(List::stream).collect(Collectors.toSet())
                : Set.of();
        boolean usable = pinned ? !pins.isEmpty() : node.get(Grammar.PEER_NAME).isPresent();
        return usable
                ? Optional.of(new ClientCertificateRule(
                        node.get(Grammar.PEER_NAME),
                        pinned ? ClientCertificateRule.Trust.PINNED : ClientCertificateRule.Trust.CA,
                        anchors,
                        pins))
                : Optional.empty();
    }
}
