/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.connector;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;

import com.google.common.net.InetAddresses;
import com.google.common.util.concurrent.ThreadFactoryBuilder;

import dev.mailflow.cli.probe.Finding;
import dev.mailflow.cli.probe.SmtpObservation;
import dev.mailflow.cli.probe.SmtpObservation.Step;
import dev.mailflow.cli.probe.SmtpProbe;
import dev.mailflow.delivery.DeliveryConfig;
import dev.mailflow.delivery.HopUsed;
import dev.mailflow.delivery.MessageContent;
import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.dane.DaneAnswer;
import dev.mailflow.delivery.dane.DaneLookup;
import dev.mailflow.delivery.dane.TlsaRecord;
import dev.mailflow.delivery.dane.TlsaRecords;
import dev.mailflow.delivery.nexthop.DnsLookup;
import dev.mailflow.delivery.nexthop.NextHopResolver;
import dev.mailflow.delivery.nexthop.NextHopResolver.Family;
import dev.mailflow.delivery.nexthop.Resolution;
import dev.mailflow.delivery.nexthop.Target;
import dev.mailflow.delivery.smtp.HopAddress;
import dev.mailflow.delivery.smtp.HopFailure;
import dev.mailflow.delivery.smtp.SessionTerms;
import dev.mailflow.delivery.smtp.SmtpDialer;
import dev.mailflow.delivery.tls.PeerIdentity;
import dev.mailflow.delivery.tls.PublishedTrust;
import dev.mailflow.delivery.tls.TlsClients;
import dev.mailflow.delivery.transport.DestinationTrust;
import dev.mailflow.delivery.transport.PooledSmtpTransport;
import dev.mailflow.policy.certificate.CertificateNames;
import dev.mailflow.policy.certificate.CertificatePin;
import dev.mailflow.policy.certificate.X509PeerCertificate;
import dev.mailflow.policy.connector.Credentials;
import dev.mailflow.policy.connector.NextHops;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.SmartHost;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import io.netty.channel.nio.NioEventLoopGroup;

/**
 * Tries an outbound connector as delivery uses it, step by step. Each next hop is looked at twice: by a client that
 * believes everything, so that an administrator sees what is there; then by the delivery engine itself under the terms
 * of the connector, whose judgement counts.
 */
public final class ConnectorValidation implements AutoCloseable {
    static final String DNS = "DNS";
    static final String TCP = "TCP";
    static final String GREETING = "greeting";
    static final String EHLO = "EHLO";
    static final String TLSA = "TLSA";
    static final String MTA_STS = "MTA-STS";
    static final String STARTTLS = "STARTTLS";
    static final String CERTIFICATE = "certificate";
    static final String CLIENT_CERTIFICATE = "our certificate";
    static final String AUTH = "AUTH";
    static final String MAIL = "test mail";

    private static final Duration SOON = Duration.ofDays(30);
    private static final int CLOSE_SECONDS = 2;

    private final OutboundConnector connector;
    private final DeliveryConfig config;
    private final Duration timeout;
    private final NioEventLoopGroup loops = new NioEventLoopGroup(1);
    private final ExecutorService threads = Executors.newCachedThreadPool(new ThreadFactoryBuilder()
            .setDaemon(true)
            .setNameFormat("validate-%d")
            .build());
    private final NextHopResolver resolver;
    private final DaneLookup dane;
    private final DestinationTrust trust;
    private final SmtpDialer dialer;
    private final SmtpProbe probe;
    private final List<Finding> findings = new ArrayList<>();

    /** @param timeout for each step */
    public ConnectorValidation(OutboundConnector connector, DeliveryConfig config, Duration timeout) {
        this.connector = connector;
        this.config = config;
        this.timeout = timeout;
        DnsLookup dns = DnsLookup.of(config, loops, threads);
        TlsClients clients = new TlsClients(
                config.tlsProtocols(), threads, config.revocationLimit(), config.webAuthorities(), config.clock());
        this.resolver = new NextHopResolver(config, dns, new Random());
        this.dane = new DaneLookup(dns);
        this.trust = DestinationTrust.of(config, dns, resolver, clients, loops, threads, threads);
        this.dialer = new SmtpDialer(
                loops, clients, threads, threads, config.timeouts(), config.heloName(), config.sourceAddress());
        this.probe = new SmtpProbe(config.heloName(), timeout);
    }

    /**
     * Looks at every next hop.
     *
     * @param domain whose MX hosts are meant, where the connector uses MX
     * @param recipient gets a test mail; empty: none is sent
     * @param sender of the test mail; empty: the null sender
     */
    public List<Finding> run(Optional<Domain> domain, Optional<MailAddress> recipient, Optional<MailAddress> sender) {
        if (!connector.enabled()) {
            findings.add(Finding.warning(
                    connector.name(),
                    "connector",
                    "enabled=\"false\": delivery does not use it",
                    "remove enabled=\"false\" when all below is well"));
        }
        for (Target target : targets(domain)) {
            List<InetAddress> addresses = addresses(target);
            Optional<DestinationTrust.Go> held = addresses.isEmpty() ? Optional.empty() : published(target);
            for (InetAddress address : addresses) {
                hop(target, address, held, sender);
            }
        }
        recipient.ifPresent(to -> testMail(to, sender));
        return List.copyOf(findings);
    }

    private List<Target> targets(Optional<Domain> domain) {
        if (connector.nextHops() instanceof NextHops.SmartHosts smartHosts) {
            return resolver.order(smartHosts);
        }
        String where = "MX of " + domain.orElseThrow().asString();
        Resolution<Target> found = await(resolver.mx(domain.get()));
        if (found instanceof Resolution.Nowhere<Target> nowhere) {
            findings.add(Finding.failed(
                    where,
                    DNS,
                    reason(nowhere.outcome()),
                    nowhere.outcome() instanceof RecipientOutcome.Failed
                            ? "check the spelling of the domain; if it is right, only its owner can publish an MX record that"
                                    + " takes mail, unless you name its hosts by <smartHost>"
                            : "ask whoever runs the domain's zone, or this host's name servers; 'bin/mailflow"
                                    + " validate-connector --dns HOST' asks another name server"));
            return List.of();
        }
        findings.add(Finding.ok(
                where,
                DNS,
                String.join(
                        ", ",
                        found.choices().stream().map(Target::host).distinct().toList())));
        return found.choices();
    }

    private static String where(Target target) {
        String host = target.host();
        return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + target.port();
    }

    private List<InetAddress> addresses(Target target) {
        String where = where(target);
        List<InetAddress> all = new ArrayList<>();
        Optional<RecipientOutcome> why = Optional.empty();
        for (Family family : Family.values()) {
            Resolution<InetAddress> found = await(resolver.addresses(target.host(), family));
            all.addAll(found.choices());
            if (found instanceof Resolution.Nowhere<InetAddress> nowhere && why.isEmpty()) {
                why = Optional.of(nowhere.outcome());
            }
        }
        if (all.isEmpty()) {
            findings.add(Finding.failed(
                    where,
                    DNS,
                    why.map(ConnectorValidation::reason).orElse("no address"),
                    "check the spelling of the host; if the name is right, ask whoever runs its zone, or this host's"
                            + " name servers"));
        } else {
            findings.add(Finding.ok(
                    where,
                    DNS,
                    String.join(
                            ", ", all.stream().map(InetAddresses::toAddrString).toList())));
        }
        return all;
    }

    /** What the owner of the host has published and delivery would hold against it; empty: it would not use the host. */
    private Optional<DestinationTrust.Go> published(Target target) {
        String where = where(target);
        TlsRequirement tls = connector.tls();
        if (tls.dane() && tls.level() != TlsLevel.NONE) {
            tlsa(where, tls.level() == TlsLevel.DANE, await(dane.ask(target)));
        }
        DestinationTrust.Verdict verdict = await(trust.of(connector, tls, target));
        if (verdict instanceof DestinationTrust.Leave leave) {
            if (leave.failure().reason().contains("MTA-STS")) {
                findings.add(Finding.failed(
                        where,
                        MTA_STS,
                        leave.failure().reason(),
                        "the domain's owner must name this host in the policy, or take it out of the MX records"));
            }
            return Optional.empty();
        }
        DestinationTrust.Go go = (DestinationTrust.Go) verdict;
        if (tls.mtaSts() && !target.mailDomains().isEmpty()) {
            findings.add(
                    go.published().orElse(null) instanceof PublishedTrust.MtaSts sts
                            ? Finding.ok(
                                    where,
                                    MTA_STS,
                                    "the policy of '" + target.mailDomains().get(0) + "' names this host, mode "
                                            + (sts.enforced() ? "enforce" : "testing: only reported on"))
                            : Finding.skipped(where, MTA_STS, "no policy is held against this host"));
        }
        return Optional.of(go);
    }

    private void tlsa(String where, boolean demanded, DaneAnswer answer) {
        if (answer instanceof DaneAnswer.Unknown unknown) {
            findings.add(
                    Finding.failed(
                            where,
                            TLSA,
                            unknown.reason() + "; delivery sends nothing there now",
                            "if the resolver is well, the zone's DNSSEC is broken: ask its owner; 'delv NAME TLSA' shows where"));
        } else if (answer instanceof DaneAnswer.Published published) {
            PublishedTrust.Dane found = published.trust();
            String records =
                    found.usable().stream().map(TlsaRecord::toString).sorted().collect(Collectors.joining("; "));
            if (!found.usable().isEmpty()) {
                findings.add(Finding.ok(where, TLSA, "signed records at " + found.owner() + ": " + records));
            } else {
                String none = "the records at " + found.owner() + " are signed, and none is of a kind that counts for"
                        + " mail";
                String mend = "the host's owner must publish usage 3 or 2, such as '3 1 1' and the SHA-256 of its key";
                findings.add(
                        demanded
                                ? Finding.failed(where, TLSA, none, mend)
                                : Finding.warning(
                                        where, TLSA, none + "; TLS is required, the certificate unchecked", mend));
            }
        } else {
            String silence = ((DaneAnswer.Silent) answer).reason();
            if (!demanded) {
                findings.add(Finding.skipped(where, TLSA, silence));
                return;
            }
            findings.add(Finding.failed(
                    where,
                    TLSA,
                    silence,
                    dane.isActive()
                            ? "level dane needs signed MX, address and TLSA records of the other side: until it has"
                                    + " them, use level ca, domain or pinned"
                            : "name a resolver that validates by <trustedResolver>, or <rootTrustAnchors>, in the mailet"
                                    + " RouteToConnector of mailetcontainer.xml, or here by --trusted-resolver"));
        }
    }

    private void hop(
            Target target, InetAddress address, Optional<DestinationTrust.Go> held, Optional<MailAddress> sender) {
        String where = where(target)
                + (target.host().equals(InetAddresses.toAddrString(address))
                        ? ""
                        : " [" + InetAddresses.toAddrString(address) + "]");
        TlsRequirement tls = connector.tls();
        SmtpObservation seen =
                probe.look(target.host(), new InetSocketAddress(address, target.port()), tls.clientCertificate());
        if (!report(where, target.port() == SmartHost.IMPLICIT_TLS_PORT, seen)) {
            return;
        }
        Optional<PeerIdentity> identity = tls.level() == TlsLevel.DOMAIN
                ? tls.name().<PeerIdentity>map(PeerIdentity.OneOf::named).or(target::identity)
                : Optional.empty();
        HopAddress hop = new HopAddress(target.host(), address, target.port());
        if (held.isEmpty()) {
            seen.tls()
                    .ifPresent(there ->
                            findings.add(Finding.ok(where, STARTTLS, there.protocol() + " " + there.cipher())));
            findings.add(Finding.skipped(
                    where,
                    CERTIFICATE,
                    "delivery does not come that far, see above"
                            + seen.tls()
                                    .map(there -> "; there is " + describe(there.certificate()))
                                    .orElse("")));
            connector.credentials().forEach(unused -> findings.add(skipped(where, AUTH)));
            return;
        }
        Optional<PublishedTrust> published = held.get().published();
        if (!judge(where, hop, seen, new SessionTerms(connector.name(), tls, identity, published, Optional.empty()))) {
            connector.credentials().forEach(unused -> findings.add(skipped(where, AUTH)));
            return;
        }
        Set<String> users = new HashSet<>();
        for (Credentials credentials : connector.credentials()) {
            boolean asked = sender.isEmpty() || connector.credentialsFor(sender).equals(Optional.of(credentials));
            if (asked && users.add(credentials.user())) {
                authenticate(
                        where,
                        hop,
                        new SessionTerms(connector.name(), tls, identity, published, Optional.of(credentials)));
            }
        }
        if (connector.credentials().isEmpty()) {
            findings.add(Finding.skipped(where, AUTH, "the connector has no credentials"));
        }
    }

    /** What is there; false when nothing more can be learned about the hop. */
    private boolean report(String where, boolean implicitTls, SmtpObservation seen) {
        if (!seen.passed(Step.TCP)) {
            findings.add(Finding.failed(
                    where,
                    TCP,
                    why(seen),
                    "check address and port, then the firewalls in between; many networks block port 25 to the outside"
                            + " until their operator opens it"));
            return false;
        }
        findings.add(Finding.ok(where, TCP, "connected"));
        if (implicitTls && seen.tls().isEmpty()) {
            return true;
        }
        if (!seen.passed(Step.GREETING)) {
            findings.add(Finding.failed(
                    where,
                    GREETING,
                    why(seen),
                    "the host does not want this client, or is no SMTP server: ask its administrator whether your"
                            + " address is blocked (no reverse DNS, a block list, an allow list)"));
            return false;
        }
        seen.greeting().ifPresent(greeting -> findings.add(Finding.ok(where, GREETING, greeting)));
        if (!seen.passed(Step.EHLO)) {
            findings.add(Finding.failed(
                    where,
                    EHLO,
                    why(seen),
                    "the host must speak ESMTP (RFC 5321); a device in between that rewrites SMTP must be told"
                            + " not to"));
            return false;
        }
        if (!seen.offered().isEmpty()) {
            findings.add(Finding.ok(where, EHLO, String.join(", ", seen.offered())));
        }
        return true;
    }

    private boolean judge(String where, HopAddress hop, SmtpObservation seen, SessionTerms terms) {
        TlsLevel level = terms.tls().level();
        if (level == TlsLevel.NONE) {
            findings.add(Finding.skipped(where, STARTTLS, "the connector's TLS level is none"));
            return engineAccepts(where, hop, terms, EHLO);
        }
        boolean handshake = seen.tls().isPresent();
        if (!handshake) {
            String mend = startTlsMend(seen);
            if (terms.requiresTls()) {
                findings.add(Finding.failed(where, STARTTLS, why(seen), mend));
                findings.add(skipped(where, CERTIFICATE));
                return false;
            }
            findings.add(Finding.warning(where, STARTTLS, why(seen) + "; mail would go in plaintext", mend));
            return engineAccepts(where, hop, terms, EHLO);
        }
        SmtpObservation.Tls tls = seen.tls().get();
        findings.add(Finding.ok(where, STARTTLS, tls.protocol() + " " + tls.cipher()));
        boolean accepted = certificate(where, hop, seen, terms);
        if (!seen.passed(Step.EHLO_UNDER_TLS) && !tls.certificateAsked()) {
            if (accepted) {
                findings.add(
                        Finding.warning(
                                where,
                                EHLO,
                                why(seen) + ", under TLS; delivery makes do with HELO",
                                "the host must speak ESMTP (RFC 5321) under TLS too: ask its administrator what the reply means"));
            }
            return accepted;
        }
        return clientCertificate(where, seen, terms) && accepted;
    }

    private String startTlsMend(SmtpObservation seen) {
        if (seen.offered().stream().anyMatch(line -> line.matches("(?i)X{6,}A?.*"))) {
            return "a firewall in between masks STARTTLS in the reply to EHLO: switch off its SMTP inspection";
        }
        if (seen.passed(Step.STARTTLS)) {
            return "the other side must mend its TLS: it needs a certificate and TLS 1.2 or later";
        }
        return seen.offers("STARTTLS")
                ? "the other side offers STARTTLS and does not do it: ask its administrator what the reply means; a"
                        + " certificate or key that it cannot load is the usual reason"
                : "the other side must offer STARTTLS; if it says it does, a firewall in between removes it: switch off"
                        + " its SMTP inspection";
    }

    private boolean certificate(String where, HopAddress hop, SmtpObservation seen, SessionTerms terms) {
        SmtpObservation.Tls tls = seen.tls().orElseThrow();
        X509Certificate leaf = tls.certificate();
        String shown = describe(leaf);
        Optional<HopFailure> failure = dial(hop, terms);
        Instant expiry = leaf.getNotAfter().toInstant();
        if (failure.isEmpty()) {
            Instant now = config.clock().instant();
            findings.add(
                    expiry.isBefore(now.plus(SOON)) && level(terms).compareTo(TlsLevel.CA) >= 0
                            ? Finding.warning(
                                    where,
                                    CERTIFICATE,
                                    shown,
                                    "it ends within 30 days: ask the other side whether a new one is coming")
                            : Finding.ok(where, CERTIFICATE, shown + howChecked(terms, tls)));
            return true;
        }
        if (failure.get().kind() != HopFailure.Kind.TLS) {
            findings.add(Finding.failed(
                    where, EHLO, failure.get().reason(), "ask the other side's administrator what the reply means"));
            return false;
        }
        if (!failure.get().reason().contains("does not trust")
                && tls.certificateAsked()
                && !seen.passed(Step.EHLO_UNDER_TLS)) {
            findings.add(Finding.skipped(
                    where, CERTIFICATE, shown + "; not judged, because the host ended the connection over ours"));
            return false;
        }
        findings.add(Finding.failed(
                where,
                CERTIFICATE,
                failure.get().reason() + " — " + shown,
                certificateMend(failure.get().reason(), leaf)));
        return false;
    }

    private static String howChecked(SessionTerms terms, SmtpObservation.Tls tls) {
        if (terms.published().orElse(null) instanceof PublishedTrust.Dane held
                && !held.usable().isEmpty()) {
            return "; vouched for by TLSA "
                    + TlsaRecords.vouching(held.usable(), tls.chain()).stream()
                            .map(TlsaRecord::toString)
                            .collect(Collectors.joining(" and "));
        }
        if (terms.published().orElse(null) instanceof PublishedTrust.MtaSts sts && sts.enforced()) {
            return "; as the MTA-STS policy wants it";
        }
        return level(terms).compareTo(TlsLevel.CA) < 0 ? "; not checked at this level" : "";
    }

    private static TlsLevel level(SessionTerms terms) {
        return terms.tls().level();
    }

    private String certificateMend(String reason, X509Certificate leaf) {
        CertificateNames names = CertificateNames.of(leaf);
        String pin = "<tls level=\"pinned\"><sha256>" + pinOf(leaf) + "</sha256></tls>";
        if (reason.contains("TLSA records")) {
            return "if the other side has changed its certificate, its owner must publish the new TLSA record (3 1 1 "
                    + spkiOf(leaf) + ") before; if not, somebody is in between";
        }
        if (reason.contains("do not match") || reason.contains("cannot match")) {
            return names.names().isEmpty()
                    ? "the certificate names no host: the other side needs another, or pin it: " + pin
                    : "if " + names + " is the right host, set name=\""
                            + names.names().get(0)
                            + "\" in the connector's <tls>; if not, mail would go to the wrong host";
        }
        if (reason.contains("expired") || reason.contains("not valid before")) {
            return "the other side must install a certificate that is valid now; check this host's clock too";
        }
        if (reason.contains("self-signed") || reason.contains("does not lead to") || reason.contains("no valid path")) {
            return "name its authority with trustAnchors=\"file://conf/ca.pem\", or, once the other side has told you"
                    + " the fingerprint by another way, pin it: " + pin;
        }
        if (reason.contains("pin")) {
            return "if the other side has changed its certificate and tells you the new fingerprint by another way: "
                    + pin;
        }
        return "ask the other side's administrator; the reason is above";
    }

    private static String pinOf(X509Certificate certificate) {
        return X509PeerCertificate.of(List.of(certificate))
                .certificatePin()
                .map(CertificatePin::sha256)
                .orElseThrow();
    }

    private static String spkiOf(X509Certificate certificate) {
        try {
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256")
                            .digest(certificate.getPublicKey().getEncoded()));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    private boolean clientCertificate(String where, SmtpObservation seen, SessionTerms terms) {
        boolean asked = seen.tls().map(SmtpObservation.Tls::certificateAsked).orElse(false);
        Optional<X509Certificate> ours =
                terms.tls().clientCertificate().map(key -> key.chain().get(0));
        if (!seen.passed(Step.EHLO_UNDER_TLS)) {
            findings.add(Finding.failed(
                    where,
                    CLIENT_CERTIFICATE,
                    why(seen)
                            + (ours.isPresent()
                                    ? " after the host saw ours: " + describe(ours.get())
                                    : " after the host asked for a certificate and got none"),
                    ours.isPresent()
                            ? "have the other side trust the authority of this certificate and expect its name"
                            : "give the connector's <tls> a <clientCertificate>"));
            return false;
        }
        if (ours.isPresent() && !asked) {
            findings.add(Finding.warning(
                    where,
                    CLIENT_CERTIFICATE,
                    "the host does not ask for a certificate, so that it cannot know us by ours",
                    "have the other side ask for client certificates, if it is to know us by one"));
        } else if (ours.isPresent()) {
            findings.add(Finding.ok(where, CLIENT_CERTIFICATE, "asked for and shown: " + describe(ours.get())));
        } else if (asked) {
            findings.add(Finding.ok(where, CLIENT_CERTIFICATE, "asked for, not configured, and not insisted on"));
        }
        return true;
    }

    private boolean engineAccepts(String where, HopAddress hop, SessionTerms terms, String step) {
        Optional<HopFailure> failure = dial(hop, terms);
        failure.ifPresent(why -> findings.add(
                Finding.failed(where, step, why.reason(), "ask the other side's administrator what the reply means")));
        return failure.isEmpty();
    }

    private void authenticate(String where, HopAddress hop, SessionTerms terms) {
        String user = terms.credentials().orElseThrow().user();
        Optional<HopFailure> failure = dial(hop, terms);
        findings.add(
                failure.isEmpty()
                        ? Finding.ok(where, AUTH, "user '" + user + "' is accepted")
                        : Finding.failed(where, AUTH, failure.get().reason(), authMend(failure.get())));
    }

    private static String authMend(HopFailure failure) {
        if (failure.reply().isEmpty()) {
            return failure.kind() == HopFailure.Kind.AUTHENTICATION
                    ? "have the other side offer AUTH PLAIN, LOGIN or XOAUTH2 to this client, or remove <credentials>"
                    : "try again; if it stays so, ask the other side's administrator what its log says of this client";
        }
        return failure.reply().get().isTransient()
                ? "the other side says that it is for now only: try again later, and then ask its administrator what the"
                        + " reply means"
                : "check user= and secret= of the connector's <credentials> with the other side";
    }

    private Optional<HopFailure> dial(HopAddress hop, SessionTerms terms) {
        try {
            await(dialer.open(hop, terms)).quit();
            return Optional.empty();
        } catch (CompletionException e) {
            return Optional.of(HopFailure.of(e, Optional.of(hop.used())));
        }
    }

    private void testMail(MailAddress to, Optional<MailAddress> sender) {
        String where = "test mail to " + to.asString();
        if (!Finding.good(findings)) {
            findings.add(Finding.skipped(where, MAIL, "not sent, because a step above failed"));
            return;
        }
        String id = UUID.randomUUID().toString();
        String date = DateTimeFormatter.RFC_1123_DATE_TIME.format(
                config.clock().instant().atOffset(ZoneOffset.UTC));
        String text =
                """
                From: %s
                To: %s
                Subject: Mailflow test of connector %s
                Date: %s
                Message-ID: <%s@%s>
                Auto-Submitted: auto-generated

                This message was sent by 'mailflow validate-connector %s' to test the connector.
                """
                        .formatted(
                                sender.map(MailAddress::asString).orElse("postmaster@" + config.heloName()),
                                to.asString(),
                                connector.name(),
                                date,
                                id,
                                config.heloName(),
                                connector.name())
                        .replace("\n", "\r\n");
        try (PooledSmtpTransport transport = new PooledSmtpTransport(config)) {
            RecipientOutcome outcome = await(transport.send(
                            connector,
                            connector.tls(),
                            OutboundMessage.of(
                                    "validate-" + id,
                                    sender,
                                    List.of(to),
                                    MessageContent.of(text.getBytes(StandardCharsets.UTF_8)))))
                    .outcomes()
                    .get(to);
            findings.add(
                    outcome instanceof RecipientOutcome.Delivered delivered
                            ? Finding.ok(
                                    where,
                                    MAIL,
                                    delivered.used() + " " + tls(delivered.used()) + ": " + delivered.reply())
                            : Finding.failed(
                                    where,
                                    MAIL,
                                    reason(outcome),
                                    "the reply says what the other side objects to: sender, recipient or content; try"
                                            + " another --from or --send-to"));
        }
    }

    private static String tls(HopUsed hop) {
        return hop.tls()
                .map(used -> "over " + used.protocol() + " (" + used.verification() + ")")
                .orElse("in plaintext");
    }

    private static String reason(RecipientOutcome outcome) {
        if (outcome instanceof RecipientOutcome.Deferred deferred) {
            return deferred.reason();
        }
        return outcome instanceof RecipientOutcome.Failed failed ? failed.reason() : "delivered";
    }

    private static Finding skipped(String where, String step) {
        return Finding.skipped(where, step, "not reached");
    }

    private static String why(SmtpObservation seen) {
        return seen.failure().map(SmtpObservation.Failure::reason).orElse("no reason known");
    }

    /** A certificate in one line, for people. */
    public static String describe(X509Certificate certificate) {
        return String.format(
                Locale.ROOT,
                "%s (%s), issued by %s, valid until %s",
                CertificateNames.of(certificate),
                certificate.getSubjectX500Principal().getName(),
                certificate.getIssuerX500Principal().equals(certificate.getSubjectX500Principal())
                        ? "itself"
                        : certificate.getIssuerX500Principal().getName(),
                certificate.getNotAfter().toInstant());
    }

    /** Everything that is awaited has a time limit of its own; this one is above all of them. */
    private <T> T await(CompletionStage<T> stage) {
        return stage.toCompletableFuture()
                .orTimeout(10 * timeout.toSeconds() + 10, TimeUnit.SECONDS)
                .join();
    }

    @Override
    public void close() {
        loops.shutdownGracefully(0, CLOSE_SECONDS, TimeUnit.SECONDS).awaitUninterruptibly(CLOSE_SECONDS * 1000L);
        threads.shutdownNow();
    }
}
