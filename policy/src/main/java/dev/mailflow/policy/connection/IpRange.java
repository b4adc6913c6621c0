/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The addresses from {@code first} to {@code last}, both included, all of one family. A range is IPv4 when it begins
 * at an IPv4 address; an IPv6 range never contains an IPv4 client, not even {@code ::/0}, whose numbers include the
 * IPv4-mapped ones.
 */
public record IpRange(IpAddress first, IpAddress last) {

    private static final String EXPECTED = "an address ('192.0.2.1'), a network ('192.0.2.0/24', '2001:db8::/32') "
            + "or a range ('192.0.2.1-192.0.2.9')";

    public IpRange {
        if (first.isIpv4() && !last.isIpv4()) {
            throw new IllegalArgumentException(
                    "found '" + first + "-" + last + "', expected two addresses of one family");
        }
        if (first.compareTo(last) > 0) {
            throw new IllegalArgumentException("found '" + first + "-" + last + "', expected the lower address first: '"
                    + last + "-" + first + "'");
        }
    }

    public static IpRange of(IpAddress address) {
        return new IpRange(address, address);
    }

    /**
     * Reads an address, a network of any prefix length or a {@code first-last} range. Address bits beyond the prefix
     * are ignored: {@code 192.0.2.7/24} is {@code 192.0.2.0/24}, as in the filters administrators copy lists from.
     * An IPv4-mapped network of 96 bits or more is the IPv4 network.
     *
     * @throws IllegalArgumentException saying what was found and what is valid
     */
    public static IpRange parse(String text) {
        String trimmed = text.trim();
        int slash = trimmed.indexOf('/');
        if (slash >= 0) {
            return network(trimmed, slash);
        }
        int dash = trimmed.indexOf('-');
        if (dash >= 0) {
            return firstToLast(trimmed, dash);
        }
        return of(address(trimmed, 0, trimmed.length()).address());
    }

    private static IpRange network(String text, int slash) {
        IpAddress.Parser parser = address(text, 0, slash);
        boolean ipv6 = parser.isWrittenAsIpv6();
        int width = ipv6 ? IpAddress.BITS : IpAddress.BITS - IpAddress.MAPPED_BITS;
        int prefix = prefixLength(text, slash + 1);
        if (prefix < 0 || prefix > width) {
            throw new IllegalArgumentException(
                    "found '" + text + "', expected a prefix length from /0 to /" + width + " after the address");
        }
        int bits = ipv6 ? prefix : prefix + IpAddress.MAPPED_BITS;
        IpAddress first = parser.address().masked(bits);
        return new IpRange(first, first.filled(bits));
    }

    /** Negative when the text is not a small decimal number. */
    private static int prefixLength(String text, int from) {
        if (from == text.length() || text.length() - from > 3) {
            return -1;
        }
        int length = 0;
        for (int i = from; i < text.length(); i++) {
            int digit = text.charAt(i) - '0';
            if (digit < 0 || digit > 9) {
                return -1;
            }
            length = length * 10 + digit;
        }
        return length;
    }

    private static IpRange firstToLast(String text, int dash) {
        int firstEnd = dash;
        while (firstEnd > 0 && text.charAt(firstEnd - 1) <= ' ') {
            firstEnd--;
        }
        int lastStart = dash + 1;
        while (lastStart < text.length() && text.charAt(lastStart) <= ' ') {
            lastStart++;
        }
        IpAddress first = address(text, 0, firstEnd).address();
        IpAddress last = address(text, lastStart, text.length()).address();
        if (first.isIpv4() != last.isIpv4()) {
            throw new IllegalArgumentException("found '" + text + "', expected two addresses of one family");
        }
        return new IpRange(first, last);
    }

    private static IpAddress.Parser address(String text, int from, int to) {
        IpAddress.Parser parser = new IpAddress.Parser(text, from, to);
        if (!parser.read()) {
            throw new IllegalArgumentException("found '" + text + "', expected " + EXPECTED);
        }
        return parser;
    }

    public boolean isIpv4() {
        return first.isIpv4();
    }

    public boolean contains(IpAddress address) {
        return isIpv4() == address.isIpv4() && first.compareTo(address) <= 0 && last.compareTo(address) >= 0;
    }

    /** What is left of this range without {@code holes}: disjoint, ascending, possibly nothing. */
    public List<IpRange> without(List<IpRange> holes) {
        List<IpRange> left = new ArrayList<>();
        IpAddress from = first;
        List<IpRange> ascending = holes.stream()
                .filter(hole -> hole.isIpv4() == isIpv4())
                .sorted(Comparator.comparing(IpRange::first))
                .toList();
        for (IpRange hole : ascending) {
            if (hole.last.compareTo(from) < 0 || hole.first.compareTo(last) > 0) {
                continue;
            }
            if (hole.first.compareTo(from) > 0) {
                left.add(new IpRange(from, hole.first.previous()));
            }
            if (hole.last.compareTo(last) >= 0) {
                return left;
            }
            from = hole.last.next();
            if (from.isIpv4() && !isIpv4()) {
                // no IPv6 client has an IPv4-mapped address, and no IPv6 range may begin at one
                from = IpAddress.ofIpv4(-1).next();
            }
        }
        if (from.compareTo(last) <= 0) {
            left.add(new IpRange(from, last));
        }
        return left;
    }

    /** The address, the network in CIDR notation, or {@code first-last}. */
    @Override
    public String toString() {
        if (first.equals(last)) {
            return first.toString();
        }
        for (int prefix = isIpv4() ? IpAddress.MAPPED_BITS : 0; prefix < IpAddress.BITS; prefix++) {
            if (first.masked(prefix).equals(first) && first.filled(prefix).equals(last)) {
                return first + "/" + (isIpv4() ? prefix - IpAddress.MAPPED_BITS : prefix);
            }
        }
        return first + "-" + last;
    }
}
