/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import java.util.Optional;

import dev.mailflow.policy.domain.DomainPattern;

/**
 * One side of an entry: a mailbox ({@code joe@contoso.com}), a domain ({@code contoso.com}) or a domain with its
 * subdomains ({@code *.contoso.com}).
 *
 * @param localPart of a mailbox, quoted only where it needs to be, in the case it was written in; empty for a domain
 * @param domain exact for a mailbox; never {@code *}
 */
public record RewriteSide(Optional<String> localPart, DomainPattern domain) {
    private static final String EXPECTED =
            "expected a mailbox ('joe@contoso.com') or a domain ('contoso.com', '*.contoso.com')";

    /** What a side names. */
    public enum Kind {
        MAILBOX,
        DOMAIN,
        SUBDOMAINS
    }

    /**
     * Reads a side.
     *
     * @throws IllegalArgumentException saying what was found and what is valid
     */
    public static RewriteSide parse(String text) {
        String trimmed = text.trim();
        int at = trimmed.lastIndexOf('@');
        DomainPattern domain = domain(trimmed.substring(at + 1), text);
        if (at < 0) {
            return new RewriteSide(Optional.empty(), domain);
        }
        String local = trimmed.substring(0, at);
        if (domain.kind() != DomainPattern.Kind.EXACT || !isLocalPart(local)) {
            throw new IllegalArgumentException("found '" + text + "', " + EXPECTED);
        }
        return new RewriteSide(Optional.of(LocalPart.canonical(local)), domain);
    }

    private static DomainPattern domain(String name, String found) {
        try {
            DomainPattern pattern = DomainPattern.parse(name);
            if (pattern.kind() != DomainPattern.Kind.ANY) {
                return pattern;
            }
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("found '" + found + "', " + EXPECTED, e);
        }
        throw new IllegalArgumentException("found '" + found + "', " + EXPECTED);
    }

    private static boolean isLocalPart(String local) {
        boolean quoted = local.length() > 2 && local.startsWith("\"") && local.endsWith("\"");
        for (int i = 0; i < local.length(); i++) {
            char c = local.charAt(i);
            boolean special = "()<>[]:;,@\\\"*".indexOf(c) >= 0;
            boolean quote = quoted && (i == 0 || i == local.length() - 1);
            if (c <= ' ' || c == 0x7f || (special && !quote)) {
                return false;
            }
        }
        return !local.isEmpty() && (quoted || !(local.startsWith(".") || local.endsWith(".") || local.contains("..")));
    }

    public Kind kind() {
        if (localPart.isPresent()) {
            return Kind.MAILBOX;
        }
        return domain.kind() == DomainPattern.Kind.SUFFIX ? Kind.SUBDOMAINS : Kind.DOMAIN;
    }

    @Override
    public String toString() {
        return localPart.map(local -> local + "@" + domain).orElseGet(domain::toString);
    }
}
