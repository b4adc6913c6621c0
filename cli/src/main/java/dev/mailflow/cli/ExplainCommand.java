/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;

import javax.mail.MessagingException;
import javax.mail.internet.InternetHeaders;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

import dev.mailflow.policy.explain.ExplainRequest;
import dev.mailflow.policy.explain.Explainer;
import dev.mailflow.policy.explain.HypotheticalMessage;
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

    @Option(
            names = "--message",
            paramLabel = "FILE",
            description = "take header and body from this message (RFC 5322); rules look at both")
    private Optional<Path> messageFile = Optional.empty();

    @Option(
            names = "--url",
            paramLabel = "URL",
            description = "ask the running gateway whose administration is there (http://127.0.0.1:8000), which knows"
                    + " its users; --conf is not read then")
    private Optional<URI> url = Optional.empty();

    @Option(
            names = "--password-file",
            paramLabel = "FILE",
            description = "with --url: the file that holds the administration's password")
    private Optional<Path> passwordFile = Optional.empty();

    @Option(names = "--trace-rules", description = "tell each test that the transport rules make, and its result")
    private boolean traceRules;

    @Option(names = "--json", description = "print for programs")
    private boolean json;

    ExplainCommand(Map<String, String> environment, Clock clock) {
        this.environment = environment;
        this.clock = clock;
    }

    @Override
    public Integer call() throws IOException {
        Content content = content();
        ExplainRequest request = new ExplainRequest(
                from,
                to,
                clientIp.orElse(null),
                clientCertificate.orElse(null),
                tls,
                content.header(),
                Base64.getEncoder().encodeToString(content.body()),
                unknown,
                traceRules);
        HypotheticalMessage message;
        try {
            message = request.message();
        } catch (IllegalArgumentException e) {
            throw new CommandLine.ParameterException(spec.commandLine(), "--" + e.getMessage());
        }
        Optional<ObjectNode> answer = url.isPresent()
                ? Optional.of(new RunningGateway(url.get(), passwordFile).explain(request))
                : offline(message);
        if (answer.isEmpty()) {
            return Mailflow.NO;
        }
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(answer.get().toPrettyString());
        } else {
            print(answer.get(), out);
        }
        out.flush();
        return answer.get().path("decision").asText().equals("accept") ? 0 : Mailflow.NO;
    }

    private Optional<ObjectNode> offline(HypotheticalMessage message) {
        return policy.readGood(environment, clock, spec.commandLine().getErr())
                .map(read ->
                        new Explainer(read, clock.instant()).explain(message).toJson());
    }

    /** What is known of the message: a header in order, and a body. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Content(List<String> header, byte[] body) {}

    /** Header fields of the message file, then those of the options; the body of the message file. */
    private Content content() throws IOException {
        List<String> fields = new ArrayList<>();
        byte[] body = new byte[0];
        if (messageFile.isPresent()) {
            try (InputStream bytes = new BufferedInputStream(Files.newInputStream(messageFile.get()))) {
                Collections.list(new InternetHeaders(bytes).getAllHeaders())
                        .forEach(field -> fields.add(field.getName() + ": " + field.getValue()));
                body = bytes.readAllBytes();
            } catch (MessagingException | NoSuchFileException e) {
                throw new CommandLine.ParameterException(
                        spec.commandLine(), "--message: " + messageFile.get() + " cannot be read: " + e);
            }
        }
        fields.addAll(headers);
        return new Content(fields, body);
    }

    /** One line for each rule and, when asked for, one for each test. */
    private static void printRule(JsonNode trial, PrintWriter out) {
        String recipient = trial.path("recipient").asText();
        String detail = trial.path("detail").asText();
        out.println("rule '" + trial.path("rule").asText() + "' ("
                + trial.path("mode").asText() + ")" + (recipient.isEmpty() ? "" : " for " + recipient) + ": "
                + trial.path("verdict").asText() + (detail.isEmpty() ? "" : ": " + detail));
        trial.path("tests")
                .forEach(test -> out.println("  " + test.path("where").asText() + " "
                        + test.path("test").asText() + ": "
                        + test.path("result").asText()));
    }

    private static void print(JsonNode explanation, PrintWriter out) {
        explanation.path("reasons").forEach(reason -> out.println(reason.asText()));
        out.println("origin: " + explanation.path("origin").asText());
        explanation
                .path("headers")
                .fields()
                .forEachRemaining(header -> out.println("header " + header.getKey() + ": "
                        + (header.getValue().isNull()
                                ? "(removed)"
                                : header.getValue().asText())));
        explanation.path("ruleTrace").forEach(trial -> printRule(trial, out));
        explanation.path("recipients").forEach(recipient -> {
            out.println();
            String original = recipient.path("original").asText();
            String rewritten = recipient.path("rewritten").asText();
            out.println(original + (rewritten.equals(original) ? "" : " rewritten to " + rewritten) + ": "
                    + recipient.path("action").asText());
            out.println("  because " + recipient.path("reason").asText());
            if (recipient.path("assumption").isTextual()) {
                out.println(
                        "  assumed to be here: " + recipient.path("assumption").asText()
                                + "; --url asks a running gateway, --unknown says that it is not");
            }
            if (!recipient.path("connector").isNull()) {
                out.println("  connector " + recipient.path("connector").asText());
            }
            List<String> hops = new ArrayList<>();
            recipient.path("nextHops").forEach(hop -> hops.add(hop.asText()));
            if (!hops.isEmpty()) {
                out.println("  next hops " + String.join(", ", hops));
            }
            if (!recipient.path("tls").isNull()) {
                out.println("  TLS " + recipient.path("tls").asText()
                        + (recipient.path("requireTls").asBoolean()
                                ? " (never in plaintext)"
                                : " (may leave in plaintext)"));
            }
            if (!recipient.path("smtpReply").isNull()) {
                out.println("  reply " + recipient.path("smtpReply").asText());
            }
        });
        out.println();
        out.println(
                explanation.path("smtpReply").isNull()
                        ? "accepted"
                        : "rejected: " + explanation.path("smtpReply").asText());
    }
}
