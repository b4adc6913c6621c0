/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.io.IOException;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import org.apache.james.core.Domain;

import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.connector.ConnectorType;
import dev.mailflow.policy.connector.InboundConnector;
import dev.mailflow.policy.connector.InboundConnectors;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.OutboundConnectors;
import dev.mailflow.policy.connector.Route;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.domain.AcceptedDomain;
import dev.mailflow.policy.domain.AcceptedDomains;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.hybrid.HybridTopology;
import dev.mailflow.policy.hybrid.HybridTopology.MxPosition;
import dev.mailflow.policy.hybrid.LdapSettings;
import dev.mailflow.policy.hybrid.MailboxSource;

/** {@code <hybrid>}: what it says, and whether domains and connectors are there that can carry it out. */
final class HybridSection {
    private static final int LDAP_PORT = 389;
    private static final int LDAPS_PORT = 636;

    private final ConfigurationFiles files;
    private final Problems problems;
    private final CertificateFiles certificates;
    private final AcceptedDomains domains;
    private final InboundConnectors inbound;
    private final OutboundConnectors outbound;

    HybridSection(Reading reading, AcceptedDomains domains, InboundConnectors inbound, OutboundConnectors outbound) {
        this.files = reading.files();
        this.problems = reading.problems();
        this.certificates = reading.certificates();
        this.domains = domains;
        this.inbound = inbound;
        this.outbound = outbound;
    }

    /** Empty when the section is not complete, which is reported. */
    Optional<HybridTopology> map(Node<Void> section) {
        Optional<Domain> remote =
                section.one(Grammar.REMOTE_ROUTING_DOMAIN).flatMap(Node::said).map(HybridSection::domain);
        List<Domain> shared = shared(section, remote);
        boolean secure = section.said(Grammar.SECURE_MAIL).orElse(true);
        Optional<Node<Void>> cloud = section.one(Grammar.CLOUD);
        cloud.ifPresent(node -> {
            node.get(Grammar.CLOUD_INBOUND).ifPresent(name -> checkInbound(node, name, secure));
            node.get(Grammar.CLOUD_OUTBOUND).ifPresent(name -> checkOutbound(node, name, remote, secure));
        });
        Optional<MailboxSource> mailboxes =
                section.one(Grammar.MAILBOXES).map(this::mailboxes).orElse(Optional.of(new MailboxSource.James()));
        Optional<String> from = cloud.flatMap(node -> node.get(Grammar.CLOUD_INBOUND));
        Optional<String> to = cloud.flatMap(node -> node.get(Grammar.CLOUD_OUTBOUND));
        if (shared.isEmpty() || remote.isEmpty() || from.isEmpty() || to.isEmpty() || mailboxes.isEmpty()) {
            return Optional.empty();
        }
        return Optional.of(new HybridTopology(
                shared,
                remote.get(),
                from.get(),
                to.get(),
                section.said(Grammar.MX).orElse(MxPosition.ON_PREMISES),
                section.said(Grammar.CENTRALIZED_TRANSPORT).orElse(false),
                secure,
                mailboxes.get(),
                section.location()));
    }

    private static Domain domain(DomainPattern pattern) {
        return Domain.of(pattern.name());
    }

    private List<Domain> shared(Node<Void> section, Optional<Domain> remote) {
        List<Domain> shared = new ArrayList<>();
        for (Node<DomainPattern> node : section.all(Grammar.SHARED_DOMAIN)) {
            if (node.said().isEmpty()) {
                continue;
            }
            Domain domain = domain(node.said().get());
            String found = "<sharedDomain>: found " + node.shownText();
            if (shared.contains(domain)) {
                problems.error(node.atText(), found + " a second time, expected each domain once");
                continue;
            }
            shared.add(domain);
            Optional<AcceptedDomain> accepted = domains.find(domain);
            if (accepted.isEmpty()) {
                problems.error(
                        node.atText(),
                        found + ", which is not an accepted domain; expected it in <acceptedDomains>, as authoritative"
                                + " or internalRelay");
            } else if (accepted.get().type() == AcceptedDomain.Type.EXTERNAL_RELAY) {
                problems.error(
                        node.atText(),
                        found + ", which is an externalRelay domain and has no mailboxes here; expected an accepted"
                                + " domain of type authoritative or internalRelay");
            }
            if (remote.equals(Optional.of(domain))) {
                problems.error(
                        node.atText(),
                        found + ", which is the remote routing domain as well: mail for the cloud would come back;"
                                + " expected two domains");
            }
        }
        return shared;
    }

    private void checkInbound(Node<Void> cloud, String name, boolean secure) {
        String found = "attribute inboundConnector of <cloud>: found " + cloud.shown(Grammar.CLOUD_INBOUND);
        Optional<InboundConnector> connector = inbound.find(name);
        if (connector.isEmpty()) {
            problems.error(
                    cloud.at(Grammar.CLOUD_INBOUND),
                    found + ", expected the name of an inbound connector of type organization"
                            + oneOf(inbound.all().stream()
                                    .filter(known -> known.type() == ConnectorType.ORGANIZATION)
                                    .map(InboundConnector::name)));
            return;
        }
        if (connector.get().type() != ConnectorType.ORGANIZATION) {
            problems.error(
                    cloud.at(Grammar.CLOUD_INBOUND),
                    found + ", which is of type " + connector.get().type()
                            + "; expected type organization: only that grants relay and internal status");
            return;
        }
        if (!connector.get().enabled()) {
            problems.error(
                    cloud.at(Grammar.CLOUD_INBOUND), found + ", which is disabled; expected an enabled connector");
        }
        if (secure && connector.get().clientCertificate().isEmpty()) {
            problems.error(
                    cloud.at(Grammar.CLOUD_INBOUND),
                    found + ", which has no <clientCertificate>, but secureMail demands named certificates both ways;"
                            + " expected a <clientCertificate> in that connector, or <secureMail>false</secureMail>");
        }
    }

    private void checkOutbound(Node<Void> cloud, String name, Optional<Domain> remote, boolean secure) {
        String found = "attribute outboundConnector of <cloud>: found " + cloud.shown(Grammar.CLOUD_OUTBOUND);
        Optional<OutboundConnector> connector = outbound.find(name);
        if (connector.isEmpty()) {
            problems.error(
                    cloud.at(Grammar.CLOUD_OUTBOUND),
                    found + ", expected the name of an outbound connector of type organization"
                            + oneOf(outbound.all().stream()
                                    .filter(known -> known.type() == ConnectorType.ORGANIZATION)
                                    .map(OutboundConnector::name)));
            return;
        }
        if (connector.get().type() != ConnectorType.ORGANIZATION) {
            problems.error(
                    cloud.at(Grammar.CLOUD_OUTBOUND),
                    found + ", which is of type " + connector.get().type() + "; expected type organization");
        }
        if (!connector.get().enabled()) {
            problems.error(
                    cloud.at(Grammar.CLOUD_OUTBOUND), found + ", which is disabled; expected an enabled connector");
            return;
        }
        if (secure && connector.get().tls().level() == TlsLevel.NONE) {
            problems.error(
                    cloud.at(Grammar.CLOUD_OUTBOUND),
                    found + ", whose TLS level is none, but secureMail demands TLS with a named certificate;"
                            + " expected <tls level=\"domain\" …>, or <secureMail>false</secureMail>");
        }
        remote.ifPresent(domain -> {
            Route route = outbound.choose(Optional.empty(), domain);
            boolean overIt =
                    route instanceof Route.Via via && via.connector().name().equals(name);
            if (!overIt) {
                String instead = route instanceof Route.Via via
                        ? "goes by connector '" + via.connector().name() + "' (" + via.reason() + ")"
                        : "has no route (" + route.reason() + ")";
                problems.error(
                        cloud.at(Grammar.CLOUD_OUTBOUND),
                        found + ", but mail to the remote routing domain " + domain.asString() + " " + instead
                                + "; expected <recipientDomain>" + domain.asString() + "</recipientDomain> in it");
            }
        });
    }

    private static String oneOf(Stream<String> names) {
        String list = names.sorted().collect(Collectors.joining(", "));
        return list.isEmpty() ? "; there is none" : ": " + list;
    }

    private Optional<MailboxSource> mailboxes(Node<Void> node) {
        Optional<String> source = node.get(Grammar.MAILBOX_SOURCE);
        if (source.isEmpty()) {
            return Optional.empty();
        }
        refuseForeign(node, source.get());
        return switch (source.get()) {
            case "file" -> listFile(node);
            case "ldap" -> ldap(node);
            default -> Optional.of(new MailboxSource.James());
        };
    }

    private void refuseForeign(Node<Void> node, String source) {
        List<Attribute<?>> foreign =
                switch (source) {
                    case "ldap" -> List.of();
                    case "file" -> Grammar.LDAP_ONLY;
                    default -> Stream.concat(Stream.of(Grammar.MAILBOX_URL), Grammar.LDAP_ONLY.stream())
                            .toList();
                };
        foreign.stream()
                .filter(node::has)
                .forEach(attribute -> problems.error(
                        node.at(attribute),
                        "attribute " + attribute.name() + " of <mailboxes>: found with source=\"" + source
                                + "\", expected only with source=\"ldap\""
                                + (attribute.equals(Grammar.MAILBOX_URL) ? " or \"file\"" : "")));
    }

    private Optional<String> url(Node<Void> node) {
        if (!node.has(Grammar.MAILBOX_URL)) {
            problems.error(
                    node.location(),
                    "found <mailboxes source=" + node.shown(Grammar.MAILBOX_SOURCE)
                            + "> without attribute url, expected url=\"…\"");
        }
        return node.get(Grammar.MAILBOX_URL);
    }

    private void wrongUrl(Node<Void> node, String expected) {
        problems.error(
                node.at(Grammar.MAILBOX_URL),
                "attribute url of <mailboxes>: found " + node.shown(Grammar.MAILBOX_URL) + ", " + expected);
    }

    private Optional<MailboxSource> listFile(Node<Void> node) {
        Optional<String> url = url(node);
        if (url.isEmpty()) {
            return Optional.empty();
        }
        FileUrl file;
        try {
            file = FileUrl.parse(url.get());
        } catch (IllegalArgumentException e) {
            wrongUrl(node, "expected " + FileUrl.EXPECTED);
            return Optional.empty();
        }
        try {
            var path = files.locate(file);
            return Optional.of(new MailboxSource.ListFile(
                    new MailboxListFile(files.nameOf(path), problems).read(files.read(path))));
        } catch (IOException e) {
            wrongUrl(
                    node,
                    "but " + e.getMessage() + "; expected a CSV file with the columns " + MailboxListFile.COLUMNS);
            return Optional.empty();
        }
    }

    private Optional<MailboxSource> ldap(Node<Void> node) {
        Optional<URI> url = url(node).flatMap(text -> ldapUrl(node, text));
        if (!node.has(Grammar.LDAP_BASE)) {
            problems.error(
                    node.location(),
                    "found <mailboxes source=\"ldap\"> without attribute base, expected the entry below which mailboxes"
                            + " are: base=\"dc=contoso,dc=com\"");
        }
        Optional<String> base = node.get(Grammar.LDAP_BASE);
        if (node.has(Grammar.LDAP_USER) != node.has(Grammar.LDAP_SECRET)) {
            problems.error(
                    node.location(),
                    "found <mailboxes source=\"ldap\"> with " + (node.has(Grammar.LDAP_USER) ? "user" : "secret")
                            + " alone, expected user and secret, or neither for an anonymous bind");
        }
        boolean startTls = node.get(Grammar.LDAP_START_TLS).orElse(false);
        TrustAnchors anchors = certificates.trustAnchors(node, true);
        if (url.isEmpty() || base.isEmpty()) {
            return Optional.empty();
        }
        boolean implicit = url.get().getScheme().equalsIgnoreCase("ldaps");
        if (implicit && startTls) {
            problems.error(
                    node.at(Grammar.LDAP_START_TLS),
                    "attribute startTls of <mailboxes>: found 'true' with an ldaps:// URL, which begins with TLS;"
                            + " expected one or the other");
        }
        LdapSettings.Security security = implicit
                ? LdapSettings.Security.TLS
                : startTls ? LdapSettings.Security.START_TLS : LdapSettings.Security.PLAIN;
        if (security == LdapSettings.Security.PLAIN && node.has(Grammar.LDAP_SECRET)) {
            problems.warning(
                    node.at(Grammar.LDAP_SECRET),
                    "<mailboxes>: the secret goes to the directory in clear text; expected an ldaps:// URL or"
                            + " startTls=\"true\"");
        }
        String host = url.get().getHost();
        return Optional.of(new MailboxSource.Ldap(new LdapSettings(
                host.startsWith("[") ? host.substring(1, host.length() - 1) : host,
                url.get().getPort() > 0 ? url.get().getPort() : implicit ? LDAPS_PORT : LDAP_PORT,
                security,
                anchors,
                base.get(),
                node.get(Grammar.LDAP_FILTER).orElse(LdapSettings.DEFAULT_FILTER),
                node.get(Grammar.LDAP_USER),
                node.get(Grammar.LDAP_SECRET),
                node.get(Grammar.LDAP_CONNECTIONS).orElse(LdapSettings.DEFAULT_CONNECTIONS),
                node.get(Grammar.LDAP_TIMEOUT).orElse(LdapSettings.DEFAULT_TIMEOUT),
                node.get(Grammar.LDAP_CACHE_FOR).orElse(LdapSettings.DEFAULT_CACHE_FOR),
                node.get(Grammar.LDAP_UNKNOWN_FOR).orElse(LdapSettings.DEFAULT_UNKNOWN_FOR),
                node.get(Grammar.LDAP_CACHE_SIZE).orElse(LdapSettings.DEFAULT_CACHE_SIZE))));
    }

    private Optional<URI> ldapUrl(Node<Void> node, String text) {
        URI url = URI.create(text);
        boolean known = List.of("ldap", "ldaps").contains(url.getScheme().toLowerCase(Locale.ROOT));
        boolean bare = (url.getPath() == null
                        || url.getPath().isEmpty()
                        || url.getPath().equals("/"))
                && url.getQuery() == null
                && url.getUserInfo() == null;
        if (!known || url.getHost() == null || !bare) {
            wrongUrl(
                    node,
                    "expected ldaps://host or ldap://host, with or without :port; the rest has attributes of its own");
            return Optional.empty();
        }
        return Optional.of(url);
    }
}
