/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import java.util.List;
import java.util.stream.Collectors;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.domain.DomainPattern;

/**
 * One entry of the address rewriting: mailbox and mailbox, domain and domain, or {@code *.d} and the domain that all of
 * {@code d} is made to look like.
 *
 * @param outboundOnly whether mail to the external side is left alone; always true for {@code *.d}
 * @param exceptions domains of the internal side that are left alone
 */
public record AddressRewriteEntry(
        RewriteSide internal,
        RewriteSide external,
        boolean outboundOnly,
        List<DomainPattern> exceptions,
        SourceLocation location) {

    /**
     * Joins two sides.
     *
     * @throws IllegalArgumentException when the sides do not go together; says what would be right
     */
    public AddressRewriteEntry {
        exceptions = List.copyOf(exceptions);
        if (external.kind() == RewriteSide.Kind.SUBDOMAINS) {
            throw new IllegalArgumentException("found external '" + external
                    + "', expected a mailbox or one domain: an external side never has a wildcard");
        }
        boolean mailbox = internal.kind() == RewriteSide.Kind.MAILBOX;
        if (mailbox != (external.kind() == RewriteSide.Kind.MAILBOX)) {
            throw new IllegalArgumentException("found internal '" + internal + "' with external '" + external
                    + "', expected " + (mailbox ? "a mailbox" : "a domain") + " as external: mailboxes are rewritten to"
                    + " mailboxes, domains to domains");
        }
        if (internal.kind() == RewriteSide.Kind.SUBDOMAINS && !outboundOnly) {
            throw new IllegalArgumentException("found internal '" + internal
                    + "' with outboundOnly 'false', expected 'true': nobody knows to which subdomain a reply belongs");
        }
    }

    /** How the entry is called in reasons and findings. */
    @Override
    public String toString() {
        return internal + (outboundOnly ? " -> " : " <-> ") + external
                + (exceptions.isEmpty()
                        ? ""
                        : " except "
                                + exceptions.stream()
                                        .map(DomainPattern::toString)
                                        .collect(Collectors.joining(", ")))
                + " (" + location + ")";
    }
}
