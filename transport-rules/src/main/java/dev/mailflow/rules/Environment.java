/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.function.Function;

import dev.mailflow.policy.certificate.CertificatePin;
import dev.mailflow.policy.host.OwnHostName;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.rule.RuleMessage;

/** The items of the {@code environment} test (RFC 5183 section 4.1, and ours). */
final class Environment {
    private static final Map<String, Function<RuleMessage, String>> ITEMS = Map.ofEntries(
            Map.entry("location", unused -> "MTA"),
            Map.entry("phase", unused -> "pre"),
            Map.entry("name", unused -> "Mailflow"),
            Map.entry("version", unused -> Optional.ofNullable(
                            Environment.class.getPackage().getImplementationVersion())
                    .orElse("")),
            Map.entry("host", unused -> OwnHostName.get()),
            Map.entry("domain", unused -> OwnHostName.get()
                    .substring(OwnHostName.get().indexOf('.') + 1)),
            Map.entry(
                    "remote-ip",
                    message -> fact(
                            message,
                            facts -> Optional.of(
                                    facts.clientIp().isIpv4()
                                            ? facts.clientIp().toString()
                                            : "IPv6:" + facts.clientIp()))),
            Map.entry("remote-host", message -> fact(message, InboundFacts::clientName)),
            Map.entry("vnd.mailflow.helo", message -> fact(message, InboundFacts::helo)),
            Map.entry(
                    "vnd.mailflow.tls-version",
                    message -> fact(message, facts -> facts.tls().map(tls -> tls.protocol()))),
            Map.entry(
                    "vnd.mailflow.tls-cipher",
                    message -> fact(message, facts -> facts.tls().map(tls -> tls.cipher()))),
            Map.entry("vnd.mailflow.origin", message -> message.origin().name().toLowerCase(Locale.ROOT)),
            Map.entry(
                    "vnd.mailflow.connector",
                    message -> fact(message, facts -> facts.connector().map(connector -> connector.name()))),
            Map.entry(
                    "vnd.mailflow.connection-filter",
                    message ->
                            fact(message, facts -> Optional.of(facts.verdict().toString()))),
            Map.entry("vnd.mailflow.authenticated-user", message -> fact(message, InboundFacts::authenticatedUser)),
            Map.entry(
                    "vnd.mailflow.certificate-subject",
                    message -> fact(message, facts -> facts.peer().map(peer -> peer.subject()))),
            Map.entry(
                    "vnd.mailflow.certificate-sha256",
                    message -> fact(message, facts -> facts.peer()
                            .flatMap(InboundFacts.Peer::sha256)
                            .map(CertificatePin::sha256))));

    private Environment() {}

    private static String fact(RuleMessage message, Function<InboundFacts, Optional<String>> fact) {
        return message.facts().flatMap(fact).orElse("");
    }

    /** @return the item, told of a message; empty when nobody knows an item of that name */
    static Optional<Function<RuleMessage, String>> item(String name) {
        return Optional.ofNullable(ITEMS.get(name.toLowerCase(Locale.ROOT)));
    }

    static String known() {
        return String.join(", ", new TreeSet<>(ITEMS.keySet()));
    }
}
