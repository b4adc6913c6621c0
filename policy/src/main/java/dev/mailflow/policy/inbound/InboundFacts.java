/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.inbound;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;

import org.apache.james.core.Domain;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;

import dev.mailflow.policy.certificate.CertificatePin;
import dev.mailflow.policy.certificate.PeerCertificate;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.connection.ConnectionFilter;
import dev.mailflow.policy.connection.ConnectionVerdict;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.connector.ClientCertificateRule;
import dev.mailflow.policy.connector.ConnectorType;
import dev.mailflow.policy.connector.InboundAttribution;
import dev.mailflow.policy.connector.InboundConnector;

/**
 * What is known of a mail's arrival, as it travels on the mail: one JSON string in the attribute {@link #ATTRIBUTE}, so
 * that a queue or repository can store it without our classes.
 *
 * @param clientIp the client, after PROXY
 * @param clientName what DNS calls the client, confirmed the other way round; empty also where nobody asked
 * @param helo what the client called itself; unverified
 * @param peer the client's certificate, if it presented one
 * @param xoorg the XOORG parameter; present only where internal headers are preserved, for elsewhere it may be forged
 * @param connector the inbound connector the mail is attributed to
 * @param verdict the connection filter's
 * @param verdictReason why
 * @param internalHeadersPreserved whether cross-premises headers are promoted instead of removed
 */
public record InboundFacts(
        IpAddress clientIp,
        Optional<String> clientName,
        Optional<String> helo,
        Optional<TlsSession> tls,
        Optional<Peer> peer,
        Optional<String> authenticatedUser,
        Optional<String> xoorg,
        Optional<Connector> connector,
        ConnectionVerdict.Kind verdict,
        String verdictReason,
        Origin origin,
        boolean internalHeadersPreserved) {

    /** The mail attribute that holds {@link #toJson()}. */
    public static final String ATTRIBUTE = "mailflow.inbound";

    /** The header that tells the connection filter's verdict (mail-flow behaviour, section 2). */
    public static final String VERDICT_HEADER = "X-Mailflow-Connection-Filter";

    private static final Logger LOGGER = LoggerFactory.getLogger(InboundFacts.class);
    private static final IpAddress UNSPECIFIED = IpAddress.parse("0.0.0.0");

    /** Raised only when a reader of an older version would misunderstand; additions do not raise it. */
    private static final int VERSION = 1;

    private static final ObjectMapper JSON = new ObjectMapper();

    /**
     * A client certificate as it was judged on arrival.
     *
     * @param names its DNS names
     * @param sha256 of the certificate; empty when it was only supposed
     * @param trusted whether a PKIX path led to the trust anchors of the attributed connector, else to the JDK's
     */
    public record Peer(String subject, List<String> names, Optional<CertificatePin> sha256, boolean trusted) {
        public Peer {
            names = List.copyOf(names);
        }
    }

    /** The attributed connector, by name: the policy may have changed since. */
    public record Connector(String name, ConnectorType type) {}

    /** The facts of a session whose mail was not refused. */
    public static InboundFacts of(
            ClientSession session, InboundAttribution attribution, ConnectionVerdict verdict, Instant now) {
        TrustAnchors anchors = attribution
                .connector()
                .flatMap(InboundConnector::clientCertificate)
                .map(ClientCertificateRule::trustAnchors)
                .orElseGet(TrustAnchors::jdk);
        return new InboundFacts(
                session.clientIp(),
                Optional.empty(),
                session.helo(),
                session.tls(),
                session.peerCertificate().map(certificate -> judged(certificate, anchors, now)),
                session.authenticatedUser(),
                session.xoorg().filter(unused -> attribution.internalHeadersPreserved()),
                attribution.connector().map(connector -> new Connector(connector.name(), connector.type())),
                verdict.kind(),
                verdict.reason(),
                attribution.origin(),
                attribution.internalHeadersPreserved());
    }

    /** These facts of a client whose name is known by now, or known not to be. */
    public InboundFacts withClientName(Optional<String> name) {
        return new InboundFacts(
                clientIp,
                name,
                helo,
                tls,
                peer,
                authenticatedUser,
                xoorg,
                connector,
                verdict,
                verdictReason,
                origin,
                internalHeadersPreserved);
    }

    /**
     * The facts of a mail: those the SMTP hooks stamped on it, or, without hooks, what the client's address alone tells.
     * Facts that cannot be read are as good as none: nothing internal follows from them.
     *
     * @param stamped the value of {@link #ATTRIBUTE}
     * @param remoteAddress the client's address as James noted it
     * @param senderDomain empty for the null sender
     */
    public static InboundFacts onMail(
            Optional<String> stamped,
            String remoteAddress,
            Optional<Domain> senderDomain,
            ConnectionFilter filter,
            Instant now) {
        return stampedOn(stamped).orElseGet(() -> {
            IpAddress client = address(remoteAddress);
            return of(
                    ClientSession.from(client),
                    InboundAttribution.none(),
                    filter.verdict(client, senderDomain, now),
                    now);
        });
    }

    /**
     * The facts that the SMTP hooks stamped on a mail, if they did and the facts can be read.
     *
     * @param stamped the value of {@link #ATTRIBUTE}
     */
    public static Optional<InboundFacts> stampedOn(Optional<String> stamped) {
        return stamped.flatMap(InboundFacts::readable);
    }

    private static Optional<InboundFacts> readable(String json) {
        try {
            return Optional.of(fromJson(json));
        } catch (IllegalArgumentException e) {
            LOGGER.warn("Ignoring {}", e.getMessage());
            return Optional.empty();
        }
    }

    private static IpAddress address(String remoteAddress) {
        try {
            // the JDK appends the zone to link-local addresses
            int zone = remoteAddress.indexOf('%');
            return IpAddress.parse(zone < 0 ? remoteAddress : remoteAddress.substring(0, zone));
        } catch (IllegalArgumentException e) {
            LOGGER.warn("The client address of a mail cannot be read: {}", e.getMessage());
            return UNSPECIFIED;
        }
    }

    /** The value of {@link #VERDICT_HEADER}, e.g. {@code CIP=192.0.2.1; IPV=CAL}. */
    public static String verdictHeader(IpAddress client, ConnectionVerdict.Kind verdict) {
        return "CIP=" + client + "; IPV=" + verdict.ipv();
    }

    private static Peer judged(PeerCertificate certificate, TrustAnchors anchors, Instant now) {
        return new Peer(
                certificate.subject(),
                certificate.names().names(),
                certificate.certificatePin(),
                certificate.trustedBy(anchors, now).isTrusted());
    }

    /** One line of JSON with stable keys. */
    public String toJson() {
        ObjectNode root = JSON.createObjectNode();
        root.put("version", VERSION);
        root.put("clientIp", clientIp.toString());
        clientName.ifPresent(value -> root.put("clientName", value));
        helo.ifPresent(value -> root.put("helo", value));
        tls.ifPresent(
                value -> root.putObject("tls").put("protocol", value.protocol()).put("cipher", value.cipher()));
        peer.ifPresent(value -> {
            ObjectNode node = root.putObject("peerCertificate");
            node.put("subject", value.subject());
            value.names().forEach(node.putArray("names")::add);
            value.sha256().ifPresent(pin -> node.put("sha256", pin.sha256()));
            node.put("trusted", value.trusted());
        });
        authenticatedUser.ifPresent(value -> root.put("authenticatedUser", value));
        xoorg.ifPresent(value -> root.put("xoorg", value));
        connector.ifPresent(value -> root.putObject("connector")
                .put("name", value.name())
                .put("type", value.type().toString()));
        root.putObject("connectionFilter").put("verdict", verdict.toString()).put("reason", verdictReason);
        root.put("origin", origin.name().toLowerCase(Locale.ROOT));
        root.put("internalHeadersPreserved", internalHeadersPreserved);
        return root.toString();
    }

    /**
     * Reads what {@link #toJson()} wrote; keys it does not know are ignored.
     *
     * @throws IllegalArgumentException when the text is not such JSON, or of a version that means something else
     */
    public static InboundFacts fromJson(String json) {
        try {
            JsonNode root = JSON.readTree(json);
            if (root.path("version").asInt() != VERSION) {
                throw new IllegalArgumentException(
                        "found version '" + root.path("version").asText() + "', expected " + VERSION);
            }
            JsonNode filter = required(root, "connectionFilter");
            return new InboundFacts(
                    IpAddress.parse(text(root, "clientIp")),
                    optionalText(root, "clientName"),
                    optionalText(root, "helo"),
                    optional(root, "tls", node -> new TlsSession(text(node, "protocol"), text(node, "cipher"))),
                    optional(root, "peerCertificate", InboundFacts::peer),
                    optionalText(root, "authenticatedUser"),
                    optionalText(root, "xoorg"),
                    optional(
                            root,
                            "connector",
                            node -> new Connector(text(node, "name"), named(ConnectorType.class, text(node, "type")))),
                    named(ConnectionVerdict.Kind.class, text(filter, "verdict")),
                    text(filter, "reason"),
                    named(Origin.class, text(root, "origin")),
                    required(root, "internalHeadersPreserved").asBoolean());
        } catch (JsonProcessingException | IllegalArgumentException e) {
            throw new IllegalArgumentException("the attribute " + ATTRIBUTE + " cannot be read: " + e.getMessage(), e);
        }
    }

    private static Peer peer(JsonNode node) {
        List<String> names = new ArrayList<>();
        required(node, "names").forEach(name -> names.add(name.asText()));
        return new Peer(
                text(node, "subject"),
                names,
                optionalText(node, "sha256").map(CertificatePin::parse),
                required(node, "trusted").asBoolean());
    }

    private static JsonNode required(JsonNode node, String key) {
        JsonNode value = node.get(key);
        if (value == null || value.isNull()) {
            throw new IllegalArgumentException("no '" + key + "'");
        }
        return value;
    }

    private static String text(JsonNode node, String key) {
        return required(node, key).asText();
    }

    private static <T> Optional<T> optional(JsonNode node, String key, Function<JsonNode, T> read) {
        return Optional.ofNullable(node.get(key))
                .filter(value -> !value.isNull())
                .map(read);
    }

    private static Optional<String> optionalText(JsonNode node, String key) {
        return optional(node, key, JsonNode::asText);
    }

    private static <E extends Enum<E>> E named(Class<E> type, String name) {
        return Enum.valueOf(type, name.toUpperCase(Locale.ROOT));
    }
}
