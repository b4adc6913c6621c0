/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

import org.apache.james.core.Domain;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.domain.DomainTable;
import dev.mailflow.policy.inbound.SmtpReply;

/**
 * Which clients are let in without spam filtering and which are refused, by address; section 2 of the mail-flow
 * behaviour. Immutable and compiled: a verdict costs one {@link IpRangeSet} look-up per action, and one more for each
 * pattern in use that names the envelope sender's domain, whatever the number of entries.
 *
 * <p>A blocked client sees {@code 550 5.7.1 Service unavailable, client host [IP] blocked by connection filter}; the
 * verdict's reason names the entry's file and line.
 */
public final class ConnectionFilter {
    private static final ConnectionFilter NONE = builder().build();

    private final List<Entry> entries;
    private final List<FileList> lists;
    private final ActionIndex allow;
    private final ActionIndex block;

    private ConnectionFilter(Builder builder) {
        this.entries = List.copyOf(builder.entries);
        this.lists = builder.lists.stream()
                .map(list -> new FileList(
                        list.action(), list.ranges().file(), list.ranges().size()))
                .toList();
        this.allow = ActionIndex.of(Action.ALLOW, builder);
        this.block = ActionIndex.of(Action.BLOCK, builder);
    }

    /** What an entry does with the clients it is for. */
    public enum Action {
        ALLOW(ConnectionVerdict.Kind.ALLOW),
        BLOCK(ConnectionVerdict.Kind.BLOCK);

        private final ConnectionVerdict.Kind verdict;

        Action(ConnectionVerdict.Kind verdict) {
            this.verdict = verdict;
        }

        /** The word the policy file uses. */
        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * An entry written in the policy file itself.
     *
     * @param except addresses the entry is not for; other entries may still be for them
     * @param senderDomain empty: whatever the envelope sender; otherwise never for the null sender
     * @param expires from this instant on the entry counts no more
     * @param enabled false: as if it were absent
     */
    public record Entry(
            Action action,
            IpRange range,
            List<IpRange> except,
            Optional<DomainPattern> senderDomain,
            Optional<Instant> expires,
            Optional<String> comment,
            boolean enabled,
            SourceLocation location) {

        public Entry {
            except = List.copyOf(except);
        }

        /** An entry that always counts. */
        public static Entry of(Action action, IpRange range, SourceLocation location) {
            return new Entry(
                    action, range, List.of(), Optional.empty(), Optional.empty(), Optional.empty(), true, location);
        }

        public boolean isExpiredAt(Instant now) {
            return expires.filter(expiry -> !now.isBefore(expiry)).isPresent();
        }

        String describe() {
            return range
                    + senderDomain.map(domain -> " for sender domain " + domain).orElse("")
                    + comment.map(text -> " \"" + text + "\"").orElse("");
        }
    }

    /** A list file's share in this filter; its ranges are kept only as the compiled index. */
    public record FileList(Action action, String file, int size) {}

    public static Builder builder() {
        return new Builder();
    }

    /** The filter without entries. */
    public static ConnectionFilter none() {
        return NONE;
    }

    /**
     * The verdict on a client. Allow beats block; entries that have expired, are disabled, or except the client do not
     * count.
     *
     * @param senderDomain the envelope sender's domain; empty for the null sender
     */
    public ConnectionVerdict verdict(IpAddress client, Optional<Domain> senderDomain, Instant now) {
        return allow.verdict(client, senderDomain, now)
                .or(() -> block.verdict(client, senderDomain, now))
                .orElseGet(() -> ConnectionVerdict.notListed(client));
    }

    /** What a blocked client is told. */
    public static SmtpReply refusal(IpAddress client) {
        return SmtpReply.blockedByConnectionFilter(client);
    }

    /** The entries of the policy file itself in file order, the disabled ones too. */
    public List<Entry> entries() {
        return entries;
    }

    /** The list files in file order. */
    public List<FileList> lists() {
        return lists;
    }

    /** Collects entries. Not thread-safe; used once. */
    public static final class Builder {
        private final List<Entry> entries = new ArrayList<>();
        private final List<ActionList> lists = new ArrayList<>();

        private Builder() {}

        public Builder addEntry(Entry entry) {
            entries.add(entry);
            return this;
        }

        /** Adds every line of a list file. */
        public Builder addList(Action action, IpRangeList ranges) {
            lists.add(new ActionList(action, ranges));
            return this;
        }

        public ConnectionFilter build() {
            return new ConnectionFilter(this);
        }
    }

    private record ActionList(Action action, IpRangeList ranges) {}

    private record ActionIndex(Action action, EntryIndex anySender, DomainTable<EntryIndex> bySender) {

        static ActionIndex of(Action action, Builder builder) {
            List<Entry> anySender = new ArrayList<>();
            Map<DomainPattern, List<Entry>> bySender = new HashMap<>();
            for (Entry entry : builder.entries) {
                if (entry.enabled() && entry.action() == action) {
                    entry.senderDomain()
                            .map(domain -> bySender.computeIfAbsent(domain, unused -> new ArrayList<>()))
                            .orElse(anySender)
                            .add(entry);
                }
            }
            List<IpRangeList> lists = builder.lists.stream()
                    .filter(list -> list.action() == action)
                    .map(ActionList::ranges)
                    .toList();
            Map<DomainPattern, EntryIndex> compiled = new HashMap<>();
            bySender.forEach((domain, entries) -> compiled.put(domain, EntryIndex.of(entries, List.of())));
            return new ActionIndex(action, EntryIndex.of(anySender, lists), DomainTable.of(compiled));
        }

        Optional<ConnectionVerdict> verdict(IpAddress client, Optional<Domain> senderDomain, Instant now) {
            Optional<EntryIndex.Found> found = anySender.find(client, now);
            if (found.isEmpty() && senderDomain.isPresent() && !bySender.isEmpty()) {
                List<EntryIndex.Found> firstFound = new ArrayList<>(1);
                bySender.visit(senderDomain.get().asString(), (pattern, index) -> {
                    index.find(client, now).ifPresent(firstFound::add);
                    return !firstFound.isEmpty();
                });
                found = firstFound.stream().findFirst();
            }
            return found.map(entry -> new ConnectionVerdict(
                    action.verdict,
                    action + " " + entry.what() + " (" + entry.location() + ")",
                    Optional.of(entry.location())));
        }
    }
}
