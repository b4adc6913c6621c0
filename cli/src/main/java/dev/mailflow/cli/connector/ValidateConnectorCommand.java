/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.connector;

import java.io.PrintWriter;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;

import javax.mail.internet.AddressException;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;

import dev.mailflow.cli.DeliverySettings;
import dev.mailflow.cli.DnsOption;
import dev.mailflow.cli.Mailflow;
import dev.mailflow.cli.PolicyOption;
import dev.mailflow.cli.Version;
import dev.mailflow.cli.probe.Finding;
import dev.mailflow.delivery.DeliveryConfig;
import dev.mailflow.delivery.SmtpTimeouts;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.connector.NextHops;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.host.OwnHostName;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code mailflow validate-connector}: does the way out that a connector names work, and if not, which step of it? */
@Command(
        name = "validate-connector",
        description = {
            "Tries an outbound connector: DNS, TCP, greeting, EHLO, STARTTLS, certificate, authentication and, with"
                    + " --send-to, a test mail. Each step says what was seen and how to mend what is wrong."
        },
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:every step is good", "1:a step failed, or the policy is broken", "2:wrong usage"})
public final class ValidateConnectorCommand implements Callable<Integer> {
    private final Map<String, String> environment;
    private final Clock clock;

    @Spec
    private CommandSpec spec;

    @Mixin
    private PolicyOption policy;

    @Mixin
    private DnsOption dns;

    @Parameters(paramLabel = "NAME", description = "an outbound connector of the policy, or internet")
    private String name;

    @Option(names = "--send-to", paramLabel = "ADDRESS", description = "also send a test mail there")
    private Optional<String> sendTo = Optional.empty();

    @Option(
            names = "--from",
            paramLabel = "ADDRESS",
            description = "envelope sender of the test mail, which also chooses the credentials (default: postmaster at"
                    + " the first accepted domain); <> is the null sender")
    private Optional<String> from = Optional.empty();

    @Option(
            names = "--domain",
            paramLabel = "DOMAIN",
            description = "for a connector with useMx: the recipient domain (default: that of --send-to, else the first"
                    + " recipientDomain)")
    private Optional<String> domain = Optional.empty();

    @Option(
            names = "--mx-port",
            paramLabel = "PORT",
            description = "port of MX hosts, for test beds (default: what the mailet RouteToConnector in"
                    + " DIR/mailetcontainer.xml says, else 25)")
    private Optional<Integer> mxPort = Optional.empty();

    @Option(
            names = "--timeout",
            paramLabel = "SECONDS",
            defaultValue = "30",
            description = "for each step (default: ${DEFAULT-VALUE})")
    private int timeoutSeconds;

    @Option(names = "--json", description = "print for programs")
    private boolean json;

    public ValidateConnectorCommand(Map<String, String> environment, Clock clock) {
        this.environment = environment;
        this.clock = clock;
    }

    @Override
    public Integer call() {
        if (timeoutSeconds < 1) {
            throw usage("--timeout: found " + timeoutSeconds + ", expected 1 or more seconds");
        }
        if (mxPort.filter(port -> port < 1 || port > 65_535).isPresent()) {
            throw usage("--mx-port: found " + mxPort.get() + ", expected 1 to 65535");
        }
        Optional<MailFlowPolicy> read =
                policy.readGood(environment, clock, spec.commandLine().getErr());
        if (read.isEmpty()) {
            return Mailflow.NO;
        }
        OutboundConnector connector = connector(read.get());
        Optional<MailAddress> recipient = sendTo.map(text -> address("--send-to", text));
        Optional<MailAddress> sender = sender(read.get());
        Optional<Domain> mxDomain =
                connector.nextHops() instanceof NextHops.UseMx ? Optional.of(mxDomain(connector)) : Optional.empty();
        Duration timeout = Duration.ofSeconds(timeoutSeconds);
        Optional<DeliverySettings> settings = DeliverySettings.in(policy.existingDirectory());
        DeliveryConfig.Builder config = DeliveryConfig.builder(
                        settings.flatMap(DeliverySettings::heloName).orElseGet(OwnHostName::get))
                .clock(clock)
                .ioThreads(1)
                .timeouts(SmtpTimeouts.DEFAULT.atMost(timeout));
        mxPort.or(() -> settings.flatMap(DeliverySettings::mxPort)).ifPresent(config::mxPort);
        dns.resolver().ifPresent(config::resolver);
        config.dnssec(dns.dnssec(settings));
        List<Finding> findings;
        try (ConnectorValidation validation = new ConnectorValidation(connector, config.build(), timeout)) {
            findings = validation.run(mxDomain, recipient, sender);
        }
        print(connector, findings);
        return Finding.good(findings) ? 0 : Mailflow.NO;
    }

    private OutboundConnector connector(MailFlowPolicy current) {
        return current.outboundConnectors()
                .find(name)
                .orElseThrow(() -> usage("NAME: found '" + name + "', "
                        + (current.inboundConnectors().find(name).isPresent()
                                ? "an inbound connector, which connects to nobody; expected"
                                : "expected")
                        + " an outbound connector: "
                        + current.outboundConnectors().all().stream()
                                .map(OutboundConnector::name)
                                .collect(Collectors.joining(", "))));
    }

    private Optional<MailAddress> sender(MailFlowPolicy current) {
        if (from.isPresent()) {
            return from.get().isBlank() || from.get().equals("<>")
                    ? Optional.empty()
                    : Optional.of(address("--from", from.get()));
        }
        return current.acceptedDomains().entries().stream()
                .map(accepted -> accepted.pattern().name())
                .filter(accepted -> !accepted.isEmpty())
                .findFirst()
                .map(accepted -> address("--from", "postmaster@" + accepted));
    }

    private Domain mxDomain(OutboundConnector connector) {
        return domain.or(() -> sendTo.map(
                        text -> address("--send-to", text).getDomain().asString()))
                .or(() -> connector.recipientDomains().stream()
                        .sorted()
                        .map(DomainPattern::name)
                        .filter(text -> !text.isEmpty())
                        .findFirst())
                .map(text -> {
                    try {
                        return Domain.of(text);
                    } catch (IllegalArgumentException e) {
                        throw usage("--domain: found '" + text + "', expected a domain (fabrikam.com)");
                    }
                })
                .orElseThrow(() -> usage("connector '" + name
                        + "' finds its next hops by the MX records of each recipient's domain: say which, with --domain"
                        + " or --send-to"));
    }

    private MailAddress address(String option, String text) {
        try {
            return new MailAddress(text);
        } catch (AddressException e) {
            throw usage(option + ": found '" + text + "', expected an address (joe@fabrikam.com)");
        }
    }

    private void print(OutboundConnector connector, List<Finding> findings) {
        PrintWriter out = spec.commandLine().getOut();
        boolean good = Finding.good(findings);
        if (json) {
            ObjectNode root = JsonNodeFactory.instance
                    .objectNode()
                    .put("connector", connector.name())
                    .put("tls", connector.tls().level().toString())
                    .put("good", good);
            Finding.toJson(findings, root.putArray("steps"));
            out.println(root.toPrettyString());
        } else {
            out.println("connector '" + connector.name() + "', TLS "
                    + connector.tls().level()
                    + connector.tls().name().map(expected -> " for " + expected).orElse(""));
            Finding.print(findings, out);
            out.println(good ? "The connector works." : "The connector does not work.");
        }
        out.flush();
    }

    private CommandLine.ParameterException usage(String message) {
        return new CommandLine.ParameterException(spec.commandLine(), message);
    }
}
