/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.time.Clock;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;

import dev.mailflow.cli.Mailflow;
import dev.mailflow.cli.PolicyOption;
import dev.mailflow.cli.Version;
import dev.mailflow.cli.hybrid.HybridPlan.Directory;
import dev.mailflow.cli.hybrid.HybridPlan.HostAndPort;
import dev.mailflow.cli.hybrid.HybridPlan.Mx;
import dev.mailflow.cli.hybrid.Questions.Question;
import dev.mailflow.cli.hybrid.ServerPieces.Unsuitable;
import dev.mailflow.cli.xml.XmlSyntaxException;
import dev.mailflow.policy.connection.IpRange;
import dev.mailflow.policy.domain.DomainPattern;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code mailflow hybrid setup}: the wizard. */
@Command(
        name = "setup",
        description = {
            "Asks what a hybrid deployment needs, shows what will change, and writes it: pieces of mailflow.xml,"
                    + " smtpserver.xml and mailetcontainer.xml, and the certificate under hybrid/. What it did not write"
                    + " it leaves as it is; run again with the same answers it changes nothing.",
            "Then it prints the cloud's side as a PowerShell script, and the DNS records to publish."
        },
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:written, or nothing to change",
            "1:refused, or a certificate that cannot work, or not confirmed",
            "2:wrong usage, or an answer is missing"
        })
final class HybridSetupCommand implements Callable<Integer> {
    private static final String SELF_SIGNED = "self-signed";
    private static final String CSR = "csr";
    private static final String INSTALLED = "installed";
    private static final String REQUEST_KEY = "hybrid/request.key";
    private static final String REQUEST = "hybrid/request.csr";

    private final Map<String, String> environment;
    private final Clock clock;
    private final BufferedReader in;

    @Spec
    private CommandSpec spec;

    @Mixin
    private PolicyOption policy;

    @ArgGroup(validate = false, heading = "%nAnswers:%n")
    private Answers answers = new Answers();

    /** Every question of the wizard as an option. */
    static final class Answers {
        @Option(
                names = "--domain",
                split = ",",
                paramLabel = "DOMAIN",
                description = "a domain with mailboxes here and in the cloud; may be repeated")
        private List<String> domains = List.of();

        @Option(
                names = "--domain-type",
                paramLabel = "TYPE",
                description =
                        "of these domains here: authoritative (who is in no directory is refused) or internalRelay"
                                + " (who is not here is in the cloud); default: as the policy has it, else internalRelay"
                                + " with directory james, authoritative otherwise")
        private Optional<String> domainType = Optional.empty();

        @Option(
                names = "--remote-routing-domain",
                paramLabel = "DOMAIN",
                description = "the domain under which the cloud knows its mailboxes (contoso.mail.onmicrosoft.com)")
        private Optional<String> remoteRoutingDomain = Optional.empty();

        @Option(
                names = "--smart-host",
                paramLabel = "HOST[:PORT]",
                description = "where the cloud takes mail (contoso-com.mail.protection.outlook.com)")
        private Optional<String> smartHost = Optional.empty();

        @Option(
                names = "--host-name",
                paramLabel = "NAME",
                description = "the public name of this gateway, which its certificate bears (mail.contoso.com)")
        private Optional<String> hostName = Optional.empty();

        @Option(names = "--mx", paramLabel = "WHERE", description = "whose the MX records are: onPremises or cloud")
        private Optional<String> mx = Optional.empty();

        @Option(
                names = "--centralized-transport",
                paramLabel = "on|off",
                description = "whether all mail of the cloud, from and to the Internet, passes this gateway")
        private Optional<String> centralizedTransport = Optional.empty();

        @Option(
                names = "--secure-mail",
                paramLabel = "on|off",
                description = "whether both sides demand TLS with the other's certificate")
        private Optional<String> secureMail = Optional.empty();

        @Option(
                names = "--certificate",
                paramLabel = "FILE|csr|self-signed|installed",
                description =
                        "this gateway's certificate: a PKCS #12 or PEM file; csr makes a key and a signing request and"
                                + " stops; self-signed makes one for trials; installed keeps the one of the last time")
        private Optional<String> certificate = Optional.empty();

        @Option(
                names = "--certificate-key",
                paramLabel = "FILE",
                description = "PEM file of the private key, when it is not in the file of the certificate")
        private Optional<Path> certificateKey = Optional.empty();

        @Option(
                names = "--certificate-password-file",
                paramLabel = "FILE",
                description = "holds the password of the PKCS #12 file or of the key")
        private Optional<Path> certificatePassword = Optional.empty();

        @Option(
                names = "--cloud-certificate-name",
                paramLabel = "NAME",
                description = "the name in the cloud's certificates; default " + HybridPlan.DEFAULT_CLOUD_CERTIFICATE)
        private Optional<String> cloudCertificateName = Optional.empty();

        @Option(
                names = "--trust-anchors",
                paramLabel = "FILE",
                description =
                        "PEM file of the authorities that the cloud's certificates come from; default: those of the"
                                + " JDK")
        private Optional<Path> trustAnchors = Optional.empty();

        @Option(
                names = "--cloud-address",
                split = ",",
                paramLabel = "IP",
                description = "addresses the cloud sends from; needed only where it is not known by its certificate")
        private List<String> cloudAddresses = List.of();

        @Option(
                names = "--gateway-address",
                split = ",",
                paramLabel = "IP",
                description =
                        "public addresses this gateway sends from; only used by the script, with --secure-mail off")
        private List<String> gatewayAddresses = List.of();

        @Option(
                names = "--directory",
                paramLabel = "SOURCE",
                description = "what says who lives where: james, file or ldap")
        private Optional<String> directory = Optional.empty();

        @Option(
                names = "--directory-url",
                paramLabel = "URL",
                description = "file://conf/mailboxes.csv, or ldaps://HOST")
        private Optional<String> directoryUrl = Optional.empty();

        @Option(names = "--ldap-base", paramLabel = "DN", description = "with ldap: where the search begins")
        private Optional<String> ldapBase = Optional.empty();

        @Option(names = "--ldap-filter", paramLabel = "FILTER", description = "with ldap: another filter")
        private Optional<String> ldapFilter = Optional.empty();

        @Option(names = "--ldap-user", paramLabel = "DN", description = "with ldap: who asks; default nobody")
        private Optional<String> ldapUser = Optional.empty();

        @Option(
                names = "--ldap-secret",
                paramLabel = "REFERENCE",
                description = "with ldap: $${file:…} or $${env:…}, never the password itself")
        private Optional<String> ldapSecret = Optional.empty();

        @Option(
                names = "--smtp-server",
                paramLabel = "NAME",
                description = "jmxName of the server in smtpserver.xml that other servers connect to")
        private Optional<String> smtpServer = Optional.empty();
    }

    @Option(names = "--non-interactive", description = "ask nothing: what is not given is as it was, or an error")
    private boolean nonInteractive;

    @Option(names = "--yes", description = "write without asking once more")
    private boolean yes;

    @Option(names = "--dry-run", description = "show what would change, write nothing")
    private boolean dryRun;

    @Option(
            names = "--policy-only",
            description = "change mailflow.xml and hybrid/ only, where James's other files are made by hand")
    private boolean policyOnly;

    @Option(names = "--cloud-script", paramLabel = "FILE", description = "write the PowerShell script there")
    private Optional<Path> cloudScript = Optional.empty();

    @Option(names = "--dns-records", paramLabel = "FILE", description = "write the DNS records there")
    private Optional<Path> dnsRecords = Optional.empty();

    HybridSetupCommand(Map<String, String> environment, Clock clock, BufferedReader in) {
        this.environment = environment;
        this.clock = clock;
        this.in = in;
    }

    @Override
    public Integer call() throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        PrintWriter err = spec.commandLine().getErr();
        Questions questions = new Questions(in, out, !nonInteractive, spec.commandLine());
        if (nonInteractive && !yes && !dryRun) {
            throw questions.usage("--non-interactive needs --yes to write, or --dry-run");
        }
        Path conf = policy.existingDirectory();
        try {
            HybridConfiguration configuration = HybridConfiguration.in(conf);
            Optional<HybridPlan> present =
                    configuration.pieces().read(configuration.hostName().orElse(""));
            if (nonInteractive) {
                requireAnswers(questions, configuration, present);
            }
            HybridPlan plan = plan(questions, configuration, present);
            Optional<GatewayCertificate> certificate = certificate(questions, configuration, plan.hostName());
            if (certificate.isEmpty()) {
                return request(configuration, plan.hostName(), out);
            }
            List<String> objections = certificate.get().objections(plan.hostName(), clock.instant());
            if (!objections.isEmpty()) {
                objections.forEach(objection -> err.println("mailflow: the certificate cannot work: " + objection));
                err.flush();
                return Mailflow.NO;
            }
            configuration.planCertificate(certificate.get());
            planDirectory(configuration, plan);
            boolean newCertificate = configuration
                    .installedCertificate()
                    .filter(installed ->
                            installed.leaf().equals(certificate.get().leaf()))
                    .isEmpty();
            configuration.pieces().write(plan, newCertificate);
            configuration.planPolicy();
            if (!policyOnly) {
                configuration.planServer(answers.smtpServer);
            }
            return carryOut(questions, configuration, plan, certificate.get());
        } catch (XmlSyntaxException | Unsuitable e) {
            err.println("mailflow: " + e.getMessage());
            err.flush();
            return Mailflow.NO;
        }
    }

    /** All that is missing at once. */
    private void requireAnswers(Questions questions, HybridConfiguration configuration, Optional<HybridPlan> present) {
        Map<String, Boolean> answered = new LinkedHashMap<>();
        answered.put("--domain", !answers.domains.isEmpty() || present.isPresent());
        answered.put("--remote-routing-domain", answers.remoteRoutingDomain.isPresent() || present.isPresent());
        answered.put("--smart-host", answers.smartHost.isPresent() || present.isPresent());
        answered.put(
                "--host-name",
                answers.hostName.isPresent() || configuration.hostName().isPresent());
        answered.put(
                "--certificate",
                answers.certificate.isPresent()
                        || configuration.installedCertificate().isPresent());
        List<String> missing = answered.entrySet().stream()
                .filter(entry -> !entry.getValue())
                .map(Map.Entry::getKey)
                .toList();
        if (!missing.isEmpty()) {
            throw questions.usage("missing " + String.join(", ", missing)
                    + "; with --non-interactive every answer that the configuration does not have yet must be given");
        }
    }

    private HybridPlan plan(Questions questions, HybridConfiguration configuration, Optional<HybridPlan> present)
            throws IOException {
        List<String> domains = questions.ask(
                Question.of(
                        "--domain",
                        "Shared domains, separated by commas",
                        "Domains that have mailboxes both here and in the cloud.",
                        present.map(plan -> String.join(",", plan.domains()))),
                joined(answers.domains),
                text -> distinct(text, HybridPlan::domain));
        String first = domains.get(0);
        String remoteRoutingDomain = questions.ask(
                Question.of(
                                "--remote-routing-domain",
                                "Remote routing domain",
                                "Mail for a mailbox in the cloud is readdressed to this domain, which only the cloud"
                                        + " receives for.",
                                present.map(HybridPlan::remoteRoutingDomain))
                        .guessing(first.substring(0, first.indexOf('.')) + ".mail.onmicrosoft.com"),
                answers.remoteRoutingDomain,
                text -> remote(text, domains));
        HostAndPort smartHost = questions.ask(
                Question.of(
                                "--smart-host",
                                "Smart host of the cloud",
                                "Where the cloud takes mail: the host its MX record would name.",
                                present.map(plan -> plan.smartHost().toString()))
                        .guessing(first.replace('.', '-') + ".mail.protection.outlook.com"),
                answers.smartHost,
                HostAndPort::parse);
        String hostName = questions.ask(
                Question.of(
                                "--host-name",
                                "Name of this gateway",
                                "The public name by which the cloud and the world reach this gateway; its certificate"
                                        + " must bear it.",
                                configuration.hostName())
                        .guessing("mail." + first),
                answers.hostName,
                HybridPlan::domain);
        Mx mx = questions.ask(
                Question.of(
                        "--mx",
                        "MX records (onPremises, cloud)",
                        "Who receives mail from the Internet: this gateway (onPremises) or the cloud.",
                        Optional.of(present.map(HybridPlan::mx)
                                .orElse(Mx.ON_PREMISES)
                                .toString())),
                answers.mx,
                Mx::parse);
        boolean centralized = questions.ask(
                Question.of(
                        "--centralized-transport",
                        "Centralized transport (on, off)",
                        "Whether the cloud hands all its mail to this gateway, so that rules and journaling here see"
                                + " it.",
                        Optional.of(Questions.onOrOff(
                                present.map(HybridPlan::centralizedTransport).orElse(false)))),
                answers.centralizedTransport,
                Questions::onOrOff);
        boolean secure = questions.ask(
                Question.of(
                        "--secure-mail",
                        "Secure mail (on, off)",
                        "Whether both sides demand TLS with the other's certificate, and mail between them stays"
                                + " internal.",
                        Optional.of(Questions.onOrOff(
                                present.map(HybridPlan::secureMail).orElse(true)))),
                answers.secureMail,
                Questions::onOrOff);
        String cloudName = questions.ask(
                Question.of(
                        "--cloud-certificate-name",
                        "Name in the cloud's certificate",
                        "The cloud proves by this name who it is; *.example.com stands for all hosts of example.com.",
                        Optional.of(present.map(HybridPlan::cloudCertificateName)
                                .orElse(HybridPlan.DEFAULT_CLOUD_CERTIFICATE))),
                answers.cloudCertificateName,
                HybridSetupCommand::certificateName);
        Directory directory = directory(questions, present.map(HybridPlan::directory));
        Optional<String> domainType = answers.domainType.isEmpty()
                ? Optional.empty()
                : Optional.of(questions.ask(
                        Question.of("--domain-type", "Type of the shared domains", "", Optional.empty()),
                        answers.domainType,
                        Questions.oneOf(List.of("authoritative", "internalRelay"))));
        return new HybridPlan(
                domains,
                domainType,
                remoteRoutingDomain,
                smartHost,
                hostName,
                mx,
                centralized,
                secure,
                cloudName,
                answers.trustAnchors
                        .map(file -> url(configuration.changes().conf(), file))
                        .or(() -> present.flatMap(HybridPlan::trustAnchors)),
                addresses(questions, "--gateway-address", answers.gatewayAddresses),
                answers.cloudAddresses.isEmpty()
                        ? present.map(HybridPlan::cloudAddresses).orElse(List.of())
                        : addresses(questions, "--cloud-address", answers.cloudAddresses),
                directory,
                present.map(HybridPlan::inboundConnector).orElse(HybridPlan.DEFAULT_INBOUND),
                present.map(HybridPlan::outboundConnector).orElse(HybridPlan.DEFAULT_OUTBOUND));
    }

    private Directory directory(Questions questions, Optional<Directory> present) throws IOException {
        String source = questions.ask(
                Question.of(
                        "--directory",
                        "Directory (james, file, ldap)",
                        "What says who lives where: James's users and mappings, a file with address and location, or a"
                                + " directory server (targetAddress, proxyAddresses).",
                        Optional.of(present.map(Directory::source).orElse("james"))),
                answers.directory,
                Questions.oneOf(Directory.SOURCES));
        Optional<Directory> same = present.filter(known -> known.source().equals(source));
        return switch (source) {
            case "file" -> new Directory(
                    source,
                    Optional.of(questions.ask(
                            Question.of(
                                    "--directory-url",
                                    "File of the mailboxes",
                                    "A list with the columns address,location, where location is local or cloud.",
                                    Optional.of(same.flatMap(Directory::url).orElse("file://conf/mailboxes.csv"))),
                            answers.directoryUrl,
                            HybridSetupCommand::fileUrl)),
                    Optional.empty(),
                    Optional.empty(),
                    Optional.empty(),
                    Optional.empty());
            case "ldap" -> new Directory(
                    source,
                    Optional.of(questions.ask(
                            Question.of(
                                    "--directory-url",
                                    "URL of the directory server",
                                    "ldaps:// is encrypted from the start.",
                                    same.flatMap(Directory::url)),
                            answers.directoryUrl,
                            HybridSetupCommand::ldapUrl)),
                    Optional.of(questions.ask(
                            Question.of(
                                    "--ldap-base",
                                    "Search base",
                                    "The entry below which mailboxes are, such as dc=contoso,dc=com.",
                                    same.flatMap(Directory::base)),
                            answers.ldapBase,
                            HybridSetupCommand::notEmpty)),
                    answers.ldapFilter.or(() -> same.flatMap(Directory::filter)),
                    answers.ldapUser.or(() -> same.flatMap(Directory::user)),
                    answers.ldapSecret
                            .map(text -> reference(questions, text))
                            .or(() -> same.flatMap(Directory::secret)));
            default -> new Directory(
                    source, Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty());
        };
    }

    private static String reference(Questions questions, String text) {
        if (!text.matches("\\$\\{(env|file):[^}]+}")) {
            throw questions.usage(
                    "--ldap-secret: found something else than a reference, expected ${file:conf/ldap.secret} or"
                            + " ${env:NAME}: secrets do not stand in the policy");
        }
        return text;
    }

    private static String notEmpty(String text) {
        if (text.isBlank()) {
            throw new IllegalArgumentException("found nothing, expected an answer");
        }
        return text.strip();
    }

    private static String fileUrl(String text) {
        if (!text.strip().matches("file://(?:conf)?/.+")) {
            throw new IllegalArgumentException(
                    "found '" + text + "', expected file://conf/mailboxes.csv or file:///absolute/path");
        }
        return text.strip();
    }

    private static String ldapUrl(String text) {
        if (!text.strip().matches("(?i)ldaps?://[^/\\s]+/?")) {
            throw new IllegalArgumentException("found '" + text + "', expected ldaps://HOST or ldap://HOST");
        }
        return text.strip();
    }

    private static String certificateName(String text) {
        DomainPattern pattern = DomainPattern.parse(text);
        if (pattern.kind() == DomainPattern.Kind.ANY) {
            throw new IllegalArgumentException("found '*', which is everybody; expected a name, perhaps with *.");
        }
        return pattern.toString();
    }

    private static String remote(String text, List<String> domains) {
        String domain = HybridPlan.domain(text);
        if (domains.contains(domain)) {
            throw new IllegalArgumentException("found '" + domain
                    + "', which is a shared domain: mail for the cloud would come back; expected a domain of the"
                    + " cloud's own");
        }
        return domain;
    }

    private static Optional<String> joined(List<String> values) {
        return values.isEmpty() ? Optional.empty() : Optional.of(String.join(",", values));
    }

    private static List<String> distinct(String text, Questions.Reader<String> reader) throws IOException {
        Set<String> values = new LinkedHashSet<>();
        for (String each : text.split("[,\\s]+")) {
            if (!each.isEmpty()) {
                values.add(reader.read(each));
            }
        }
        if (values.isEmpty()) {
            throw new IllegalArgumentException("found nothing, expected one or more domains");
        }
        return List.copyOf(values);
    }

    private static List<String> addresses(Questions questions, String option, List<String> texts) {
        return texts.stream()
                .map(text -> {
                    try {
                        return IpRange.parse(text.strip()).toString();
                    } catch (IllegalArgumentException e) {
                        throw questions.usage(option + ": " + e.getMessage());
                    }
                })
                .toList();
    }

    private static String url(Path conf, Path file) {
        Path absolute = file.toAbsolutePath().normalize();
        return absolute.startsWith(conf) ? "file://conf/" + conf.relativize(absolute) : "file://" + absolute;
    }

    /** The certificate; empty when a signing request is wanted instead. */
    private Optional<GatewayCertificate> certificate(
            Questions questions, HybridConfiguration configuration, String hostName) throws IOException {
        Optional<GatewayCertificate> installed = configuration.installedCertificate();
        return questions.ask(
                Question.of(
                        "--certificate",
                        "Certificate (a PKCS #12 or PEM file, csr, self-signed"
                                + (installed.isPresent() ? ", installed)" : ")"),
                        "By this certificate the cloud knows the gateway: it must come from an authority that the cloud"
                                + " trusts and bear the name " + hostName
                                + ". csr makes a key and a signing request for such an authority; self-signed is for"
                                + " trials only.",
                        installed.map(unused -> INSTALLED)),
                answers.certificate,
                answer -> certificate(answer, installed, hostName));
    }

    private Optional<GatewayCertificate> certificate(
            String answer, Optional<GatewayCertificate> installed, String hostName) throws IOException {
        switch (answer) {
            case CSR:
                return Optional.empty();
            case INSTALLED:
                return Optional.of(installed.orElseThrow(() -> new IllegalArgumentException(
                        "found 'installed', but no certificate is installed; expected a file, csr or self-signed")));
            case SELF_SIGNED:
                boolean fits = installed
                        .filter(GatewayCertificate::isSelfSigned)
                        .filter(known ->
                                known.objections(hostName, clock.instant()).isEmpty())
                        .isPresent();
                return fits ? installed : Optional.of(new CertificateMaker(clock).selfSigned(hostName));
            default:
                Path file = Path.of(answer);
                if (!Files.isRegularFile(file)) {
                    throw new IllegalArgumentException("found '" + answer
                            + "', but there is no such file; expected a PKCS #12 or PEM file, csr, self-signed"
                            + " or installed");
                }
                Optional<String> password = answers.certificatePassword.isPresent()
                        ? Optional.of(Files.readString(answers.certificatePassword.get())
                                .strip())
                        : Optional.empty();
                GatewayCertificate read = GatewayCertificate.read(file, answers.certificateKey, password);
                List<String> objections = read.objections(hostName, clock.instant());
                if (!objections.isEmpty() && !nonInteractive && answers.certificate.isEmpty()) {
                    // asked again
                    throw new IllegalArgumentException(
                            "this certificate cannot work: " + String.join("; ", objections));
                }
                return Optional.of(read);
        }
    }

    /** Makes the key and the signing request, once. */
    private int request(HybridConfiguration configuration, String hostName, PrintWriter out) throws IOException {
        ConfigurationChanges changes = configuration.changes();
        Optional<byte[]> request = changes.content(REQUEST);
        if (request.isEmpty() || changes.content(REQUEST_KEY).isEmpty()) {
            CertificateMaker maker = new CertificateMaker(clock);
            KeyPair keys = maker.newKey();
            changes.putSecret(REQUEST_KEY, new GatewayCertificate.Key(keys.getPrivate()).pem());
            request = Optional.of(maker.signingRequest(hostName, keys));
            changes.put(REQUEST, request.get());
            if (!dryRun) {
                changes.apply(clock);
            }
        }
        Path conf = changes.conf();
        out.println();
        out.print(new String(request.get(), StandardCharsets.US_ASCII));
        out.println();
        out.println("Send this request (" + conf.resolve(REQUEST)
                + ") to a certificate authority that the cloud trusts. When the certificate for " + hostName
                + " has come, with its chain, go on with");
        out.println("  mailflow hybrid setup --certificate ISSUED.pem --certificate-key " + conf.resolve(REQUEST_KEY));
        out.println("Nothing else was changed.");
        out.flush();
        return 0;
    }

    /** A list that is named but not there yet begins empty. */
    private static void planDirectory(HybridConfiguration configuration, HybridPlan plan) throws IOException {
        String prefix = "file://conf/";
        Optional<String> list = plan.directory()
                .url()
                .filter(url -> plan.directory().source().equals("file") && url.startsWith(prefix))
                .map(url -> url.substring(prefix.length()));
        if (list.isPresent() && configuration.changes().content(list.get()).isEmpty()) {
            configuration.changes().put(list.get(), "address,location\n".getBytes(StandardCharsets.US_ASCII));
        }
    }

    private int carryOut(
            Questions questions, HybridConfiguration configuration, HybridPlan plan, GatewayCertificate certificate)
            throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        PrintWriter err = spec.commandLine().getErr();
        ConfigurationChanges changes = configuration.changes();
        if (!configuration.isAcceptable(environment, clock, err)) {
            return Mailflow.NO;
        }
        certificate.warnings().forEach(warning -> err.println("mailflow: warning: " + warning));
        err.flush();
        if (changes.isEmpty()) {
            out.println("Nothing to change in " + changes.conf() + ".");
            configuration.pieces().kept().forEach(out::println);
        } else {
            out.println();
            out.println("What changes in " + changes.conf() + ":");
            out.print(changes.diff());
            configuration.pieces().kept().forEach(out::println);
            out.println();
            if (!dryRun) {
                if (!yes && !questions.confirm("Write this?")) {
                    out.println("Nothing was written.");
                    out.flush();
                    return Mailflow.NO;
                }
                write(changes, clock, out);
            }
        }
        out.println();
        print(out, "The cloud's side", new CloudScript(plan).text(), cloudScript);
        print(out, "DNS", new DnsRecords(plan).text(), dnsRecords);
        out.println("When both are in place: bin/mailflow hybrid check");
        out.flush();
        return 0;
    }

    static void write(ConfigurationChanges changes, Clock clock, PrintWriter out) throws IOException {
        List<String> files = changes.files();
        List<Path> backups = changes.apply(clock);
        out.println("Written: " + String.join(", ", files));
        if (!backups.isEmpty()) {
            out.println("As they were before: "
                    + backups.stream()
                            .map(path -> path.getFileName().toString())
                            .collect(Collectors.joining(", ")));
        }
        boolean restart = files.stream().anyMatch(name -> !name.equals(ConfigurationChanges.POLICY));
        out.println(
                restart
                        ? "Start the gateway again: James reads its own files and certificates only then."
                        : "A running gateway takes it up within two seconds.");
    }

    private void print(PrintWriter out, String title, String text, Optional<Path> file) throws IOException {
        if (file.isPresent() && !dryRun) {
            Files.writeString(file.get(), text);
            out.println(title + ": " + file.get());
            return;
        }
        out.println("---- " + title + " ----");
        out.print(text);
        out.println();
    }
}
