/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import java.util.Arrays;

/**
 * An immutable index from addresses to ranges, made for a million of them: which range covers an address, and of
 * several the one that wins.
 *
 * <p><b>Design.</b> The ranges are cut at build time into disjoint segments, each owned by the range that wins there
 * ({@link RangeSweep}), so that a look-up never weighs candidates. IPv4 and IPv6 are kept apart, each as one flat array in
 * which the start of a segment and its owner lie side by side, ascending: whoever has found the start has the owner in the
 * same cache line. A look-up reads two neighbouring entries of a first-level table, which the top bits of the address select,
 * and searches binarily between them. For IPv4 the table is over the top bits; for IPv6, whose addresses in use share most
 * of theirs, over the bits below what all the segments share.
 *
 * <p><b>Cost.</b> A look-up allocates nothing and takes O(log n) steps in the worst case, a few for ranges that are
 * spread out. What it waits for is memory, so the table has fewer entries than there are segments and never more than 2^18:
 * it is to stay in a cache near the processor, and a small set is to be small. n ranges become at most 2n + 1 segments of 8
 * bytes (IPv4) or 24 bytes (IPv6), and a table of at most 1 MiB a family: a million mixed ranges stay under 64 MB. Building
 * is O(n log n).
 *
 * <p><b>Invariants.</b> The first segment of a family starts at its lowest address; each ends where the next starts;
 * neighbours have different owners. An IPv4 client is found in IPv4 ranges only, however it was written.
 */
public final class IpRangeSet {
    /** What {@link #find} returns when no range covers the address. */
    public static final int NONE = -1;

    private static final int MOST_TABLE_BITS = 18;
    private static final IpRangeSet EMPTY = builder().build();

    private final int size;
    private final Ipv4Segments ipv4;
    private final Ipv6Segments ipv6;

    private IpRangeSet(Builder builder) {
        this.size = builder.columns.size();
        long[] ranks = builder.ranks();
        this.ipv4 = new Ipv4Segments(new RangeSweep(builder.columns.ipv4(), ranks));
        this.ipv6 = new Ipv6Segments(new RangeSweep(builder.columns.ipv6(), ranks));
    }

    public static Builder builder() {
        return new Builder();
    }

    public static IpRangeSet empty() {
        return EMPTY;
    }

    public static IpRangeSet of(Iterable<IpRange> ranges) {
        Builder builder = builder();
        ranges.forEach(builder::add);
        return builder.build();
    }

    /**
     * The index, in order of addition, of the range that covers the address and wins: of the highest rank, then the
     * narrowest, then the first added. {@link #NONE} when no range covers it.
     */
    public int find(IpAddress address) {
        return address.isIpv4() ? ipv4.find(address.ipv4Bits()) : ipv6.find(address.high(), address.low());
    }

    public boolean contains(IpAddress address) {
        return find(address) != NONE;
    }

    /** How many ranges were added. */
    public int size() {
        return size;
    }

    public boolean isEmpty() {
        return size == 0;
    }

    /** Collects ranges. Not thread-safe; used once. */
    public static final class Builder {
        private final RangeColumns columns = new RangeColumns();
        /** Shorter than the columns: the rest is of rank 0. */
        private long[] ranks = new long[0];

        private Builder() {}

        /** Adds a range of rank 0. */
        public Builder add(IpRange range) {
            columns.add(range);
            return this;
        }

        /** Adds a range that wins over every range of lower rank, whatever their widths. */
        public Builder add(IpRange range, long rank) {
            int index = columns.size();
            if (rank != 0) {
                if (index >= ranks.length) {
                    ranks = Arrays.copyOf(ranks, index + (index >> 1) + 16);
                }
                ranks[index] = rank;
            }
            return add(range);
        }

        /** Adds all ranges of a list in its order, of rank 0. */
        public Builder addAll(IpRangeList list) {
            columns.addAll(list.ranges());
            return this;
        }

        /** How many ranges have been added: the index the next one will have. */
        public int size() {
            return columns.size();
        }

        private long[] ranks() {
            return ranks.length == 0 ? ranks : Arrays.copyOf(ranks, columns.size());
        }

        public IpRangeSet build() {
            return new IpRangeSet(this);
        }
    }

    /** Of the first-level table: some four segments for each of its entries. */
    private static int tableBits(int segments) {
        int bits = Integer.SIZE - Integer.numberOfLeadingZeros(segments) - 2;
        return Math.max(1, Math.min(MOST_TABLE_BITS, bits));
    }

    private static final class Ipv4Segments {
        /** Starts in the left halves, the sign bit flipped so that signed comparison orders them; owners in the right. */
        private final long[] segments;
        /** For each value of the top bits, the segment its lowest address is in; then the last segment. */
        private final int[] table;
        /** How many bits of an address do not count for the table. */
        private final int shift;

        Ipv4Segments(RangeSweep sweep) {
            // a range that ends at the highest address is followed by a segment at 2^32, which nothing is in
            int count = sweep.segments();
            while (sweep.startLow(count - 1) >>> Integer.SIZE != 0) {
                count--;
            }
            segments = new long[count];
            for (int i = 0; i < count; i++) {
                segments[i] =
                        (sweep.startLow(i) << Integer.SIZE ^ Long.MIN_VALUE) | Integer.toUnsignedLong(sweep.owner(i));
            }
            int bits = tableBits(count);
            shift = Integer.SIZE - bits;
            table = new int[(1 << bits) + 1];
            int segment = 0;
            for (int i = 0; i < table.length - 1; i++) {
                int lowest = (i << shift) ^ Integer.MIN_VALUE;
                while (segment + 1 < count && start(segment + 1) <= lowest) {
                    segment++;
                }
                table[i] = segment;
            }
            table[table.length - 1] = count - 1;
        }

        private int start(int segment) {
            return (int) (segments[segment] >> Integer.SIZE);
        }

        int find(int address) {
            int slot = address >>> shift;
            int low = table[slot];
            int high = table[slot + 1];
            int wanted = address ^ Integer.MIN_VALUE;
            while (low < high) {
                int middle = (low + high + 1) >>> 1;
                if (start(middle) <= wanted) {
                    low = middle;
                } else {
                    high = middle - 1;
                }
            }
            return (int) segments[low];
        }
    }

    private static final class Ipv6Segments {
        /** Longs of a segment: the halves of its start, the sign bits flipped so that signed comparison orders them; owner. */
        private static final int WIDTH = 3;

        private final long[] segments;
        /** The left 64 bits of the first segment that anybody owns, and of the last segment. */
        private final long tableFrom;

        private final long tableTo;
        /** How many bits of the distance from {@link #tableFrom} do not count for the table. */
        private final int shift;

        private final int[] table;

        Ipv6Segments(RangeSweep sweep) {
            int count = sweep.segments();
            segments = new long[count * WIDTH];
            for (int i = 0; i < count; i++) {
                segments[i * WIDTH] = sweep.startHigh(i) ^ Long.MIN_VALUE;
                segments[i * WIDTH + 1] = sweep.startLow(i) ^ Long.MIN_VALUE;
                segments[i * WIDTH + 2] = sweep.owner(i);
            }
            tableFrom = sweep.startHigh(Math.min(1, count - 1));
            tableTo = sweep.startHigh(count - 1);
            long distance = tableTo - tableFrom;
            shift = Math.max(0, Long.SIZE - tableBits(count) - Long.numberOfLeadingZeros(distance));
            table = new int[(int) (distance >>> shift) + 2];
            int segment = 0;
            for (int i = 0; i < table.length - 1; i++) {
                long high = (tableFrom + ((long) i << shift)) ^ Long.MIN_VALUE;
                while (segment + 1 < count && isAtOrBefore(segment + 1, high, Long.MIN_VALUE)) {
                    segment++;
                }
                table[i] = segment;
            }
            table[table.length - 1] = count - 1;
        }

        private boolean isAtOrBefore(int segment, long high, long low) {
            long start = segments[segment * WIDTH];
            return start != high ? start < high : segments[segment * WIDTH + 1] <= low;
        }

        private int owner(int segment) {
            return (int) segments[segment * WIDTH + 2];
        }

        int find(long high, long low) {
            if (Long.compareUnsigned(high, tableFrom) < 0) {
                return owner(0);
            }
            if (Long.compareUnsigned(high, tableTo) > 0) {
                return owner(segments.length / WIDTH - 1);
            }
            int slot = (int) ((high - tableFrom) >>> shift);
            int left = table[slot];
            int right = table[slot + 1];
            long wantedHigh = high ^ Long.MIN_VALUE;
            long wantedLow = low ^ Long.MIN_VALUE;
            while (left < right) {
                int middle = (left + right + 1) >>> 1;
                if (isAtOrBefore(middle, wantedHigh, wantedLow)) {
                    left = middle;
                } else {
                    right = middle - 1;
                }
            }
            return owner(left);
        }
    }
}
