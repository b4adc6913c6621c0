/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import static dev.mailflow.policy.file.Attribute.optional;
import static dev.mailflow.policy.file.Attribute.required;
import static dev.mailflow.policy.file.ElementRule.any;
import static dev.mailflow.policy.file.ElementRule.maybe;
import static dev.mailflow.policy.file.ElementRule.one;
import static dev.mailflow.policy.file.ElementRule.some;

import java.time.Duration;
import java.time.Instant;
import java.util.List;

import dev.mailflow.policy.Secret;
import dev.mailflow.policy.certificate.CertificatePin;
import dev.mailflow.policy.connection.IpRange;
import dev.mailflow.policy.connector.ConnectorType;
import dev.mailflow.policy.connector.InternalHeaders;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.domain.AcceptedDomain;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.domain.SenderPattern;
import dev.mailflow.policy.hybrid.HybridTopology;
import dev.mailflow.policy.rewrite.RewriteSide;
import dev.mailflow.policy.rule.TransportRule;

/**
 * The elements and attributes of {@code mailflow.xml}, each listed once. {@code mailflow.xsd} says the same for
 * editors, and a test holds the two together. What depends on more than one value is checked by the section that maps
 * the element.
 */
final class Grammar {
    private Grammar() {}

    static final Attribute<Boolean> ENABLED = optional("enabled", Values.BOOLEAN);
    static final Attribute<String> NAME = required("name", Values.NAME);
    static final Attribute<FileUrl> TRUST_ANCHORS = optional("trustAnchors", Values.FILE);

    static final Attribute<AcceptedDomain.Type> DOMAIN_TYPE = optional("type", Values.DOMAIN_TYPE);
    static final Attribute<Boolean> MATCH_SUBDOMAINS = optional("matchSubdomains", Values.BOOLEAN);
    static final ElementRule<DomainPattern> DOMAIN =
            ElementRule.of("domain", Values.DOMAIN_NOT_ALL, DOMAIN_TYPE, MATCH_SUBDOMAINS);
    static final ElementRule<Void> ACCEPTED_DOMAINS =
            ElementRule.of("acceptedDomains").holding(any(DOMAIN));

    static final Attribute<List<IpRange>> EXCEPT = optional("except", Values.IP_RANGE.list());
    static final Attribute<DomainPattern> ENTRY_SENDER_DOMAIN = optional("senderDomain", Values.DOMAIN);
    static final Attribute<Instant> EXPIRES = optional("expires", Values.INSTANT);
    static final Attribute<String> COMMENT = optional("comment", Values.COMMENT);
    static final ElementRule<IpRange> ALLOW =
            ElementRule.of("allow", Values.IP_RANGE, EXCEPT, ENTRY_SENDER_DOMAIN, EXPIRES, COMMENT, ENABLED);
    static final ElementRule<IpRange> BLOCK =
            ElementRule.of("block", Values.IP_RANGE, EXCEPT, ENTRY_SENDER_DOMAIN, EXPIRES, COMMENT, ENABLED);
    static final ElementRule<FileUrl> ALLOW_FILE = ElementRule.of("allowFile", Values.FILE, ENABLED);
    static final ElementRule<FileUrl> BLOCK_FILE = ElementRule.of("blockFile", Values.FILE, ENABLED);
    static final ElementRule<Void> CONNECTION_FILTER =
            ElementRule.of("connectionFilter").holding(any(ALLOW), any(BLOCK), any(ALLOW_FILE), any(BLOCK_FILE));

    static final ElementRule<InternalHeaders> INTERNAL_HEADERS =
            ElementRule.of("internalHeaders", Values.INTERNAL_HEADERS);

    static final Attribute<ConnectorType> INBOUND_TYPE = required("type", Values.INBOUND_TYPE);
    static final ElementRule<DomainPattern> INBOUND_SENDER_DOMAIN = ElementRule.of("senderDomain", Values.DOMAIN);
    static final ElementRule<Boolean> REQUIRE_TLS = ElementRule.of("requireTls", Values.BOOLEAN);
    static final ElementRule<IpRange> CLIENT_IP = ElementRule.of("clientIp", Values.IP_RANGE);
    static final Attribute<DomainPattern> PEER_NAME = optional("name", Values.DOMAIN_NOT_ALL);
    static final Attribute<String> PEER_TRUST = optional("trust", ValueType.words("ca", "pinned"));
    static final Attribute<List<CertificatePin>> PEER_PINS = optional("sha256", Values.PIN.list());
    static final ElementRule<Void> PEER_CERTIFICATE =
            ElementRule.of("clientCertificate", PEER_NAME, PEER_TRUST, PEER_PINS, TRUST_ANCHORS);
    static final ElementRule<Boolean> RELAY = ElementRule.of("relay", Values.BOOLEAN);
    static final ElementRule<Void> INBOUND_CONNECTOR = ElementRule.of("inboundConnector", NAME, INBOUND_TYPE, ENABLED)
            .holding(
                    any(INBOUND_SENDER_DOMAIN),
                    maybe(REQUIRE_TLS),
                    any(CLIENT_IP),
                    maybe(PEER_CERTIFICATE),
                    maybe(INTERNAL_HEADERS),
                    maybe(RELAY));
    static final ElementRule<Void> INBOUND_CONNECTORS =
            ElementRule.of("inboundConnectors").holding(any(INBOUND_CONNECTOR));

    static final Attribute<ConnectorType> OUTBOUND_TYPE = required("type", Values.OUTBOUND_TYPE);
    static final Attribute<Boolean> RULES_ONLY = optional("rulesOnly", Values.BOOLEAN);
    static final Attribute<Integer> COST_ATTRIBUTE = optional("cost", Values.RANK);
    static final ElementRule<Integer> COST = ElementRule.of("cost", Values.RANK);
    static final ElementRule<DomainPattern> RECIPIENT_DOMAIN = ElementRule.of("recipientDomain", Values.DOMAIN);
    static final ElementRule<SenderPattern> OUTBOUND_SENDER_DOMAIN = ElementRule.of("senderDomain", Values.SENDER);
    static final ElementRule<Boolean> USE_MX = ElementRule.of("useMx", Values.BOOLEAN);
    static final Attribute<Integer> PORT = optional("port", Values.PORT);
    static final Attribute<Integer> PRIORITY = optional("priority", Values.RANK);
    static final Attribute<Integer> WEIGHT = optional("weight", Values.COUNT);
    static final ElementRule<Values.HostAndPort> SMART_HOST =
            ElementRule.of("smartHost", Values.HOST, PORT, PRIORITY, WEIGHT);
    static final Attribute<TlsLevel> LEVEL = required("level", Values.TLS_LEVEL);
    static final Attribute<DomainPattern> TLS_NAME = optional("name", Values.DOMAIN_NOT_ALL);
    static final Attribute<Boolean> MTA_STS = optional("mtaSts", Values.BOOLEAN);
    static final Attribute<Boolean> DANE = optional("dane", Values.BOOLEAN);
    static final ElementRule<CertificatePin> SHA256 = ElementRule.of("sha256", Values.PIN);
    static final Attribute<FileUrl> KEYSTORE = required("keystore", Values.FILE);
    static final Attribute<String> ALIAS = optional("alias", Values.TEXT);
    static final Attribute<Secret> SECRET = required("secret", Values.SECRET);
    static final ElementRule<Void> OUR_CERTIFICATE = ElementRule.of("clientCertificate", KEYSTORE, ALIAS, SECRET);
    static final ElementRule<Void> TLS = ElementRule.of("tls", LEVEL, TLS_NAME, TRUST_ANCHORS, MTA_STS, DANE)
            .holding(any(SHA256), maybe(OUR_CERTIFICATE));
    static final Attribute<SenderPattern> CREDENTIALS_SENDER = optional("sender", Values.SENDER);
    static final Attribute<String> USER = required("user", Values.TEXT);
    static final ElementRule<Void> CREDENTIALS = ElementRule.of("credentials", CREDENTIALS_SENDER, USER, SECRET);
    static final Attribute<Integer> CONNECTIONS = optional("connections", Values.COUNT);
    static final Attribute<Integer> PER_DESTINATION = optional("perDestination", Values.COUNT);
    static final Attribute<Integer> MESSAGES_PER_CONNECTION = optional("messagesPerConnection", Values.COUNT);
    static final Attribute<Duration> IDLE = optional("idle", Values.DURATION);
    static final ElementRule<Void> LIMITS =
            ElementRule.of("limits", CONNECTIONS, PER_DESTINATION, MESSAGES_PER_CONNECTION, IDLE);
    static final Attribute<List<Duration>> SCHEDULE = optional("schedule", Values.DURATIONS);
    static final Attribute<Duration> WARN_AFTER = optional("warnAfter", Values.DURATION);
    static final Attribute<Duration> EXPIRE_AFTER = optional("expireAfter", Values.DURATION);
    static final ElementRule<Void> RETRY = ElementRule.of("retry", SCHEDULE, WARN_AFTER, EXPIRE_AFTER);
    static final ElementRule<Void> OUTBOUND_CONNECTOR = ElementRule.of(
                    "outboundConnector", NAME, OUTBOUND_TYPE, RULES_ONLY, COST_ATTRIBUTE, ENABLED)
            .holding(
                    any(RECIPIENT_DOMAIN),
                    any(OUTBOUND_SENDER_DOMAIN),
                    maybe(COST),
                    maybe(USE_MX),
                    any(SMART_HOST),
                    maybe(TLS),
                    any(CREDENTIALS),
                    maybe(LIMITS),
                    maybe(RETRY),
                    maybe(INTERNAL_HEADERS));
    static final ElementRule<Void> OUTBOUND_CONNECTORS =
            ElementRule.of("outboundConnectors").holding(any(OUTBOUND_CONNECTOR));

    static final Attribute<RewriteSide> INTERNAL = required("internal", Values.REWRITE);
    static final Attribute<RewriteSide> EXTERNAL = required("external", Values.REWRITE);
    static final Attribute<Boolean> OUTBOUND_ONLY = optional("outboundOnly", Values.BOOLEAN);
    static final Attribute<List<DomainPattern>> EXCEPTIONS = optional("exceptions", Values.DOMAIN_NOT_ALL.list());
    static final ElementRule<Void> REWRITE_ENTRY =
            ElementRule.of("entry", INTERNAL, EXTERNAL, OUTBOUND_ONLY, EXCEPTIONS, ENABLED);
    static final ElementRule<FileUrl> ENTRIES_FILE = ElementRule.of("entriesFile", Values.FILE, ENABLED);
    static final ElementRule<Void> ADDRESS_REWRITE =
            ElementRule.of("addressRewrite").holding(any(REWRITE_ENTRY), any(ENTRIES_FILE));

    static final Attribute<String> RULE_NAME = required("name", Values.TEXT);
    static final Attribute<TransportRule.Mode> MODE = optional("mode", ValueType.words(TransportRule.Mode.values()));
    static final Attribute<Instant> ACTIVATES = optional("activates", Values.INSTANT);
    static final Attribute<TransportRule.OnError> ON_ERROR =
            optional("onError", ValueType.words(TransportRule.OnError.values()));
    static final Attribute<Boolean> AT_SMTP = optional("atSmtp", Values.BOOLEAN);
    static final Attribute<Boolean> NULL_SENDER = optional("nullSender", Values.BOOLEAN);
    static final ElementRule<FileUrl> SCRIPT = ElementRule.of("script", Values.FILE);
    static final ElementRule<String> SIEVE = ElementRule.of("sieve", Values.SCRIPT);
    static final ElementRule<Void> RULE = ElementRule.of(
                    "rule", RULE_NAME, MODE, ACTIVATES, EXPIRES, ON_ERROR, AT_SMTP, NULL_SENDER, ENABLED)
            .holding(maybe(SCRIPT), maybe(SIEVE));
    static final ElementRule<Void> TRANSPORT_RULES =
            ElementRule.of("transportRules").holding(any(RULE));

    static final ElementRule<DomainPattern> SHARED_DOMAIN = ElementRule.of("sharedDomain", Values.ONE_DOMAIN);
    static final ElementRule<DomainPattern> REMOTE_ROUTING_DOMAIN =
            ElementRule.of("remoteRoutingDomain", Values.ONE_DOMAIN);
    static final Attribute<String> CLOUD_INBOUND = required("inboundConnector", Values.NAME);
    static final Attribute<String> CLOUD_OUTBOUND = required("outboundConnector", Values.NAME);
    static final ElementRule<Void> CLOUD = ElementRule.of("cloud", CLOUD_INBOUND, CLOUD_OUTBOUND);
    static final ElementRule<HybridTopology.MxPosition> MX =
            ElementRule.of("mx", ValueType.words(HybridTopology.MxPosition.values()));
    static final ElementRule<Boolean> CENTRALIZED_TRANSPORT = ElementRule.of("centralizedTransport", Values.BOOLEAN);
    static final ElementRule<Boolean> SECURE_MAIL = ElementRule.of("secureMail", Values.BOOLEAN);
    static final Attribute<String> MAILBOX_SOURCE = required("source", ValueType.words("james", "file", "ldap"));
    static final Attribute<String> MAILBOX_URL = optional("url", Values.URL);
    static final Attribute<String> LDAP_BASE = optional("base", Values.TEXT);
    static final Attribute<String> LDAP_FILTER = optional("filter", Values.LDAP_FILTER);
    static final Attribute<String> LDAP_USER = optional("user", Values.TEXT);
    static final Attribute<Secret> LDAP_SECRET = optional("secret", Values.SECRET);
    static final Attribute<Boolean> LDAP_START_TLS = optional("startTls", Values.BOOLEAN);
    static final Attribute<Integer> LDAP_CONNECTIONS = optional("connections", Values.COUNT);
    static final Attribute<Duration> LDAP_TIMEOUT = optional("timeout", Values.DURATION);
    static final Attribute<Duration> LDAP_CACHE_FOR = optional("cacheFor", Values.DURATION);
    static final Attribute<Duration> LDAP_UNKNOWN_FOR = optional("unknownFor", Values.DURATION);
    static final Attribute<Integer> LDAP_CACHE_SIZE = optional("cacheSize", Values.COUNT);
    static final List<Attribute<?>> LDAP_ONLY = List.of(
            LDAP_BASE,
            LDAP_FILTER,
            LDAP_USER,
            LDAP_SECRET,
            TRUST_ANCHORS,
            LDAP_START_TLS,
            LDAP_CONNECTIONS,
            LDAP_TIMEOUT,
            LDAP_CACHE_FOR,
            LDAP_UNKNOWN_FOR,
            LDAP_CACHE_SIZE);
    static final ElementRule<Void> MAILBOXES = ElementRule.of(
            "mailboxes",
            MAILBOX_SOURCE,
            MAILBOX_URL,
            LDAP_BASE,
            LDAP_FILTER,
            LDAP_USER,
            LDAP_SECRET,
            TRUST_ANCHORS,
            LDAP_START_TLS,
            LDAP_CONNECTIONS,
            LDAP_TIMEOUT,
            LDAP_CACHE_FOR,
            LDAP_UNKNOWN_FOR,
            LDAP_CACHE_SIZE);
    static final ElementRule<Void> HYBRID = ElementRule.of("hybrid")
            .holding(
                    some(SHARED_DOMAIN),
                    one(REMOTE_ROUTING_DOMAIN),
                    one(CLOUD),
                    maybe(MX),
                    maybe(CENTRALIZED_TRANSPORT),
                    maybe(SECURE_MAIL),
                    maybe(MAILBOXES));

    static final ElementRule<Void> MAILFLOW = ElementRule.of("mailflow")
            .holding(
                    maybe(ACCEPTED_DOMAINS),
                    maybe(CONNECTION_FILTER),
                    maybe(INBOUND_CONNECTORS),
                    maybe(OUTBOUND_CONNECTORS),
                    maybe(ADDRESS_REWRITE),
                    maybe(TRANSPORT_RULES),
                    maybe(HYBRID));
}
