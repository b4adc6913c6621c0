/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class IpRangeSetTest {

    @Test
    void emptySetShouldContainNothing() {
        assertThat(IpRangeSet.empty().isEmpty()).isTrue();
        for (String address : List.of("0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "ffff::")) {
            assertThat(IpRangeSet.empty().find(IpAddress.parse(address))).isEqualTo(IpRangeSet.NONE);
        }
    }

    /** The narrowest range wins, wherever it stands; of equal ones the first. */
    @ParameterizedTest
    @CsvSource({
        "10.0.0.0/8 10.1.0.0/16 10.1.2.0/24 10.1.2.3, 10.1.2.3, 3",
        "10.0.0.0/8 10.1.0.0/16 10.1.2.0/24 10.1.2.3, 10.1.2.4, 2",
        "10.0.0.0/8 10.1.0.0/16 10.1.2.0/24 10.1.2.3, 10.1.3.0, 1",
        "10.0.0.0/8 10.1.0.0/16 10.1.2.0/24 10.1.2.3, 10.1.1.255, 1",
        "10.0.0.0/8 10.1.0.0/16 10.1.2.0/24 10.1.2.3, 10.2.0.0, 0",
        "10.0.0.0/8 10.1.0.0/16 10.1.2.0/24 10.1.2.3, 9.255.255.255, -1",
        "10.0.0.0/8 10.1.0.0/16 10.1.2.0/24 10.1.2.3, 11.0.0.0, -1",
        "10.1.2.3 10.1.2.0/24 10.0.0.0/8, 10.1.2.3, 0",
        "10.1.2.0/24 10.1.2.0/24, 10.1.2.9, 0",
        // ranges that overlap without nesting
        "10.0.0.0-10.0.0.20 10.0.0.15-10.0.0.30, 10.0.0.14, 0",
        "10.0.0.0-10.0.0.20 10.0.0.15-10.0.0.30, 10.0.0.15, 1",
        "10.0.0.0-10.0.0.20 10.0.0.15-10.0.0.30, 10.0.0.20, 1",
        "10.0.0.0-10.0.0.20 10.0.0.15-10.0.0.90, 10.0.0.20, 0",
        "10.0.0.0-10.0.0.20 10.0.0.15-10.0.0.90, 10.0.0.21, 1",
        // the ends of the number lines
        "0.0.0.0/0, 0.0.0.0, 0",
        "0.0.0.0/0, 255.255.255.255, 0",
        "0.0.0.0/0, ::1, -1",
        "255.255.255.255 0.0.0.0, 255.255.255.255, 0",
        "255.255.255.255 0.0.0.0, 255.255.255.254, -1",
        "255.255.255.255 0.0.0.0, 0.0.0.0, 1",
        "127.255.255.255-128.0.0.0, 128.0.0.0, 0",
        "127.255.255.255-128.0.0.0, 128.0.0.1, -1",
        "::/0, ::, 0",
        "::/0, ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, 0",
        "::/0, 192.0.2.1, -1",
        "::/80, ::1, 0",
        "::/80, 192.0.2.1, -1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, 0",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe, -1",
        "7fff::/16 8000::/16, 8000::, 1",
        "7fff::/16 8000::/16, 7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, 0",
        // the /64 that James's NetMatcher widens to a /56
        "2001:db8:0:1::/64, 2001:db8:0:1:ffff::, 0",
        "2001:db8:0:1::/64, 2001:db8:0:2::, -1",
        "2001:db8:0:1::/64, 2001:db8::ffff, -1",
        "2001:db8::8000:0:0:0/65, 2001:db8::7fff:ffff:ffff:ffff, -1",
        "2001:db8::8000:0:0:0/65, 2001:db8::8000:0:0:0, 0",
        // IPv4-mapped is IPv4, on both sides
        "::ffff:192.0.2.0/120, 192.0.2.9, 0",
        "192.0.2.0/24, ::ffff:192.0.2.9, 0",
    })
    void findShouldTellTheNarrowestRange(String ranges, String address, int index) {
        IpRangeSet set = IpRangeSet.of(
                Arrays.stream(ranges.split(" ")).map(IpRange::parse).toList());

        assertThat(set.find(IpAddress.parse(address))).isEqualTo(index);
        assertThat(set.contains(IpAddress.parse(address))).isEqualTo(index >= 0);
    }

    @Test
    void rankShouldWinOverWidth() {
        IpRangeSet set = IpRangeSet.builder()
                .add(IpRange.parse("10.0.0.1"), -1)
                .add(IpRange.parse("10.0.0.0/8"))
                .add(IpRange.parse("10.0.0.0/16"), 7)
                .build();

        assertThat(set.find(IpAddress.parse("10.0.0.1"))).isEqualTo(2);
        assertThat(set.find(IpAddress.parse("10.1.0.1"))).isEqualTo(1);
    }

    @Test
    void listsShouldKeepTheirOrderAcrossFamilies() {
        IpRangeList list = IpRangeList.builder("block.txt")
                .add(IpRange.parse("2001:db8::/32"), 2)
                .add(IpRange.parse("192.0.2.0/24"), 5)
                .add(IpRange.parse("2001:db8:1::/48"), 9)
                .build();
        IpRangeSet set = IpRangeSet.builder()
                .add(IpRange.parse("198.51.100.0/24"))
                .addAll(list)
                .addAll(list)
                .add(IpRange.parse("203.0.113.0/24"))
                .build();

        assertThat(set.size()).isEqualTo(8);
        assertThat(set.find(IpAddress.parse("198.51.100.1"))).isEqualTo(0);
        assertThat(set.find(IpAddress.parse("2001:db8:2::1"))).isEqualTo(1);
        assertThat(set.find(IpAddress.parse("192.0.2.1"))).isEqualTo(2);
        assertThat(set.find(IpAddress.parse("2001:db8:1::1"))).isEqualTo(3);
        assertThat(set.find(IpAddress.parse("203.0.113.1"))).isEqualTo(7);
        assertThat(list.location(2)).hasToString("block.txt:9");
    }
}
