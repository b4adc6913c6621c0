/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;

import javax.mail.MessagingException;
import javax.mail.internet.AddressException;
import javax.mail.internet.InternetHeaders;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.PolicyProblem.Severity;
import dev.mailflow.policy.certificate.HypotheticalCertificate;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.explain.Explainer;
import dev.mailflow.policy.explain.Explanation;
import dev.mailflow.policy.explain.HypotheticalMessage;
import dev.mailflow.policy.file.PolicyReading;
import dev.mailflow.policy.inbound.ClientSession;
import dev.mailflow.policy.inbound.TlsSession;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code mailflow explain}: what the policy does with a message that nobody sent. */
@Command(
        name = "explain",
        description = {
            "Runs the decision code on a hypothetical message and prints each decision with its reason.",
            "Without --client-ip the message comes from an authenticated user of this organization; with it, from a"
                    + " client at the SMTP door."
        },
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:the message is accepted",
            "1:the message is refused, or the policy is broken",
            "2:wrong usage"
        })
final class ExplainCommand implements Callable<Integer> {
    private final Map<String, String> environment;
    private final Clock clock;

    @Spec
    private CommandSpec spec;

    @Mixin
    private PolicyOption policy;

    @Option(
            names = "--from",
            required = true,
            paramLabel = "ADDRESS",
            description = "envelope sender; <> or an empty string is the null sender")
    private String from;

    @Option(
            names = "--to",
            required = true,
            split = ",",
            paramLabel = "ADDRESS",
            description = "envelope recipient; may be repeated or separated by commas")
    private List<String> to;

    @Option(names = "--client-ip", paramLabel = "IP", description = "address of the SMTP client")
    private Optional<String> clientIp = Optional.empty();

    @Option(
            names = "--client-cert",
            paramLabel = "NAME",
            description = "the client presents a certificate of this name from a trusted CA (implies --tls)")
    private Optional<String> clientCertificate = Optional.empty();

    @Option(names = "--tls", description = "the client's session is encrypted")
    private boolean tls;

    @Option(
            names = "--unknown",
            split = ",",
            paramLabel = "ADDRESS",
            description = "this recipient has no mailbox here; others in accepted domains have")
    private List<String> unknown = List.of();

    @Option(
            names = "--header",
            paramLabel = "'NAME: VALUE'",
            description = "a header field of the message; may be repeated")
    private List<String> headers = List.of();

    @Option(names = "--message", paramLabel = "FILE", description = "take the header from this message (RFC 5322)")
    private Optional<Path> messageFile = Optional.empty();

    @Option(names = "--json", description = "print for programs")
    private boolean json;

    ExplainCommand(Map<String, String> environment, Clock clock) {
        this.environment = environment;
        this.clock = clock;
    }

    @Override
    public Integer call() {
        HypotheticalMessage message = message();
        PolicyReading reading = policy.read(environment, clock);
        if (reading.policy().isEmpty()) {
            PrintWriter err = spec.commandLine().getErr();
            reading.problems().stream()
                    .filter(problem -> problem.severity() == Severity.ERROR)
                    .map(PolicyProblem::toString)
                    .forEach(err::println);
            err.println("mailflow: the policy is broken, see above");
            return Mailflow.NO;
        }
        Explanation explanation = new Explainer(reading.policy().get(), clock.instant()).explain(message);
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(explanation.toJson().toPrettyString());
        } else {
            print(explanation, out);
        }
        out.flush();
        return explanation.accepted() ? 0 : Mailflow.NO;
    }

    private HypotheticalMessage message() {
        if (clientIp.isEmpty() && (tls || clientCertificate.isPresent())) {
            throw usage("--tls and --client-cert describe a client's session, expected --client-ip with them");
        }
        String sender = from.trim();
        return new HypotheticalMessage(
                sender.isEmpty() || sender.equals("<>") ? Optional.empty() : Optional.of(address("--from", sender)),
                to.stream().map(recipient -> address("--to", recipient)).toList(),
                clientIp.map(this::session),
                header(),
                unknown.stream()
                        .map(recipient -> address("--unknown", recipient))
                        .collect(Collectors.toSet()));
    }

    /** Header fields in order: those of the message file, then those of the options. */
    private List<HypotheticalMessage.HeaderField> header() {
        List<HypotheticalMessage.HeaderField> fields = new ArrayList<>();
        messageFile.ifPresent(file -> {
            try (InputStream bytes = new BufferedInputStream(Files.newInputStream(file))) {
                Collections.list(new InternetHeaders(bytes).getAllHeaders())
                        .forEach(field ->
                                fields.add(new HypotheticalMessage.HeaderField(field.getName(), field.getValue())));
            } catch (IOException | MessagingException e) {
                throw usage("--message: " + file + " cannot be read: " + e);
            }
        });
        for (String field : headers) {
            int colon = field.indexOf(':');
            if (colon <= 0 || !field.substring(0, colon).chars().allMatch(c -> c > ' ' && c < 127)) {
                throw usage("--header: found '" + field + "', expected 'Name: value'");
            }
            fields.add(new HypotheticalMessage.HeaderField(
                    field.substring(0, colon), field.substring(colon + 1).trim()));
        }
        return fields;
    }

    private ClientSession session(String ip) {
        ClientSession session;
        try {
            session = ClientSession.from(IpAddress.parse(ip.trim()));
        } catch (IllegalArgumentException e) {
            throw usage("--client-ip: " + e.getMessage());
        }
        if (tls || clientCertificate.isPresent()) {
            session = session.withTls(new TlsSession("TLSv1.3", "TLS_AES_256_GCM_SHA384"));
        }
        return clientCertificate
                .map(HypotheticalCertificate::new)
                .map(session::withPeerCertificate)
                .orElse(session);
    }

    private MailAddress address(String option, String value) {
        try {
            return new MailAddress(value.trim());
        } catch (AddressException e) {
            throw usage(
                    option + ": found '" + value + "', expected a mail address ('joe@contoso.com'): " + e.getMessage());
        }
    }

    private CommandLine.ParameterException usage(String message) {
        return new CommandLine.ParameterException(spec.commandLine(), message);
    }

    private static void print(Explanation explanation, PrintWriter out) {
        explanation.reasons().forEach(out::println);
        out.println("origin: " + explanation.origin());
        explanation
                .headers()
                .forEach((name, value) -> out.println("header " + name + ": " + value.orElse("(removed)")));
        for (Explanation.Recipient recipient : explanation.recipients()) {
            out.println();
            out.println(recipient.original().asString()
                    + (recipient.rewritten().equals(recipient.original())
                            ? ""
                            : " rewritten to " + recipient.rewritten().asString())
                    + ": " + recipient.action());
            out.println("  because " + recipient.reason());
            recipient.connector().ifPresent(connector -> out.println("  connector " + connector));
            if (!recipient.nextHops().isEmpty()) {
                out.println("  next hops " + String.join(", ", recipient.nextHops()));
            }
            recipient
                    .tls()
                    .ifPresent(level -> out.println("  TLS " + level
                            + (recipient.requireTls() ? " (never in plaintext)" : " (may leave in plaintext)")));
            recipient.smtpReply().ifPresent(reply -> out.println("  reply " + reply));
        }
        out.println();
        out.println(explanation.refusal().map(reply -> "rejected: " + reply).orElse("accepted"));
    }
}
