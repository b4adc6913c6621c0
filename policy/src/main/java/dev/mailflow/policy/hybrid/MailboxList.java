/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.hybrid;

import java.util.Map;

import org.apache.james.core.MailAddress;

/**
 * Where mailboxes are, as a file lists it. Immutable; one look-up is one hash probe.
 *
 * @param source the file as the administrator knows it
 */
public record MailboxList(String source, Map<MailAddress, Entry> entries) implements MailboxDirectory {

    /** On which premises a listed mailbox is. */
    public enum Premises {
        LOCAL,
        CLOUD
    }

    /** @param line in the file, 1-based */
    public record Entry(Premises premises, int line) {}

    public MailboxList {
        entries = Map.copyOf(entries);
    }

    @Override
    public MailboxPlace find(MailAddress address) {
        Entry entry = entries.get(address);
        if (entry == null) {
            return new MailboxPlace.Nowhere("not listed in " + source);
        }
        String reason = "listed in " + source + ":" + entry.line();
        return switch (entry.premises()) {
            case LOCAL -> new MailboxPlace.Here(reason);
            case CLOUD -> MailboxPlace.Away.inCloud(reason);
        };
    }

    @Override
    public String toString() {
        return source + " (" + entries.size() + " mailboxes)";
    }
}
