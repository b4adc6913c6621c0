/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.domain;

import java.util.Locale;
import java.util.Optional;

import org.apache.james.core.MailAddress;

/**
 * Which envelope senders something is for: a mailbox ({@code joe@contoso.com}), all of a domain
 * ({@code *@contoso.com} or {@code contoso.com}), of a domain and its subdomains ({@code *@*.contoso.com} or
 * {@code *.contoso.com}), or all ({@code *}, which alone also names the null sender).
 *
 * @param localPart lower case; empty for any
 */
public record SenderPattern(Optional<String> localPart, DomainPattern domain) {

    public static final SenderPattern ANY = new SenderPattern(Optional.empty(), DomainPattern.ANY);

    /**
     * Reads a pattern.
     *
     * @throws IllegalArgumentException saying what was found and what is valid
     */
    public static SenderPattern parse(String text) {
        String trimmed = text.trim();
        int at = trimmed.lastIndexOf('@');
        if (at < 0) {
            return new SenderPattern(Optional.empty(), DomainPattern.parse(trimmed));
        }
        String local = trimmed.substring(0, at);
        if (local.isEmpty() || (local.contains("*") && !local.equals("*"))) {
            throw new IllegalArgumentException("found '" + text
                    + "', expected a mailbox ('joe@contoso.com'), '*@contoso.com', a domain, '*.contoso.com' or '*'");
        }
        return new SenderPattern(
                local.equals("*") ? Optional.empty() : Optional.of(local.toLowerCase(Locale.ROOT)),
                DomainPattern.parse(trimmed.substring(at + 1)));
    }

    /** Whether the sender (empty: the null sender) is one this pattern names. */
    public boolean matches(Optional<MailAddress> sender) {
        return sender.map(address -> domain.matches(address.getDomain())
                        && localPart
                                .map(local ->
                                        local.equals(address.getLocalPart().toLowerCase(Locale.ROOT)))
                                .orElse(true))
                .orElse(equals(ANY));
    }

    /** Greater is more specific: a mailbox, then an exact domain, then the longest suffix, then all. */
    public long specificity() {
        return localPart.isPresent() ? Long.MAX_VALUE : domain.specificity();
    }

    @Override
    public String toString() {
        return localPart.map(local -> local + "@" + domain).orElseGet(domain::toString);
    }
}
