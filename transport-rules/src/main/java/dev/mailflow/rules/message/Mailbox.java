/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.message;

import java.util.Optional;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.rewrite.LocalPart;
import dev.mailflow.rules.match.Value;

/** An address in the parts that rules compare (RFC 5228 section 2.7.4, RFC 5233 section 4). Immutable. */
public final class Mailbox {
    /** RFC 5233 section 1: the separator between user and detail. */
    private static final char SEPARATOR = '+';

    /** The null sender: any part of it is the empty string (RFC 5228 section 5.4). */
    public static final Mailbox NULL_SENDER =
            new Mailbox(Value.of(""), Optional.of(Value.of("")), Optional.of(Value.of("")));

    private final Value all;
    private final Optional<Value> localPart;
    private final Optional<Value> domain;

    /** What of an address is compared. */
    public enum Part {
        ALL,
        LOCAL_PART,
        DOMAIN,
        USER,
        DETAIL
    }

    private Mailbox(Value all, Optional<Value> localPart, Optional<Value> domain) {
        this.all = all;
        this.localPart = localPart;
        this.domain = domain;
    }

    /** @param localPart as written; quotes that it does not need are dropped */
    static Mailbox of(String localPart, String domain) {
        String local = LocalPart.canonical(localPart);
        String host = isAscii(domain) ? domain : DomainPattern.normalize(domain);
        return new Mailbox(
                Value.of(local + "@" + host),
                Optional.of(Value.of(LocalPart.content(local))),
                Optional.of(Value.of(host)));
    }

    public static Mailbox of(MailAddress address) {
        return of(address.getLocalPart(), address.getDomain().asString());
    }

    /** A text that stands where an address should; it has no parts. */
    static Mailbox unreadable(String text) {
        return new Mailbox(Value.of(text), Optional.empty(), Optional.empty());
    }

    private static boolean isAscii(String text) {
        return text.chars().allMatch(c -> c < 128);
    }

    /** Empty when the address has no such part. */
    public Optional<Value> part(Part part) {
        return switch (part) {
            case ALL -> Optional.of(all);
            case LOCAL_PART -> localPart;
            case DOMAIN -> domain;
            case USER -> localPart.map(Mailbox::user);
            case DETAIL -> localPart.flatMap(Mailbox::detail);
        };
    }

    private static Value user(Value local) {
        int separator = local.text().indexOf(SEPARATOR);
        return separator < 0 ? local : Value.of(local.text().substring(0, separator));
    }

    private static Optional<Value> detail(Value local) {
        int separator = local.text().indexOf(SEPARATOR);
        return separator < 0
                ? Optional.empty()
                : Optional.of(Value.of(local.text().substring(separator + 1)));
    }
}
