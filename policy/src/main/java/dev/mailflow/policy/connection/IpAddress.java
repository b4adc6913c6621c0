/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;

/**
 * An IPv4 or IPv6 address as 128 bits. IPv4 is kept IPv4-mapped ({@code ::ffff:0:0/96}, RFC 4291 section 2.5.5.2), so
 * the two ways a dual-stack socket may show one client are one value. Ordered as an unsigned number.
 *
 * @param high the 64 bits on the left
 * @param low the 64 bits on the right
 */
public record IpAddress(long high, long low) implements Comparable<IpAddress> {

    static final int BITS = 128;
    /** How many leading bits all IPv4-mapped addresses share. */
    static final int MAPPED_BITS = 96;

    private static final long MAPPED = 0xffffL << 32;
    private static final String EXPECTED = "an IPv4 address ('192.0.2.1') or an IPv6 address ('2001:db8::1')";

    /**
     * Reads a literal; never asks DNS. Octets with leading zeros are refused, because half the world reads them as
     * octal.
     *
     * @throws IllegalArgumentException saying what was found and what is valid
     */
    public static IpAddress parse(String text) {
        String literal = text.trim();
        Parser parser = new Parser(literal, 0, literal.length());
        if (!parser.read()) {
            throw new IllegalArgumentException("found '" + text.trim() + "', expected " + EXPECTED);
        }
        return parser.address();
    }

    public static IpAddress of(InetAddress address) {
        ByteBuffer bytes = ByteBuffer.wrap(address.getAddress());
        return address instanceof Inet4Address
                ? ofIpv4(bytes.getInt())
                : new IpAddress(bytes.getLong(), bytes.getLong());
    }

    /** The IPv4 address with these 32 bits. */
    public static IpAddress ofIpv4(int bits) {
        return new IpAddress(0, MAPPED | Integer.toUnsignedLong(bits));
    }

    public boolean isIpv4() {
        return high == 0 && (low & ~0xffffffffL) == MAPPED;
    }

    /** The 32 bits of an IPv4 address; the rightmost 32 bits of any other. */
    int ipv4Bits() {
        return (int) low;
    }

    /** The address as the JDK has it; an {@link Inet4Address} for IPv4. */
    public InetAddress toInetAddress() {
        try {
            return InetAddress.getByAddress(
                    isIpv4()
                            ? ByteBuffer.allocate(4).putInt(ipv4Bits()).array()
                            : ByteBuffer.allocate(16).putLong(high).putLong(low).array());
        } catch (UnknownHostException e) {
            throw new IllegalStateException("4 and 16 bytes are always an address", e);
        }
    }

    /** The network address of the prefix of that many bits, counted in 128. */
    IpAddress masked(int prefix) {
        return prefix <= Long.SIZE
                ? new IpAddress(high & leftOnes(prefix), 0)
                : new IpAddress(high, low & leftOnes(prefix - Long.SIZE));
    }

    /** The last address of the prefix of that many bits, counted in 128. */
    IpAddress filled(int prefix) {
        return prefix <= Long.SIZE
                ? new IpAddress(high | ~leftOnes(prefix), -1)
                : new IpAddress(high, low | ~leftOnes(prefix - Long.SIZE));
    }

    private static long leftOnes(int count) {
        return count == 0 ? 0 : -1L << (Long.SIZE - count);
    }

    /** The address before this one; the caller knows that there is one. */
    IpAddress previous() {
        return new IpAddress(low == 0 ? high - 1 : high, low - 1);
    }

    /** The address after this one; the caller knows that there is one. */
    IpAddress next() {
        return new IpAddress(low == -1 ? high + 1 : high, low + 1);
    }

    @Override
    public int compareTo(IpAddress other) {
        int byHigh = Long.compareUnsigned(high, other.high);
        return byHigh != 0 ? byHigh : Long.compareUnsigned(low, other.low);
    }

    /** Dotted decimal, or the canonical form of RFC 5952. */
    @Override
    public String toString() {
        if (isIpv4()) {
            int bits = ipv4Bits();
            return (bits >>> 24) + "." + (bits >>> 16 & 0xff) + "." + (bits >>> 8 & 0xff) + "." + (bits & 0xff);
        }
        int runStart = -1;
        int runLength = 1;
        for (int i = 0; i < 8; i++) {
            int end = i;
            while (end < 8 && group(end) == 0) {
                end++;
            }
            if (end - i > runLength) {
                runStart = i;
                runLength = end - i;
            }
            i = Math.max(i, end - 1);
        }
        StringBuilder text = new StringBuilder(39);
        for (int i = 0; i < 8; i++) {
            if (i == runStart) {
                text.append("::");
                i += runLength - 1;
            } else {
                if (i > 0 && i != runStart + runLength) {
                    text.append(':');
                }
                text.append(Integer.toHexString(group(i)));
            }
        }
        return text.toString();
    }

    private int group(int index) {
        return (int) ((index < 4 ? high : low) >>> (48 - (index & 3) * 16)) & 0xffff;
    }

    /** Reads a literal in place: a list file of a million lines is read without a million substrings. */
    static final class Parser {
        private final String text;
        private final int from;
        private final int to;
        private long high;
        private long low;

        Parser(String text, int from, int to) {
            this.text = text;
            this.from = from;
            this.to = to;
        }

        /** Whether the text is an address. */
        boolean read() {
            return isWrittenAsIpv6() ? readIpv6() : readIpv4(from);
        }

        boolean isWrittenAsIpv6() {
            for (int i = from; i < to; i++) {
                if (text.charAt(i) == ':') {
                    return true;
                }
            }
            return false;
        }

        IpAddress address() {
            return new IpAddress(high, low);
        }

        private boolean readIpv4(int start) {
            int bits = 0;
            int at = start;
            for (int octet = 0; octet < 4; octet++) {
                if (octet > 0) {
                    if (at >= to || text.charAt(at) != '.') {
                        return false;
                    }
                    at++;
                }
                int first = at;
                int value = 0;
                while (at < to && at - first < 3 && isDigit(text.charAt(at))) {
                    value = value * 10 + text.charAt(at) - '0';
                    at++;
                }
                boolean leadingZero = at - first > 1 && text.charAt(first) == '0';
                if (at == first || value > 255 || leadingZero) {
                    return false;
                }
                bits = bits << 8 | value;
            }
            high = 0;
            low = MAPPED | Integer.toUnsignedLong(bits);
            return at == to;
        }

        private boolean readIpv6() {
            int[] groups = new int[8];
            int count = 0;
            int gap = -1;
            int at = from;
            if (text.startsWith("::", at)) {
                gap = 0;
                at += 2;
            }
            boolean groupWanted = gap < 0;
            while (at < to) {
                if (count == 8) {
                    return false;
                }
                int first = at;
                int value = 0;
                while (at < to
                        && at - first < 4
                        && Character.digit(text.charAt(at), 16) >= 0
                        && text.charAt(at) < 128) {
                    value = value << 4 | Character.digit(text.charAt(at), 16);
                    at++;
                }
                if (at == first) {
                    return false;
                }
                if (at < to && text.charAt(at) == '.') {
                    if (count > 6 || !readIpv4(first)) {
                        return false;
                    }
                    groups[count++] = (int) (low >>> 16) & 0xffff;
                    groups[count++] = (int) low & 0xffff;
                    groupWanted = false;
                    break;
                }
                groups[count++] = value;
                groupWanted = false;
                if (at == to) {
                    break;
                }
                if (text.charAt(at) != ':') {
                    return false;
                }
                at++;
                if (at < to && text.charAt(at) == ':') {
                    if (gap >= 0) {
                        return false;
                    }
                    gap = count;
                    at++;
                } else {
                    groupWanted = true;
                }
            }
            if (groupWanted || (gap < 0 ? count != 8 : count > 7)) {
                return false;
            }
            high = 0;
            low = 0;
            int zeros = 8 - count;
            for (int i = 0; i < 8; i++) {
                int group = gap < 0 || i < gap ? groups[i] : i < gap + zeros ? 0 : groups[i - zeros];
                if (i < 4) {
                    high = high << 16 | group;
                } else {
                    low = low << 16 | group;
                }
            }
            return true;
        }

        private static boolean isDigit(char c) {
            return c >= '0' && c <= '9';
        }
    }
}
