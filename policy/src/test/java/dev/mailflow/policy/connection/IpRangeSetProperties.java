/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;

import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** The index against a scan that weighs every range, on ranges made to overlap. */
class IpRangeSetProperties {

    @Property(tries = 2000)
    void findShouldAgreeWithScan(@ForAll("rangeLists") List<IpRange> ranges, @ForAll("addresses") IpAddress anywhere) {
        IpRangeSet set = IpRangeSet.of(ranges);

        for (IpAddress address : withEdges(ranges, anywhere)) {
            assertThat(set.find(address))
                    .describedAs("%s in %s", address, ranges)
                    .isEqualTo(scan(ranges, address));
        }
    }

    @Property
    void withoutShouldLeaveExactlyTheRest(
            @ForAll("ranges") IpRange range,
            @ForAll("rangeLists") List<IpRange> holes,
            @ForAll("addresses") IpAddress anywhere) {
        List<IpRange> left = range.without(holes);

        List<IpRange> all = new ArrayList<>(holes);
        all.add(range);
        for (IpAddress address : withEdges(all, anywhere)) {
            boolean expected = range.contains(address) && holes.stream().noneMatch(hole -> hole.contains(address));
            assertThat(left.stream().filter(piece -> piece.contains(address)).count())
                    .describedAs("%s in %s without %s", address, range, holes)
                    .isEqualTo(expected ? 1 : 0);
        }
    }

    @Property
    void textShouldReadBackAsTheSameRange(@ForAll("ranges") IpRange range) {
        assertThat(IpRange.parse(range.toString())).isEqualTo(range);
    }

    @Property
    void addressShouldAgreeWithTheJdk(@ForAll("addresses") IpAddress address) {
        assertThat(IpAddress.parse(address.toString())).isEqualTo(address);
        assertThat(IpAddress.of(address.toInetAddress())).isEqualTo(address);
        assertThat(IpAddress.parse(address.toInetAddress().getHostAddress())).isEqualTo(address);
    }

    private static int scan(List<IpRange> ranges, IpAddress address) {
        int best = IpRangeSet.NONE;
        for (int i = 0; i < ranges.size(); i++) {
            boolean narrower = best < 0 || width(ranges.get(i)).compareTo(width(ranges.get(best))) < 0;
            if (ranges.get(i).contains(address) && narrower) {
                best = i;
            }
        }
        return best;
    }

    private static BigInteger width(IpRange range) {
        return number(range.last()).subtract(number(range.first()));
    }

    private static BigInteger number(IpAddress address) {
        return new BigInteger(Long.toUnsignedString(address.high()))
                .shiftLeft(64)
                .add(new BigInteger(Long.toUnsignedString(address.low())));
    }

    /** Errors live at the edges: the ends of every range and their neighbours. */
    private static List<IpAddress> withEdges(List<IpRange> ranges, IpAddress anywhere) {
        List<IpAddress> addresses = new ArrayList<>(List.of(
                anywhere,
                IpAddress.parse("0.0.0.0"),
                IpAddress.parse("255.255.255.255"),
                IpAddress.parse("::"),
                new IpAddress(-1, -1)));
        for (IpRange range : ranges) {
            addresses.add(range.first());
            addresses.add(range.last());
            addresses.add(range.first().previous());
            addresses.add(range.last().next());
        }
        return addresses;
    }

    @Provide
    Arbitrary<List<IpRange>> rangeLists() {
        return ranges().list().ofMaxSize(40);
    }

    @Provide
    Arbitrary<IpRange> ranges() {
        return Arbitraries.oneOf(networks(), firstToLast(ipv4()), firstToLast(ipv6()));
    }

    private static Arbitrary<IpRange> networks() {
        return Arbitraries.oneOf(
                Combinators.combine(ipv4(), Arbitraries.integers().between(0, 32))
                        .as((address, prefix) -> IpRange.parse(address + "/" + prefix)),
                Combinators.combine(ipv6(), Arbitraries.integers().between(0, 128))
                        .as((address, prefix) -> IpRange.parse(address + "/" + prefix)));
    }

    private static Arbitrary<IpRange> firstToLast(Arbitrary<IpAddress> addresses) {
        return Combinators.combine(addresses, addresses)
                .as((a, b) -> a.compareTo(b) <= 0 ? new IpRange(a, b) : new IpRange(b, a));
    }

    @Provide
    Arbitrary<IpAddress> addresses() {
        return Arbitraries.oneOf(ipv4(), ipv6());
    }

    /** From everywhere, from the edges, and from a few networks, so that ranges meet. */
    private static Arbitrary<IpAddress> ipv4() {
        return Arbitraries.oneOf(
                        Arbitraries.integers(),
                        Arbitraries.integers().between(0xc0000200, 0xc0000220),
                        Arbitraries.integers().between(0x0a000000, 0x0affffff))
                .map(IpAddress::ofIpv4);
    }

    private static Arbitrary<IpAddress> ipv6() {
        Arbitrary<Long> high = Arbitraries.oneOf(
                Arbitraries.longs(),
                Arbitraries.longs().between(0x20010db800000000L, 0x20010db80000000fL),
                Arbitraries.of(0L, -1L, Long.MIN_VALUE, Long.MAX_VALUE));
        Arbitrary<Long> low = Arbitraries.oneOf(
                Arbitraries.longs(),
                Arbitraries.longs().between(0, 32),
                Arbitraries.of(0L, -1L, Long.MIN_VALUE, Long.MAX_VALUE));
        return Combinators.combine(high, low).as(IpAddress::new).filter(address -> !address.isIpv4());
    }
}
