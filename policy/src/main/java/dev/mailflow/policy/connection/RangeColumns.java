/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import java.util.Arrays;

/** Ranges as growing columns of numbers, each family apart, each range with its index in order of addition. */
final class RangeColumns {
    /** First address in the left half, last address in the right. */
    private long[] ipv4 = new long[16];

    private int[] ipv4Index = new int[16];
    private int ipv4Count;
    /** Four longs a range: first high, first low, last high, last low. */
    private long[] ipv6 = new long[64];

    private int[] ipv6Index = new int[16];
    private int ipv6Count;
    private int size;

    int size() {
        return size;
    }

    void add(IpRange range) {
        if (range.isIpv4()) {
            reserveIpv4(1);
            ipv4[ipv4Count] = (long) range.first().ipv4Bits() << Integer.SIZE
                    | Integer.toUnsignedLong(range.last().ipv4Bits());
            ipv4Index[ipv4Count++] = size++;
        } else {
            reserveIpv6(1);
            int at = ipv6Count * 4;
            ipv6[at] = range.first().high();
            ipv6[at + 1] = range.first().low();
            ipv6[at + 2] = range.last().high();
            ipv6[at + 3] = range.last().low();
            ipv6Index[ipv6Count++] = size++;
        }
    }

    void addAll(RangeColumns other) {
        reserveIpv4(other.ipv4Count);
        System.arraycopy(other.ipv4, 0, ipv4, ipv4Count, other.ipv4Count);
        for (int i = 0; i < other.ipv4Count; i++) {
            ipv4Index[ipv4Count++] = size + other.ipv4Index[i];
        }
        reserveIpv6(other.ipv6Count);
        System.arraycopy(other.ipv6, 0, ipv6, ipv6Count * 4, other.ipv6Count * 4);
        for (int i = 0; i < other.ipv6Count; i++) {
            ipv6Index[ipv6Count++] = size + other.ipv6Index[i];
        }
        size += other.size;
    }

    private void reserveIpv4(int more) {
        if (ipv4Count + more > ipv4Index.length) {
            int capacity = Math.max(ipv4Count + more, ipv4Count + (ipv4Count >> 1));
            ipv4 = Arrays.copyOf(ipv4, capacity);
            ipv4Index = Arrays.copyOf(ipv4Index, capacity);
        }
    }

    private void reserveIpv6(int more) {
        if (ipv6Count + more > ipv6Index.length) {
            int capacity = Math.max(ipv6Count + more, ipv6Count + (ipv6Count >> 1));
            ipv6 = Arrays.copyOf(ipv6, capacity * 4);
            ipv6Index = Arrays.copyOf(ipv6Index, capacity);
        }
    }

    /** Gives back what the growing reserved in advance. */
    RangeColumns trimmed() {
        RangeColumns copy = new RangeColumns();
        copy.ipv4 = Arrays.copyOf(ipv4, ipv4Count);
        copy.ipv4Index = Arrays.copyOf(ipv4Index, ipv4Count);
        copy.ipv4Count = ipv4Count;
        copy.ipv6 = Arrays.copyOf(ipv6, ipv6Count * 4);
        copy.ipv6Index = Arrays.copyOf(ipv6Index, ipv6Count);
        copy.ipv6Count = ipv6Count;
        copy.size = size;
        return copy;
    }

    Family ipv4() {
        return new Ipv4Family();
    }

    Family ipv6() {
        return new Ipv6Family();
    }

    /** The ranges of one family, all as 128-bit numbers; an IPv4 address is its 32 bits. */
    sealed interface Family {
        int count();

        long firstHigh(int at);

        long firstLow(int at);

        long lastHigh(int at);

        long lastLow(int at);

        /** The place in order of addition, both families together. */
        int index(int at);
    }

    private final class Ipv4Family implements Family {
        @Override
        public int count() {
            return ipv4Count;
        }

        @Override
        public long firstHigh(int at) {
            return 0;
        }

        @Override
        public long firstLow(int at) {
            return ipv4[at] >>> Integer.SIZE;
        }

        @Override
        public long lastHigh(int at) {
            return 0;
        }

        @Override
        public long lastLow(int at) {
            return ipv4[at] & 0xffffffffL;
        }

        @Override
        public int index(int at) {
            return ipv4Index[at];
        }
    }

    private final class Ipv6Family implements Family {
        @Override
        public int count() {
            return ipv6Count;
        }

        @Override
        public long firstHigh(int at) {
            return ipv6[at * 4];
        }

        @Override
        public long firstLow(int at) {
            return ipv6[at * 4 + 1];
        }

        @Override
        public long lastHigh(int at) {
            return ipv6[at * 4 + 2];
        }

        @Override
        public long lastLow(int at) {
            return ipv6[at * 4 + 3];
        }

        @Override
        public int index(int at) {
            return ipv6Index[at];
        }
    }
}
