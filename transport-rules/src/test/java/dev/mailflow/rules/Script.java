/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.domain.AcceptedDomain;
import dev.mailflow.policy.domain.AcceptedDomains;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.Origin;
import dev.mailflow.policy.rule.RuleCompiler;
import dev.mailflow.policy.rule.RuleMessage;
import dev.mailflow.policy.rule.RuleScript;
import dev.mailflow.policy.rule.RuleScriptException;
import dev.mailflow.policy.rule.RuleVerdict;

/** A script and a message to try it on; every part has a happy default. */
final class Script {
    static final String ALL =
            """
            require ["encoded-character", "envelope", "relational", "regex", "subaddress", "copy", "reject", "ereject", \
            "editheader", "environment", "body", "date", "index", "variables", "extlists", "ihave", "mime", "foreverypart", \
            "comparator-i;ascii-numeric", "vnd.mailflow"];
            """;

    static final Instant NOW = Instant.parse("2026-11-24T11:00:00Z");

    static final String MESSAGE =
            """
            From: Joe <joe@contoso.com>
            To: Ann <ann@fabrikam.com>
            Subject: Hello
            Date: Tue, 24 Nov 2026 11:00:00 +0100
            Message-ID: <1@contoso.com>

            Good morning.
            """;

    private final String text;
    private final Map<String, List<String>> lists = new LinkedHashMap<>();
    private Optional<MailAddress> sender = Optional.of(address("joe@contoso.com"));
    private List<MailAddress> recipients = List.of(address("ann@fabrikam.com"));
    private byte[] message = MESSAGE.replace("\n", "\r\n").getBytes(StandardCharsets.UTF_8);
    private Optional<InboundFacts> facts = Optional.empty();
    private Origin origin = Origin.INTERNET;
    private RuleScript.Trace trace = RuleScript.Trace.NONE;

    private Script(String text) {
        this.text = text;
    }

    /** A whole script, its requirements included. */
    static Script of(String text) {
        return new Script(text);
    }

    /** Commands, with everything required. */
    static Script commands(String text) {
        return new Script(ALL + text);
    }

    /** A test; {@link #holds} tells its result. */
    static Script test(String test) {
        return new Script(ALL + "if " + test + " { keep; }");
    }

    Script from(String address) {
        sender = address.isEmpty() ? Optional.empty() : Optional.of(address(address));
        return this;
    }

    Script to(String... addresses) {
        recipients = Arrays.stream(addresses).map(Script::address).toList();
        return this;
    }

    /** With line feeds, which become CRLF. */
    Script message(String text) {
        return bytes(text.replace("\n", "\r\n").getBytes(StandardCharsets.UTF_8));
    }

    Script bytes(byte[] bytes) {
        message = bytes.clone();
        return this;
    }

    Script facts(InboundFacts known) {
        facts = Optional.of(known);
        origin = known.origin();
        return this;
    }

    Script origin(Origin known) {
        origin = known;
        return this;
    }

    Script list(String name, String... entries) {
        lists.put(name, List.of(entries));
        return this;
    }

    Script trace(RuleScript.Trace told) {
        trace = told;
        return this;
    }

    static MailAddress address(String text) {
        return Compilation.address(text).orElseThrow(() -> new IllegalArgumentException(text));
    }

    List<PolicyProblem> problems() {
        List<PolicyProblem> problems = new ArrayList<>();
        compile(problems);
        return problems;
    }

    /** The messages of the errors, each with line. */
    List<String> errors() {
        return problems().stream()
                .filter(problem -> problem.severity() == PolicyProblem.Severity.ERROR)
                .map(problem -> problem.location().line() + ": " + problem.message())
                .toList();
    }

    private Optional<RuleScript> compile(List<PolicyProblem> problems) {
        return new SieveCompiler()
                .compile(
                        new RuleCompiler.Source("test", text, new SourceLocation("test.sieve", 1)),
                        name -> {
                            if (name.equals("file://conf/broken.txt")) {
                                throw new IOException("no such file");
                            }
                            return Optional.ofNullable(lists.get(name));
                        },
                        problems::add);
    }

    RuleScript compiled() {
        List<PolicyProblem> problems = new ArrayList<>();
        return compile(problems).orElseThrow(() -> new AssertionError("the script has errors: " + problems));
    }

    RuleMessage asMessage() {
        try (ByteArrayInputStream in = new ByteArrayInputStream(message)) {
            HeaderSection header = HeaderSection.read(in);
            int start = message.length - in.available();
            return new RuleMessage(
                    sender,
                    recipients,
                    header,
                    message.length,
                    () -> new ByteArrayInputStream(message, start, message.length - start),
                    facts,
                    origin,
                    AcceptedDomains.of(List.of(
                            accepted("contoso.com", AcceptedDomain.Type.AUTHORITATIVE),
                            accepted("*.relay.example", AcceptedDomain.Type.INTERNAL_RELAY),
                            accepted("tailspin.com", AcceptedDomain.Type.EXTERNAL_RELAY))));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static AcceptedDomain accepted(String pattern, AcceptedDomain.Type type) {
        return new AcceptedDomain(DomainPattern.parse(pattern), type, SourceLocation.NONE);
    }

    RuleVerdict run() throws RuleScriptException {
        return compiled().run(new RuleScript.Run(asMessage(), recipients, NOW, trace));
    }

    /** Whether the script did anything. */
    boolean holds() throws RuleScriptException {
        return run().hit();
    }

    /** The header after the script, with line feeds. */
    String header() throws RuleScriptException {
        return new String(run().header().bytes(), StandardCharsets.ISO_8859_1).replace("\r\n", "\n");
    }
}
