/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;

import dev.mailflow.delivery.SmtpReply;

/**
 * What a next hop offers in its EHLO reply. Only the reply of the current security state counts: what was offered
 * before TLS is forgotten after it (RFC 3207 section 4.2).
 *
 * @param keywords upper case, with their upper-case parameters
 */
public record EhloCapabilities(Map<String, List<String>> keywords) {

    /** Of a host that only knows HELO. */
    public static final EhloCapabilities NONE = new EhloCapabilities(Map.of());

    public EhloCapabilities {
        keywords = Map.copyOf(keywords);
    }

    static EhloCapabilities of(SmtpReply reply) {
        Map<String, List<String>> keywords = new HashMap<>();
        for (String line : reply.lines().subList(1, reply.lines().size())) {
            // "AUTH=PLAIN" is how hosts older than RFC 2554 say it
            List<String> words = List.of(line.trim()
                    .toUpperCase(Locale.ROOT)
                    .replaceFirst("^AUTH=", "AUTH ")
                    .split("\\s+"));
            keywords.merge(words.get(0), words.subList(1, words.size()), (a, b) -> a.size() >= b.size() ? a : b);
        }
        return new EhloCapabilities(keywords);
    }

    public boolean offers(String keyword) {
        return keywords.containsKey(keyword);
    }

    public boolean pipelining() {
        return offers("PIPELINING");
    }

    public boolean startTls() {
        return offers("STARTTLS");
    }

    public boolean eightBitMime() {
        return offers("8BITMIME");
    }

    public boolean smtpUtf8() {
        return offers("SMTPUTF8");
    }

    public boolean dsn() {
        return offers("DSN");
    }

    public boolean requireTls() {
        return offers("REQUIRETLS");
    }

    /** Exchange's extension that names the organization a message comes from. */
    public boolean xoorg() {
        return offers("XOORG");
    }

    public boolean size() {
        return offers("SIZE");
    }

    /** The largest message in bytes; empty: not told, or no limit. */
    public OptionalLong sizeLimit() {
        List<String> parameters = keywords.getOrDefault("SIZE", List.of());
        if (parameters.isEmpty() || !parameters.get(0).matches("[1-9]\\d{0,17}")) {
            return OptionalLong.empty();
        }
        return OptionalLong.of(Long.parseLong(parameters.get(0)));
    }

    /** Mechanisms offered for AUTH. */
    public Set<String> authMechanisms() {
        return Set.copyOf(keywords.getOrDefault("AUTH", List.of()));
    }
}
