/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

import dev.mailflow.policy.Secret;
import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.certificate.CertificatePin;
import dev.mailflow.policy.certificate.ClientKey;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.connector.ConnectionLimits;
import dev.mailflow.policy.connector.ConnectorType;
import dev.mailflow.policy.connector.Credentials;
import dev.mailflow.policy.connector.InternalHeaders;
import dev.mailflow.policy.connector.NextHops;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.OutboundConnectors;
import dev.mailflow.policy.connector.RetrySchedule;
import dev.mailflow.policy.connector.SmartHost;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import dev.mailflow.policy.domain.SenderPattern;

/** {@code <outboundConnectors>}. */
final class OutboundSection {
    private static final int DEFAULT_PRIORITY = 10;
    private static final int DEFAULT_WEIGHT = 1;

    private final Problems problems;
    private final CertificateFiles certificates;
    private final Map<String, SourceLocation> seen = new HashMap<>();

    OutboundSection(Reading reading) {
        this.problems = reading.problems();
        this.certificates = reading.certificates();
    }

    OutboundConnectors map(Node<Void> section) {
        List<OutboundConnector> connectors = new ArrayList<>();
        section.all(Grammar.OUTBOUND_CONNECTOR).forEach(node -> connector(node).ifPresent(connectors::add));
        return OutboundConnectors.of(connectors);
    }

    private Optional<OutboundConnector> connector(Node<Void> node) {
        Optional<String> name = ConnectorNames.take(node, seen, problems);
        boolean rulesOnly = node.get(Grammar.RULES_ONLY).orElse(false);
        if (!rulesOnly && node.all(Grammar.RECIPIENT_DOMAIN).isEmpty()) {
            problems.error(
                    node.location(),
                    "found outbound connector " + node.shown(Grammar.NAME)
                            + " without <recipientDomain>, expected one or more, or rulesOnly=\"true\"");
        }
        checkInternalHeaders(node);
        Optional<NextHops> nextHops = nextHops(node);
        TlsRequirement tls = node.one(Grammar.TLS)
                .flatMap(inner -> tls(inner, node.enabled()))
                .orElse(TlsRequirement.of(TlsLevel.OPPORTUNISTIC));
        List<Credentials> credentials = credentials(node);
        int cost = cost(node);
        ConnectionLimits limits = node.one(Grammar.LIMITS).map(this::limits).orElse(ConnectionLimits.DEFAULT);
        RetrySchedule retry = node.one(Grammar.RETRY).map(this::retry).orElse(RetrySchedule.DEFAULT);
        if (name.isEmpty() || node.get(Grammar.OUTBOUND_TYPE).isEmpty() || nextHops.isEmpty()) {
            return Optional.empty();
        }
        return Optional.of(new OutboundConnector(
                name.get(),
                node.enabled(),
                node.get(Grammar.OUTBOUND_TYPE).get(),
                rulesOnly,
                texts(node, Grammar.RECIPIENT_DOMAIN),
                texts(node, Grammar.OUTBOUND_SENDER_DOMAIN),
                cost,
                nextHops.get(),
                tls,
                credentials,
                limits,
                retry,
                node.said(Grammar.INTERNAL_HEADERS).orElse(InternalHeaders.STRIP),
                node.location()));
    }

    private <T> Set<T> texts(Node<Void> node, ElementRule<T> rule) {
        return RepeatedTexts.of(node, rule, problems);
    }

    private void checkInternalHeaders(Node<Void> node) {
        boolean preserve = node.said(Grammar.INTERNAL_HEADERS).equals(Optional.of(InternalHeaders.PRESERVE));
        boolean organization = node.get(Grammar.OUTBOUND_TYPE)
                .map(ConnectorType.ORGANIZATION::equals)
                .orElse(true);
        if (preserve && !organization) {
            problems.error(
                    node.one(Grammar.INTERNAL_HEADERS).orElseThrow().atText(),
                    "<internalHeaders>: found 'preserve' on a connector of type " + node.shown(Grammar.OUTBOUND_TYPE)
                            + ", expected 'strip': only type=\"organization\" may be told internal status");
        }
    }

    private int cost(Node<Void> node) {
        if (node.has(Grammar.COST_ATTRIBUTE) && node.one(Grammar.COST).isPresent()) {
            problems.error(
                    node.one(Grammar.COST).get().location(),
                    "found <cost> and attribute cost on one <outboundConnector>, expected one of them");
        }
        return node.get(Grammar.COST_ATTRIBUTE)
                .or(() -> node.said(Grammar.COST))
                .orElse(0);
    }

    private Optional<NextHops> nextHops(Node<Void> node) {
        List<Node<Values.HostAndPort>> hosts = node.all(Grammar.SMART_HOST);
        Optional<Node<Boolean>> useMx = node.one(Grammar.USE_MX);
        boolean mxUnknown = useMx.isPresent() && useMx.get().said().isEmpty();
        boolean mx = useMx.flatMap(Node::said).orElse(false);
        List<SmartHost> smartHosts = smartHosts(hosts);
        if (mx && !hosts.isEmpty()) {
            problems.error(
                    hosts.get(0).location(),
                    "found <smartHost> and <useMx>true</useMx> in one <outboundConnector>, expected one of them");
        }
        if (!mx && !mxUnknown && hosts.isEmpty()) {
            problems.error(
                    node.location(),
                    "found outbound connector " + node.shown(Grammar.NAME)
                            + " without next hop, expected <useMx>true</useMx> or one or more <smartHost>");
        }
        if (mx) {
            return Optional.of(new NextHops.UseMx());
        }
        return smartHosts.isEmpty() ? Optional.empty() : Optional.of(new NextHops.SmartHosts(smartHosts));
    }

    private List<SmartHost> smartHosts(List<Node<Values.HostAndPort>> nodes) {
        List<SmartHost> hosts = new ArrayList<>();
        Set<String> endpoints = new HashSet<>();
        for (Node<Values.HostAndPort> node : nodes) {
            if (node.said().isEmpty()) {
                continue;
            }
            Values.HostAndPort written = node.said().get();
            if (written.port().isPresent() && node.has(Grammar.PORT)) {
                problems.error(
                        node.at(Grammar.PORT),
                        "<smartHost>: found port=" + node.shown(Grammar.PORT) + " and a port in " + node.shownText()
                                + ", expected one of them");
            }
            SmartHost host = new SmartHost(
                    written.host(),
                    written.port().orElse(node.get(Grammar.PORT).orElse(SmartHost.DEFAULT_PORT)),
                    node.get(Grammar.PRIORITY).orElse(DEFAULT_PRIORITY),
                    node.get(Grammar.WEIGHT).orElse(DEFAULT_WEIGHT));
            if (!endpoints.add(host.toString())) {
                problems.warning(
                        node.atText(),
                        "<smartHost>: found " + node.shownText() + " a second time, expected each host and port once;"
                                + " weight= gives a host a larger share");
            }
            hosts.add(host);
        }
        return hosts;
    }

    private Optional<TlsRequirement> tls(Node<Void> node, boolean inForce) {
        TrustAnchors anchors = certificates.trustAnchors(node, inForce);
        Optional<ClientKey> key =
                node.one(Grammar.OUR_CERTIFICATE).flatMap(inner -> certificates.clientKey(inner, inForce));
        Optional<TlsLevel> known = node.get(Grammar.LEVEL);
        if (known.isEmpty()) {
            return Optional.empty();
        }
        TlsLevel level = known.get();
        boolean mtaSts = node.get(Grammar.MTA_STS).orElse(false);
        boolean dane = node.get(Grammar.DANE).orElse(false);
        if (level == TlsLevel.NONE && (mtaSts || dane)) {
            Attribute<Boolean> found = mtaSts ? Grammar.MTA_STS : Grammar.DANE;
            problems.error(
                    node.at(found),
                    "attribute " + found.name() + " of <tls>: found 'true' with level=\"none\", which never uses TLS;"
                            + " expected another level");
        }
        if (level == TlsLevel.DANE
                && node.has(Grammar.DANE)
                && node.get(Grammar.DANE).equals(Optional.of(false))) {
            problems.error(
                    node.at(Grammar.DANE),
                    "attribute dane of <tls>: found 'false' with level=\"dane\", which demands it; expected 'true' or"
                            + " another level");
        }
        onlyWith(node, Grammar.TLS_NAME, level, level == TlsLevel.DOMAIN, "level=\"domain\"");
        onlyWith(
                node,
                Grammar.TRUST_ANCHORS,
                level,
                level == TlsLevel.CA || level == TlsLevel.DOMAIN,
                "level=\"ca\" or level=\"domain\"");
        List<Node<CertificatePin>> pins = node.all(Grammar.SHA256);
        if (level == TlsLevel.PINNED && pins.isEmpty()) {
            problems.error(
                    node.location(),
                    "found <tls level=\"pinned\"> without <sha256>, expected one or more with "
                            + Values.PIN.expected());
        }
        if (level != TlsLevel.PINNED && !pins.isEmpty()) {
            problems.error(
                    pins.get(0).location(),
                    "found <sha256> with level=\"" + level + "\", expected only with level=\"pinned\"");
        }
        if (level == TlsLevel.NONE && node.one(Grammar.OUR_CERTIFICATE).isPresent()) {
            problems.error(
                    node.one(Grammar.OUR_CERTIFICATE).get().location(),
                    "found <clientCertificate> with level=\"none\", expected another level: without TLS nobody sees it");
        }
        return Optional.of(new TlsRequirement(
                level, node.get(Grammar.TLS_NAME), anchors, texts(node, Grammar.SHA256), key, mtaSts, dane));
    }

    private void onlyWith(Node<Void> node, Attribute<?> attribute, TlsLevel level, boolean fits, String expected) {
        if (node.has(attribute) && !fits) {
            problems.error(
                    node.at(attribute),
                    "attribute " + attribute.name() + " of <tls>: found " + node.shown(attribute) + " with level=\""
                            + level + "\", which does not use it; expected only with " + expected);
        }
    }

    private List<Credentials> credentials(Node<Void> connector) {
        List<Credentials> credentials = new ArrayList<>();
        Set<SenderPattern> senders = new LinkedHashSet<>();
        Optional<Node<Void>> tls = connector.one(Grammar.TLS);
        boolean levelUnknown = tls.isPresent() && tls.get().get(Grammar.LEVEL).isEmpty();
        TlsLevel level = tls.flatMap(node -> node.get(Grammar.LEVEL)).orElse(TlsLevel.OPPORTUNISTIC);
        for (Node<Void> node : connector.all(Grammar.CREDENTIALS)) {
            if (!levelUnknown && !level.requiresTls()) {
                problems.error(
                        node.location(),
                        "found <credentials> with TLS level " + level + (tls.isPresent() ? "" : " (the default)")
                                + ", expected <tls level=\"…\"> of encrypt, ca, domain, pinned or dane:"
                                + " without assured TLS the secret could cross the network in clear");
            }
            SenderPattern sender = node.get(Grammar.CREDENTIALS_SENDER).orElse(SenderPattern.ANY);
            boolean senderKnown = !node.has(Grammar.CREDENTIALS_SENDER)
                    || node.get(Grammar.CREDENTIALS_SENDER).isPresent();
            if (senderKnown && !senders.add(sender)) {
                problems.error(
                        node.at(Grammar.CREDENTIALS_SENDER),
                        "found <credentials> for "
                                + (node.has(Grammar.CREDENTIALS_SENDER)
                                        ? "sender " + node.shown(Grammar.CREDENTIALS_SENDER)
                                        : "all senders")
                                + " a second time, expected one for each sender pattern");
            }
            Optional<String> user = node.get(Grammar.USER);
            Optional<Secret> secret = node.get(Grammar.SECRET);
            if (user.isPresent() && secret.isPresent()) {
                credentials.add(new Credentials(sender, user.get(), secret.get()));
            }
        }
        return credentials;
    }

    private ConnectionLimits limits(Node<Void> node) {
        ConnectionLimits defaults = ConnectionLimits.DEFAULT;
        int connections = node.get(Grammar.CONNECTIONS).orElse(defaults.connections());
        int perDestination = node.get(Grammar.PER_DESTINATION).orElse(Math.min(connections, defaults.perDestination()));
        if (perDestination > connections) {
            problems.warning(
                    node.at(Grammar.PER_DESTINATION),
                    "attribute perDestination of <limits>: found " + node.shown(Grammar.PER_DESTINATION)
                            + ", more than the connections of the whole connector; expected no more");
        }
        return new ConnectionLimits(
                connections,
                perDestination,
                node.get(Grammar.MESSAGES_PER_CONNECTION).orElse(defaults.messagesPerConnection()),
                node.get(Grammar.IDLE).orElse(defaults.idle()));
    }

    private RetrySchedule retry(Node<Void> node) {
        RetrySchedule defaults = RetrySchedule.DEFAULT;
        Duration expireAfter = node.get(Grammar.EXPIRE_AFTER).orElse(defaults.expireAfter());
        Duration warnAfter = node.get(Grammar.WARN_AFTER).orElse(defaults.warnAfter());
        boolean expiryKnown = !node.has(Grammar.EXPIRE_AFTER)
                || node.get(Grammar.EXPIRE_AFTER).isPresent();
        if (warnAfter.compareTo(expireAfter) >= 0) {
            if (expiryKnown && node.get(Grammar.WARN_AFTER).isPresent()) {
                problems.error(
                        node.at(Grammar.WARN_AFTER),
                        "attribute warnAfter of <retry>: found " + node.shown(Grammar.WARN_AFTER)
                                + ", which is not before expireAfter ("
                                + (node.has(Grammar.EXPIRE_AFTER) ? node.shown(Grammar.EXPIRE_AFTER) : "2d by default")
                                + "); expected less");
            }
            // The default warning does not fit in a short life: such mail is bounced without one.
            warnAfter = expireAfter;
        }
        return new RetrySchedule(node.get(Grammar.SCHEDULE).orElse(defaults.schedule()), warnAfter, expireAfter);
    }
}
