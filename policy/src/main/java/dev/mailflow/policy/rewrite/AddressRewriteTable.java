/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Consumer;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.domain.DomainPattern;

/**
 * The compiled entries of {@code <addressRewrite>} (mail-flow behaviour, section 5). An address is rewritten by the
 * closest entry: mailbox, then exact domain, then the longest {@code *.} suffix; a domain in that entry's exceptions is
 * left alone. Immutable once built; a look-up costs one hash probe for the mailbox, one for the domain and, if there are
 * {@code *.} entries, one per label of the domain, whatever the size of the table.
 *
 * <p>Of two entries with the same internal side the first one rewrites outbound, of two with the same external side the
 * first one rewrites inbound; {@code check} reports both.
 */
public final class AddressRewriteTable {
    /** Longer names are no domains (RFC 1035 section 2.3.4): nobody can make a look-up slow with many labels. */
    private static final int LONGEST_DOMAIN = 255;

    private static final String NO_ENTRY = "no entry names it";

    private final EntryColumns entries;
    private final SideIndex byInternal;
    private final SideIndex byExternal;
    private final boolean subdomains;

    private AddressRewriteTable(EntryColumns entries, SideIndex byInternal, SideIndex byExternal, boolean subdomains) {
        this.entries = entries;
        this.byInternal = byInternal;
        this.byExternal = byExternal;
        this.subdomains = subdomains;
    }

    public static Builder builder() {
        return new Builder();
    }

    public static AddressRewriteTable of(List<AddressRewriteEntry> entries) {
        Builder builder = builder();
        entries.forEach(builder::add);
        return builder.build();
    }

    public static AddressRewriteTable none() {
        return of(List.of());
    }

    /** Collects entries in order of file. Not thread-safe; used once. */
    public static final class Builder {
        private final EntryColumns entries = new EntryColumns();
        private final SideIndex byInternal = new SideIndex(entries, true);
        private final SideIndex byExternal = new SideIndex(entries, false);
        private boolean subdomains;

        private Builder() {}

        /** Adds an entry that is in force. */
        public Builder add(AddressRewriteEntry entry) {
            String internal = entry.internal().toString();
            String external = entry.external().toString();
            int index = entries.add(entry, internal, external);
            byInternal.add(index, internal);
            if (!entry.outboundOnly()) {
                byExternal.add(index, external);
            }
            subdomains |= entry.internal().kind() == RewriteSide.Kind.SUBDOMAINS;
            return this;
        }

        public AddressRewriteTable build() {
            return new AddressRewriteTable(entries.trimmed(), byInternal, byExternal, subdomains);
        }
    }

    public int size() {
        return entries.size();
    }

    public boolean isEmpty() {
        return entries.size() == 0;
    }

    /** Every entry, in order of file; each is made for the call and may be forgotten. */
    public void forEach(Consumer<AddressRewriteEntry> action) {
        for (int i = 0; i < entries.size(); i++) {
            action.accept(entries.entry(i));
        }
    }

    /**
     * Entries that say a side which an earlier one says.
     *
     * @param winner the entry that is asked
     * @param loser the entry that is not
     */
    public record SameSide(AddressRewriteEntry winner, AddressRewriteEntry loser) {}

    /** Entries with the same internal side as an earlier one; the first thousand. */
    public List<SameSide> sameInternal() {
        return sameSide(byInternal);
    }

    /** Entries whose external side an earlier one, of which replies come home, has as well; the first thousand. */
    public List<SameSide> sameExternal() {
        return sameSide(byExternal);
    }

    private List<SameSide> sameSide(SideIndex index) {
        return index.repeats().stream()
                .map(pair -> new SameSide(entries.entry(pair.first()), entries.entry(pair.second())))
                .toList();
    }

    /** What becomes of an envelope address. */
    public Rewrite rewrite(MailAddress address, Direction direction) {
        return rewrite(address.getLocalPart(), address.getDomain().asString(), direction);
    }

    /**
     * What becomes of an address.
     *
     * @param localPart as written, with its quotes
     * @param domain as written, in any case and in U- or A-labels
     */
    public Rewrite rewrite(String localPart, String domain, Direction direction) {
        if (isEmpty() || domain.length() > LONGEST_DOMAIN) {
            return unchanged(localPart, domain, NO_ENTRY);
        }
        String name = DomainPattern.normalize(domain);
        OptionalInt closest = closest(LocalPart.folded(localPart) + "@" + name, name, direction);
        if (closest.isEmpty()) {
            return unchanged(localPart, domain, NO_ENTRY);
        }
        int index = closest.getAsInt();
        if (direction == Direction.OUTBOUND && isException(index, name)) {
            return unchanged(localPart, domain, "an exception of entry " + entries.entry(index));
        }
        return changed(localPart, domain, name, index, direction);
    }

    /** The text by which an address is the same as another: no case, no needless quotes, A-labels. */
    static String key(String localPart, String domain) {
        return LocalPart.folded(localPart) + "@" + DomainPattern.normalize(domain);
    }

    private OptionalInt closest(String mailbox, String domain, Direction direction) {
        SideIndex index = direction == Direction.OUTBOUND ? byInternal : byExternal;
        OptionalInt found = index.find(mailbox);
        if (found.isEmpty()) {
            found = index.find(domain);
        }
        return found.isPresent() || direction == Direction.INBOUND ? found : closestSubdomains(domain);
    }

    private OptionalInt closestSubdomains(String domain) {
        return subdomains ? longestSuffix("*." + domain) : OptionalInt.empty();
    }

    private OptionalInt longestSuffix(String whole) {
        String suffix = whole;
        while (true) {
            OptionalInt found = byInternal.find(suffix);
            int dot = suffix.indexOf('.', 2);
            if (found.isPresent() || dot < 0) {
                return found;
            }
            suffix = "*." + suffix.substring(dot + 1);
        }
    }

    private boolean isException(int index, String domain) {
        for (DomainPattern exception : entries.exceptions(index)) {
            if (exception.matches(domain)) {
                return true;
            }
        }
        return false;
    }

    private Rewrite changed(String localPart, String domain, String name, int index, Direction direction) {
        AddressRewriteEntry entry = entries.entry(index);
        RewriteSide target = direction == Direction.OUTBOUND ? entry.external() : entry.internal();
        Optional<String> newLocalPart = target.localPart();
        String newDomain = target.domain().name();
        boolean same = newDomain.equals(name)
                && newLocalPart
                        .map(local -> LocalPart.folded(local).equals(LocalPart.folded(localPart)))
                        .orElse(true);
        return same
                ? unchanged(localPart, domain, "it is what entry " + entry + " asks for")
                : new Rewrite.Changed(localPart, domain, newLocalPart, newDomain, entry);
    }

    private static Rewrite unchanged(String localPart, String domain, String reason) {
        return new Rewrite.Unchanged(localPart + "@" + domain, reason);
    }

    /** The longest {@code *.} entry that names the domain. */
    public Optional<AddressRewriteEntry> flattening(String domain) {
        if (domain.length() > LONGEST_DOMAIN) {
            return Optional.empty();
        }
        OptionalInt found = closestSubdomains(DomainPattern.normalize(domain));
        return found.isPresent() ? Optional.of(entries.entry(found.getAsInt())) : Optional.empty();
    }
}
