/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.io.IOException;
import java.io.PrintWriter;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;

import dev.mailflow.cli.DeliverySettings;
import dev.mailflow.cli.DnsOption;
import dev.mailflow.cli.Mailflow;
import dev.mailflow.cli.PolicyOption;
import dev.mailflow.cli.Version;
import dev.mailflow.cli.hybrid.HybridPlan.HostAndPort;
import dev.mailflow.cli.probe.Finding;
import dev.mailflow.cli.xml.XmlSyntaxException;
import dev.mailflow.delivery.DeliveryConfig;
import dev.mailflow.delivery.SmtpTimeouts;
import dev.mailflow.policy.MailFlowPolicy;
import picocli.CommandLine;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code mailflow hybrid check}: why mail between the premises does not flow. */
@Command(
        name = "check",
        description = {
            "Looks at a hybrid deployment from here: the policy, both certificates, port 25 both ways, XOORG, the"
                    + " names and addresses of the connectors, loops, MX and SPF records. With --probe it also sends"
                    + " itself a marked message through the cloud and reads it back, to see whether a device in between"
                    + " strips headers.",
            "Each finding says how to mend it."
        },
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:nothing is wrong (there may be warnings)", "1:something is wrong", "2:wrong usage"})
final class HybridCheckCommand implements Callable<Integer> {
    private final Map<String, String> environment;
    private final Clock clock;

    @Spec
    private CommandSpec spec;

    @Mixin
    private PolicyOption policy;

    @Mixin
    private DnsOption dns;

    @Option(
            names = "--host-name",
            paramLabel = "NAME",
            description = "the public name of this gateway (default: that in its certificate)")
    private Optional<String> hostName = Optional.empty();

    @Option(
            names = "--gateway",
            paramLabel = "HOST[:PORT]",
            description = "where to find this gateway's SMTP port (default: its public name, port 25)")
    private Optional<String> gateway = Optional.empty();

    @Option(
            names = "--timeout",
            paramLabel = "SECONDS",
            defaultValue = "30",
            description = "for each step (default: ${DEFAULT-VALUE})")
    private int timeoutSeconds;

    @ArgGroup(validate = false, heading = "%nThe message to itself:%n")
    private Probe probe = new Probe();

    /** How the marked message is sent and read. */
    static final class Probe {
        @Option(
                names = "--probe",
                paramLabel = "ADDRESS",
                description = "a mailbox here, in a shared domain: the message goes to the cloud, which sends it here")
        private Optional<String> address = Optional.empty();

        @Option(names = "--imap", paramLabel = "HOST:PORT", description = "where that mailbox is read by IMAPS")
        private Optional<String> imap = Optional.empty();

        @Option(names = "--imap-user", paramLabel = "NAME", description = "default: the address")
        private Optional<String> user = Optional.empty();

        @Option(names = "--imap-password-file", paramLabel = "FILE", description = "holds the mailbox's password")
        private Optional<Path> passwordFile = Optional.empty();

        @Option(
                names = "--probe-wait",
                paramLabel = "SECONDS",
                defaultValue = "120",
                description = "how long to wait for it (default: ${DEFAULT-VALUE})")
        private int waitSeconds;

        @Option(
                names = "--imap-trust-any",
                description = "take whatever certificate the IMAP server shows; always so on this host")
        private boolean trustAny;
    }

    @Option(names = "--json", description = "print for programs")
    private boolean json;

    HybridCheckCommand(Map<String, String> environment, Clock clock) {
        this.environment = environment;
        this.clock = clock;
    }

    @Override
    public Integer call() throws IOException {
        PrintWriter err = spec.commandLine().getErr();
        if (timeoutSeconds < 1) {
            throw usage("--timeout: found " + timeoutSeconds + ", expected 1 or more seconds");
        }
        requireWholeProbe();
        Optional<MailFlowPolicy> read = policy.readGood(environment, clock, err);
        if (read.isEmpty()) {
            return Mailflow.NO;
        }
        HybridConfiguration configuration;
        try {
            configuration = HybridConfiguration.in(policy.existingDirectory());
        } catch (XmlSyntaxException e) {
            err.println("mailflow: " + e.getMessage());
            err.flush();
            return Mailflow.NO;
        }
        String name = hostName.or(configuration::hostName)
                .orElseThrow(() -> usage("missing --host-name: the certificate under hybrid/ names no host"));
        Optional<HybridPlan> plan = configuration.pieces().read(name);
        if (plan.isEmpty() || read.get().hybrid().isEmpty()) {
            err.println("mailflow: there is no hybrid deployment to check; begin with 'mailflow hybrid setup'");
            err.flush();
            return Mailflow.NO;
        }
        List<Finding> findings = check(read.get(), configuration, plan.get());
        print(findings);
        return Finding.good(findings) ? 0 : Mailflow.NO;
    }

    private List<Finding> check(MailFlowPolicy read, HybridConfiguration configuration, HybridPlan plan)
            throws IOException {
        Duration timeout = Duration.ofSeconds(timeoutSeconds);
        DeliveryConfig.Builder config = DeliveryConfig.builder(plan.hostName())
                .clock(clock)
                .ioThreads(1)
                .timeouts(SmtpTimeouts.DEFAULT.atMost(timeout));
        dns.resolver().ifPresent(config::resolver);
        config.dnssec(dns.dnssec(DeliverySettings.in(policy.existingDirectory())));
        HostAndPort self;
        try {
            self = gateway.map(HostAndPort::parse).orElse(new HostAndPort(plan.hostName(), HostAndPort.SMTP));
        } catch (IllegalArgumentException e) {
            throw usage("--gateway: " + e.getMessage());
        }
        HybridCheck check = new HybridCheck(read, configuration, plan, config.build(), dns.resolver(), timeout);
        List<Finding> findings = new ArrayList<>(check.run(self));
        if (probe.address.isPresent()) {
            findings.add(probe(check, probe.address.get(), findings));
        }
        return findings;
    }

    private Finding probe(HybridCheck check, String address, List<Finding> before) {
        if (!Finding.good(before)) {
            return Finding.skipped(HeaderProbe.WHERE, HeaderProbe.WHAT, "not sent, because something above is wrong");
        }
        HostAndPort imap = imap();
        return new HeaderProbe(
                        address,
                        imap.host(),
                        imap.port(),
                        probe.user.orElse(address),
                        password(),
                        probe.trustAny || isLoopback(imap.host()),
                        Duration.ofSeconds(probe.waitSeconds),
                        clock)
                .run(check.cloudConnector(), check.config());
    }

    private void requireWholeProbe() {
        boolean reading = probe.imap.isPresent() && probe.passwordFile.isPresent();
        if (probe.address.isPresent() && !reading) {
            throw usage("--probe needs --imap and --imap-password-file, to read the message when it has come back");
        }
        if (probe.address.isEmpty() && (probe.imap.isPresent() || probe.passwordFile.isPresent())) {
            throw usage("--imap and --imap-password-file are for --probe, which is missing");
        }
        if (probe.address.isPresent()) {
            imap();
            password();
        }
    }

    private HostAndPort imap() {
        try {
            return HostAndPort.parse(probe.imap.orElseThrow());
        } catch (IllegalArgumentException e) {
            throw usage("--imap: " + e.getMessage());
        }
    }

    private String password() {
        Path file = probe.passwordFile.orElseThrow();
        try {
            return Files.readString(file).strip();
        } catch (IOException e) {
            throw usage("--imap-password-file: " + file + " cannot be read");
        }
    }

    private static boolean isLoopback(String host) {
        try {
            return InetAddress.getByName(host).isLoopbackAddress();
        } catch (UnknownHostException e) {
            return false;
        }
    }

    private void print(List<Finding> findings) {
        PrintWriter out = spec.commandLine().getOut();
        boolean good = Finding.good(findings);
        if (json) {
            ObjectNode root = JsonNodeFactory.instance.objectNode().put("good", good);
            Finding.toJson(findings, root.putArray("findings"));
            out.println(root.toPrettyString());
        } else {
            Finding.print(findings, out);
            long wrong = count(findings, Finding.Result.FAILED);
            long doubtful = count(findings, Finding.Result.WARNING);
            out.println(wrong + " wrong, " + doubtful + " doubtful");
        }
        out.flush();
    }

    private static long count(List<Finding> findings, Finding.Result result) {
        return findings.stream().filter(finding -> finding.result() == result).count();
    }

    private CommandLine.ParameterException usage(String message) {
        return new CommandLine.ParameterException(spec.commandLine(), message);
    }
}
