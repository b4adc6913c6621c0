/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

import org.apache.james.core.Domain;
import org.xbill.DNS.AAAARecord;
import org.xbill.DNS.ARecord;
import org.xbill.DNS.Cache;
import org.xbill.DNS.DClass;
import org.xbill.DNS.Lookup;
import org.xbill.DNS.MXRecord;
import org.xbill.DNS.Name;
import org.xbill.DNS.Record;
import org.xbill.DNS.Resolver;
import org.xbill.DNS.TXTRecord;
import org.xbill.DNS.TextParseException;
import org.xbill.DNS.Type;

import dev.mailflow.cli.connector.ConnectorValidation;
import dev.mailflow.cli.hybrid.HybridPlan.HostAndPort;
import dev.mailflow.cli.hybrid.HybridPlan.Mx;
import dev.mailflow.cli.probe.Finding;
import dev.mailflow.cli.probe.SmtpObservation;
import dev.mailflow.cli.probe.SmtpProbe;
import dev.mailflow.delivery.DeliveryConfig;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.PolicyProblem.Severity;
import dev.mailflow.policy.certificate.CertificateNames;
import dev.mailflow.policy.certificate.CertificatePaths;
import dev.mailflow.policy.certificate.ClientKey;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.certificate.TrustVerdict;
import dev.mailflow.policy.check.PolicyCheck;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.connection.IpRange;
import dev.mailflow.policy.connector.ClientCertificateRule;
import dev.mailflow.policy.connector.InboundConnector;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.domain.DomainPattern;

/** Looks at a hybrid deployment from the premises here, part by part. */
final class HybridCheck {
    private static final String POLICY = "policy";
    private static final String OURS = "our certificate";
    private static final String CONNECTORS = "connectors";
    private static final Duration SOON = Duration.ofDays(30);
    private static final String MICROSOFT_HOSTS = ".mail.protection.outlook.com";

    private final MailFlowPolicy policy;
    private final HybridConfiguration configuration;
    private final HybridPlan plan;
    private final DeliveryConfig config;
    private final Optional<Resolver> resolver;
    private final Duration timeout;
    // of its own: a troubleshooter must not see what was true before
    private final Cache cache = new Cache(DClass.IN);
    private final List<Finding> findings = new ArrayList<>();

    HybridCheck(
            MailFlowPolicy policy,
            HybridConfiguration configuration,
            HybridPlan plan,
            DeliveryConfig config,
            Optional<Resolver> resolver,
            Duration timeout) {
        this.policy = policy;
        this.configuration = configuration;
        this.plan = plan;
        this.config = config;
        this.resolver = resolver;
        this.timeout = timeout;
    }

    OutboundConnector cloudConnector() {
        return policy.outboundConnectors().find(plan.outboundConnector()).orElseThrow();
    }

    private InboundConnector fromCloud() {
        return policy.inboundConnectors().find(plan.inboundConnector()).orElseThrow();
    }

    DeliveryConfig config() {
        return config;
    }

    /** @param self where this gateway's SMTP port is looked for */
    List<Finding> run(HostAndPort self) throws IOException {
        lint();
        ourCertificate();
        server();
        Optional<X509Certificate> cloud = toCloud();
        Optional<X509Certificate> shown = fromOutside(self);
        consistency(cloud, shown);
        loops();
        plan.domains().forEach(this::domain);
        return List.copyOf(findings);
    }

    private void lint() {
        List<PolicyProblem> problems = PolicyCheck.check(policy, now());
        for (PolicyProblem problem : problems) {
            findings.add(
                    problem.severity() == Severity.ERROR
                            ? Finding.failed(POLICY, "lint", problem.toString(), "see 'mailflow check'")
                            : Finding.warning(POLICY, "lint", problem.toString(), "see 'mailflow check'"));
        }
        if (problems.isEmpty()) {
            findings.add(Finding.ok(POLICY, "lint", "no objections"));
        }
    }

    private Instant now() {
        return config.clock().instant();
    }

    private void ourCertificate() {
        Optional<ClientKey> key = cloudConnector().tls().clientCertificate();
        if (key.isEmpty()) {
            findings.add(Finding.failed(
                    OURS,
                    "key store",
                    "the connector '" + plan.outboundConnector() + "' presents no certificate",
                    "run 'mailflow hybrid setup' and give it one: the cloud knows this gateway by it"));
            return;
        }
        GatewayCertificate ours =
                new GatewayCertificate(key.get().key(), key.get().chain());
        List<String> objections = ours.objections(plan.hostName(), now());
        objections.forEach(objection -> findings.add(Finding.failed(
                OURS,
                "certificate",
                objection,
                "get another certificate for " + plan.hostName() + " ('mailflow hybrid setup --certificate csr') and"
                        + " install it by 'mailflow hybrid setup --certificate FILE'")));
        ours.warnings()
                .forEach(warning -> findings.add(
                        Finding.warning(OURS, "certificate", warning, "get a certificate from a public authority")));
        Instant expiry = ours.leaf().getNotAfter().toInstant();
        if (objections.isEmpty() && expiry.isBefore(now().plus(SOON))) {
            findings.add(Finding.warning(
                    OURS, "expiry", "it ends at " + expiry, "renew it now; the cloud refuses mail after that"));
        }
        if (objections.isEmpty()) {
            findings.add(Finding.ok(OURS, "certificate", ConnectorValidation.describe(ours.leaf())));
        }
        if (!ours.isSelfSigned()
                && CertificatePaths.validate(ours.chain(), TrustAnchors.jdk(), CertificatePaths.Side.SERVER, now())
                        instanceof TrustVerdict.Untrusted untrusted) {
            findings.add(Finding.warning(
                    OURS,
                    "chain",
                    untrusted.reason(),
                    "the cloud must trust this authority; if it is a public one, put its intermediate certificates into"
                            + " the file, behind the certificate"));
        }
    }

    /** What James's own files say. */
    private void server() throws IOException {
        String where = "smtpserver.xml";
        Optional<String> smtp = configuration.changes().content(where).map(bytes -> new String(
                        bytes, StandardCharsets.UTF_8)
                .replaceAll("(?s)<!--.*?-->", ""));
        if (smtp.isEmpty()) {
            findings.add(Finding.skipped(where, "handlers", "there is no such file"));
            return;
        }
        for (String hook : List.of("InboundConnectorHook", "XoorgExtension", "StampFactsHook")) {
            if (!smtp.get().contains("dev.mailflow.hooks." + hook)) {
                findings.add(Finding.failed(
                        where,
                        "handlers",
                        "handler " + hook + " is missing",
                        "run 'mailflow hybrid setup' again, which puts it in its place"));
            }
        }
        if (smtp.get().contains("dev.mailflow.hooks.XoorgExtension")) {
            findings.add(Finding.ok(where, "XOORG", "offered to the cloud once it has shown its certificate"));
        }
        Optional<String> mailets = configuration
                .changes()
                .content("mailetcontainer.xml")
                .map(bytes -> new String(bytes, StandardCharsets.UTF_8).replaceAll("(?s)<!--.*?-->", ""));
        for (String mailet : ServerPieces.TRANSPORT) {
            if (mailets.isPresent() && !mailets.get().contains(mailet)) {
                findings.add(Finding.failed(
                        "mailetcontainer.xml",
                        "mailets",
                        "mailet " + mailet + " is missing: mail for the other premises does not find its way",
                        "run 'mailflow hybrid setup' again, which puts it in its place"));
            }
        }
    }

    /** The way to the cloud; its certificate if it showed one. */
    private Optional<X509Certificate> toCloud() {
        try (ConnectorValidation validation = new ConnectorValidation(cloudConnector(), config, timeout)) {
            findings.addAll(validation.run(Optional.empty(), Optional.empty(), Optional.empty()));
        }
        Optional<X509Certificate> shown = Optional.empty();
        for (InetAddress address : addresses(plan.smartHost().host())) {
            SmtpObservation seen = probe().look(
                            plan.smartHost().host(),
                            new InetSocketAddress(address, plan.smartHost().port()),
                            cloudConnector().tls().clientCertificate());
            if (seen.tls().isEmpty() || seen.failure().isPresent()) {
                continue;
            }
            shown = Optional.of(seen.tls().get().certificate());
            String where = plan.smartHost() + " [" + address.getHostAddress() + "]";
            findings.add(
                    seen.offers("XOORG")
                            ? Finding.ok(where, "XOORG", "offered")
                            : Finding.warning(
                                    where,
                                    "XOORG",
                                    "not offered: the cloud will not be told which organization mail is from",
                                    "is the cloud's inbound connector there, with CloudServicesMailEnabled and this"
                                            + " gateway's certificate name " + plan.hostName()
                                            + "? If it is, a device in"
                                            + " between answers in the cloud's place"));
        }
        return shown;
    }

    private SmtpProbe probe() {
        return new SmtpProbe(config.heloName(), timeout);
    }

    /** The way here, as far as it can be seen from inside; the certificate that is shown. */
    private Optional<X509Certificate> fromOutside(HostAndPort self) {
        String name = "this gateway " + self;
        List<InetAddress> addresses = addresses(self.host());
        if (addresses.isEmpty()) {
            findings.add(Finding.failed(
                    name,
                    "DNS",
                    self.host() + " has no address",
                    "publish an A record for " + self.host() + ", or give --gateway HOST:PORT"));
        }
        Optional<X509Certificate> shown = Optional.empty();
        for (InetAddress address : addresses) {
            String where = name + " [" + address.getHostAddress() + "]";
            SmtpObservation seen =
                    probe().look(plan.hostName(), new InetSocketAddress(address, self.port()), Optional.empty());
            if (!seen.passed(SmtpObservation.Step.EHLO)) {
                findings.add(Finding.failed(
                        where,
                        "port " + self.port(),
                        seen.failure().map(SmtpObservation.Failure::reason).orElse("no answer"),
                        "start the gateway, forward port 25 to it, and open the firewall for the cloud's addresses."
                                + " Some routers do not lead a host to its own public address: then ask from outside"));
                continue;
            }
            findings.add(
                    Finding.ok(where, "port " + self.port(), seen.greeting().orElse("answers")));
            if (seen.tls().isEmpty()) {
                findings.add(Finding.failed(
                        where,
                        "STARTTLS",
                        seen.failure().map(SmtpObservation.Failure::reason).orElse("not offered"),
                        "set startTLS=\"true\" and a certificate in smtpserver.xml ('mailflow hybrid setup' does); a"
                                + " firewall with SMTP inspection must be told to let STARTTLS through"));
                continue;
            }
            SmtpObservation.Tls tls = seen.tls().get();
            shown = Optional.of(tls.certificate());
            findings.add(
                    tls.certificateAsked()
                            ? Finding.ok(where, "STARTTLS", tls.protocol() + ", asks for a client certificate")
                            : Finding.failed(
                                    where,
                                    "STARTTLS",
                                    "no client certificate is asked for: the cloud cannot prove who it is",
                                    "use the gateway's own SMTP server (bin/gateway), which asks; in a James of your"
                                            + " own a port with <clientAuth>"));
            CertificateNames names = CertificateNames.of(tls.certificate());
            findings.add(
                    names.satisfy(DomainPattern.parse(plan.hostName()))
                            ? Finding.ok(where, "certificate", ConnectorValidation.describe(tls.certificate()))
                            : Finding.failed(
                                    where,
                                    "certificate",
                                    "it is for " + names + "; the cloud's connector expects " + plan.hostName()
                                            + " (TlsDomain)",
                                    "start the gateway again if the certificate was changed; else set <privateKey> and"
                                            + " <certificates> in smtpserver.xml ('mailflow hybrid setup' does)"));
            if (now().isAfter(tls.certificate().getNotAfter().toInstant())) {
                findings.add(Finding.failed(
                        where,
                        "expiry",
                        "it expired at " + tls.certificate().getNotAfter().toInstant(),
                        "install a new certificate and start the gateway again"));
            }
        }
        return shown;
    }

    /** Whether both sides mean each other. */
    private void consistency(Optional<X509Certificate> cloud, Optional<X509Certificate> shown) {
        Optional<ClientCertificateRule> rule = fromCloud().clientCertificate();
        rule.flatMap(ClientCertificateRule::name)
                .ifPresent(expected -> cloud.ifPresent(certificate -> {
                    CertificateNames names = CertificateNames.of(certificate);
                    findings.add(
                            names.satisfy(expected)
                                    ? Finding.ok(
                                            CONNECTORS,
                                            "cloud's name",
                                            "the cloud is " + names + ", and '" + plan.inboundConnector() + "' expects "
                                                    + expected)
                                    : Finding.warning(
                                            CONNECTORS,
                                            "cloud's name",
                                            "the cloud's server is " + names + ", but '" + plan.inboundConnector()
                                                    + "' expects " + expected,
                                            "if the cloud sends with that certificate too, its mail is not recognized:"
                                                    + " set the name by 'mailflow hybrid setup"
                                                    + " --cloud-certificate-name'"));
                }));
        if (rule.isEmpty() && plan.secureMail()) {
            findings.add(Finding.failed(
                    CONNECTORS,
                    "cloud's name",
                    "'" + plan.inboundConnector() + "' names no certificate",
                    "run 'mailflow hybrid setup --secure-mail on'"));
        }
        Optional<X509Certificate> ours = cloudConnector()
                .tls()
                .clientCertificate()
                .map(key -> key.chain().get(0));
        if (ours.isPresent() && shown.isPresent()) {
            findings.add(
                    ours.equals(shown)
                            ? Finding.ok(CONNECTORS, "our name", "the gateway sends and receives with one certificate")
                            : Finding.warning(
                                    CONNECTORS,
                                    "our name",
                                    "the gateway sends as " + CertificateNames.of(ours.get()) + " and receives as "
                                            + CertificateNames.of(shown.get()),
                                    "start the gateway again if the certificate was changed; both must bear "
                                            + plan.hostName()));
        }
        demandedTls();
    }

    /** Secure mail raises a level and never lowers one: more than it asks is the administrator's choice. */
    private void demandedTls() {
        TlsLevel level = cloudConnector().tls().level();
        String demand = "'" + plan.outboundConnector() + "' demands TLS level " + level;
        if (plan.secureMail()) {
            findings.add(Finding.ok(CONNECTORS, "TLS", "secureMail is on, and " + demand));
        } else if (configuration.pieces().hasTlsOfSecureMail()) {
            findings.add(Finding.warning(
                    CONNECTORS,
                    "TLS",
                    "secureMail is off, but " + demand + ", as if it were on",
                    "set both by 'mailflow hybrid set secureMail=on', or secureMail=off if mail may also go to the cloud"
                            + " without"));
        } else if (level.requiresTls()) {
            findings.add(Finding.ok(
                    CONNECTORS,
                    "TLS",
                    "secureMail is off, and " + demand + " of its own: without it mail for the cloud waits"));
        }
    }

    private void loops() {
        String where = "loops";
        int before = findings.size();
        Set<InetAddress> here = new HashSet<>(addresses(plan.hostName()));
        List<InetAddress> cloud = addresses(plan.smartHost().host());
        if (plan.smartHost().host().equalsIgnoreCase(plan.hostName())
                || (cloud.stream().anyMatch(here::contains) && plan.smartHost().port() == HostAndPort.SMTP)) {
            findings.add(Finding.failed(
                    where,
                    "smart host",
                    "the cloud's smart host " + plan.smartHost() + " is this gateway",
                    "set the cloud's host by 'mailflow hybrid setup --smart-host'"));
        }
        for (String host : mx(plan.remoteRoutingDomain())) {
            if (host.equalsIgnoreCase(plan.hostName())
                    || addresses(host).stream().anyMatch(here::contains)) {
                findings.add(Finding.failed(
                        where,
                        "routing domain",
                        "the MX record of " + plan.remoteRoutingDomain() + " names this gateway (" + host + ")",
                        "it must name the cloud: mail for the cloud would come back here"));
            }
        }
        if (policy.acceptedDomains().contains(Domain.of(plan.remoteRoutingDomain()))) {
            findings.add(Finding.failed(
                    where,
                    "routing domain",
                    plan.remoteRoutingDomain() + " is an accepted domain here",
                    "take it out of <acceptedDomains>: only the cloud receives for it"));
        }
        if (findings.size() == before) {
            findings.add(Finding.ok(where, "loops", "none seen"));
        }
    }

    private void domain(String domain) {
        String expected = DnsRecords.mxHost(plan).toLowerCase(Locale.ROOT);
        List<String> hosts = mx(domain);
        String topology = plan.mx() == Mx.ON_PREMISES ? "mail comes here first" : "mail goes to the cloud first";
        if (hosts.isEmpty()) {
            findings.add(Finding.failed(
                    domain, "MX", "there is no MX record", "publish: " + domain + ". IN MX 10 " + expected + "."));
        } else if (hosts.stream().allMatch(host -> isExpected(host, expected))) {
            findings.add(Finding.ok(domain, "MX", String.join(", ", hosts) + ": " + topology));
        } else {
            findings.add(Finding.failed(
                    domain,
                    "MX",
                    "found " + String.join(", ", hosts) + ", but mx is " + plan.mx() + ": " + topology,
                    "publish: " + domain + ". IN MX 10 " + expected
                            + ". (and no other), or say where mail really goes by" + " 'mailflow hybrid set mx="
                            + (plan.mx() == Mx.CLOUD ? "onPremises" : "cloud") + "'"));
        }
        spf(domain);
        text(
                "_mta-sts." + domain,
                "v=STSv1",
                "MTA-STS",
                "'mailflow hybrid show --dns-records' prints the records; senders may be made to use plaintext"
                        + " without");
        text("_smtp._tls." + domain, "v=TLSRPTv1", "TLS-RPT", "'mailflow hybrid show --dns-records' prints the record");
    }

    /** The cloud has many names for one tenant's hosts. */
    private boolean isExpected(String host, String expected) {
        return host.equalsIgnoreCase(expected)
                || (plan.mx() == Mx.CLOUD && expected.endsWith(MICROSOFT_HOSTS) && host.endsWith(MICROSOFT_HOSTS))
                || (plan.mx() == Mx.ON_PREMISES
                        && !addresses(host).isEmpty()
                        && addresses(plan.hostName()).containsAll(addresses(host)));
    }

    private void spf(String domain) {
        List<String> records = SpfTerms.records(txt(domain));
        String publish = "publish: " + domain + ". IN TXT \"" + DnsRecords.spf(plan) + "\"";
        if (records.size() != 1) {
            findings.add(
                    records.isEmpty()
                            ? Finding.warning(domain, "SPF", "there is no SPF record", publish)
                            : Finding.failed(
                                    domain,
                                    "SPF",
                                    "there are " + records.size() + " SPF records, which counts as none",
                                    "leave one; " + publish));
            return;
        }
        String record = records.get(0);
        SpfTerms terms = SpfTerms.of(domain, record, this::txt);
        if (terms.error().isPresent()) {
            findings.add(Finding.failed(
                    domain,
                    "SPF",
                    "\"" + record + "\" " + terms.error().get(),
                    "take out what is not needed, or name addresses by ip4: and ip6: instead"));
            return;
        }
        List<String> missing = new ArrayList<>();
        if (!coversGateway(terms)) {
            missing.add("this gateway (a:" + plan.hostName() + ")");
        }
        String cloud = DnsRecords.cloudMechanism(plan);
        boolean cloudSends = !plan.centralizedTransport();
        if (cloudSends && !terms.has(cloud)) {
            missing.add("the cloud (" + cloud + "), which sends to the Internet itself");
        }
        findings.add(
                missing.isEmpty()
                        ? Finding.ok(domain, "SPF", record)
                        : Finding.failed(
                                domain,
                                "SPF",
                                "\"" + record + "\" does not name " + String.join(" and ", missing),
                                "add it before 'all'; for this topology: \"" + DnsRecords.spf(plan) + "\""));
    }

    /** By name, by MX, or by address. */
    private boolean coversGateway(SpfTerms spf) {
        List<InetAddress> ours = addresses(plan.hostName());
        return spf.has("a:" + plan.hostName())
                || spf.terms().stream()
                        .anyMatch(term ->
                                term.mechanism().equals("a") && term.domain().equalsIgnoreCase(plan.hostName()))
                || (!ours.isEmpty()
                        && ours.stream()
                                .allMatch(address -> spf.terms().stream().anyMatch(term -> covers(term, address))));
    }

    private boolean covers(SpfTerms.Term term, InetAddress address) {
        String kind = term.mechanism().replaceFirst(":.*", "");
        int colon = term.mechanism().indexOf(':');
        String value = colon < 0 ? term.domain() : term.mechanism().substring(colon + 1);
        return switch (kind) {
            case "ip4", "ip6" -> {
                try {
                    yield IpRange.parse(value).contains(IpAddress.of(address));
                } catch (IllegalArgumentException e) {
                    // a mechanism that is wrong covers nobody
                    yield false;
                }
            }
            case "a" -> addresses(value).contains(address);
            case "mx" -> mx(value).stream().anyMatch(host -> addresses(host).contains(address));
            default -> false;
        };
    }

    private void text(String name, String begin, String what, String mend) {
        Optional<String> found =
                txt(name).stream().filter(text -> text.startsWith(begin)).findFirst();
        findings.add(
                found.isPresent()
                        ? Finding.ok(name, what, found.get())
                        : Finding.warning(name, what, "there is no such record", mend));
    }

    private List<String> mx(String domain) {
        return ask(domain, Type.MX).stream()
                .filter(MXRecord.class::isInstance)
                .map(record -> ((MXRecord) record).getTarget().toString(true).toLowerCase(Locale.ROOT))
                .sorted()
                .toList();
    }

    private List<String> txt(String name) {
        return ask(name, Type.TXT).stream()
                .filter(TXTRecord.class::isInstance)
                .map(record -> ((TXTRecord) record).getStrings().stream().collect(Collectors.joining()))
                .toList();
    }

    private List<InetAddress> addresses(String host) {
        if (host.matches("[0-9.]+") || host.indexOf(':') >= 0) {
            try {
                return List.of(InetAddress.getByName(host));
            } catch (IOException e) {
                return List.of();
            }
        }
        List<InetAddress> all = new ArrayList<>();
        ask(host, Type.A).forEach(record -> {
            if (record instanceof ARecord a) {
                all.add(a.getAddress());
            }
        });
        ask(host, Type.AAAA).forEach(record -> {
            if (record instanceof AAAARecord aaaa) {
                all.add(aaaa.getAddress());
            }
        });
        return all;
    }

    private List<Record> ask(String name, int type) {
        try {
            Lookup lookup = new Lookup(Name.fromString(name, Name.root), type);
            resolver.ifPresent(lookup::setResolver);
            lookup.setCache(cache);
            Record[] found = lookup.run();
            return found == null ? List.of() : List.of(found);
        } catch (TextParseException e) {
            return List.of();
        }
    }
}
