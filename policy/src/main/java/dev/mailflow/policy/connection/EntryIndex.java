/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.connection.ConnectionFilter.Entry;

/**
 * The entries of one action and one sender domain (or none), compiled so that one look-up answers whether any of them
 * is for a client now. Exceptions are cut out of the ranges when it is built. Expiry is the rank of a range: where
 * entries overlap, the one that lasts longest owns the segment, so when it has expired all others have too.
 */
final class EntryIndex {
    /** Rank of an entry that never expires, above every expiry's. List lines have rank 0 because nothing outlasts them. */
    private static final long FOR_EVER = 0;

    private final IpRangeSet ranges;
    /** By index of range; lists come after. */
    private final List<Entry> entries;
    /** The range index at which each list starts, ascending. */
    private final int[] listStarts;

    private final List<FileLines> lists;

    private EntryIndex(IpRangeSet ranges, List<Entry> entries, int[] listStarts, List<FileLines> lists) {
        this.ranges = ranges;
        this.entries = entries;
        this.listStarts = listStarts;
        this.lists = lists;
    }

    static EntryIndex of(List<Entry> entries, List<IpRangeList> lists) {
        Map<Instant, Long> ranks = expiryRanks(entries);
        IpRangeSet.Builder ranges = IpRangeSet.builder();
        List<Entry> owners = new ArrayList<>();
        for (Entry entry : entries) {
            long rank = entry.expires().map(ranks::get).orElse(FOR_EVER);
            for (IpRange range : entry.range().without(entry.except())) {
                ranges.add(range, rank);
                owners.add(entry);
            }
        }
        int[] starts = new int[lists.size()];
        List<FileLines> lines = new ArrayList<>();
        for (int i = 0; i < starts.length; i++) {
            IpRangeList list = lists.get(i);
            starts[i] = ranges.size();
            ranges.addAll(list);
            lines.add(list.lines());
        }
        return new EntryIndex(ranges.build(), List.copyOf(owners), starts, List.copyOf(lines));
    }

    /** The later the higher, all of them negative: below {@link #FOR_EVER}. */
    private static Map<Instant, Long> expiryRanks(List<Entry> entries) {
        NavigableSet<Instant> expiries = new TreeSet<>();
        entries.forEach(entry -> entry.expires().ifPresent(expiries::add));
        Map<Instant, Long> ranks = new TreeMap<>();
        long rank = FOR_EVER;
        for (Instant expiry : expiries.descendingSet()) {
            ranks.put(expiry, --rank);
        }
        return ranks;
    }

    /** The place and wording of the entry that is for the client at that time. */
    Optional<Found> find(IpAddress client, Instant now) {
        int index = ranges.find(client);
        if (index == IpRangeSet.NONE) {
            return Optional.empty();
        }
        if (index < entries.size()) {
            Entry entry = entries.get(index);
            return entry.isExpiredAt(now)
                    ? Optional.empty()
                    : Optional.of(new Found(entry.location(), entry.describe()));
        }
        int exact = Arrays.binarySearch(listStarts, index);
        int list = exact >= 0 ? lastStartingAt(exact) : -exact - 2;
        return Optional.of(new Found(lists.get(list).location(index - listStarts[list]), "list"));
    }

    /** Empty lists start where the next one does. */
    private int lastStartingAt(int position) {
        int last = position;
        while (last + 1 < listStarts.length && listStarts[last + 1] == listStarts[position]) {
            last++;
        }
        return last;
    }

    /** @param what the entry as one would name it in a sentence */
    record Found(SourceLocation location, String what) {}
}
