/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class IpRangeTest {

    @ParameterizedTest
    @CsvSource({
        "192.0.2.1, 192.0.2.1, 192.0.2.1, 192.0.2.1",
        "192.0.2.0/24, 192.0.2.0, 192.0.2.255, 192.0.2.0/24",
        "192.0.2.77/24, 192.0.2.0, 192.0.2.255, 192.0.2.0/24",
        "0.0.0.0/0, 0.0.0.0, 255.255.255.255, 0.0.0.0/0",
        "192.0.2.1/32, 192.0.2.1, 192.0.2.1, 192.0.2.1",
        "192.0.2.1/31, 192.0.2.0, 192.0.2.1, 192.0.2.0/31",
        "128.0.0.0/1, 128.0.0.0, 255.255.255.255, 128.0.0.0/1",
        "203.0.113.0-203.0.113.40, 203.0.113.0, 203.0.113.40, 203.0.113.0-203.0.113.40",
        "203.0.113.0 - 203.0.113.255, 203.0.113.0, 203.0.113.255, 203.0.113.0/24",
        "2001:db8::/32, 2001:db8::, 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff, 2001:db8::/32",
        "2001:db8::/63, 2001:db8::, 2001:db8:0:1:ffff:ffff:ffff:ffff, 2001:db8::/63",
        "2001:db8::/64, 2001:db8::, 2001:db8::ffff:ffff:ffff:ffff, 2001:db8::/64",
        "2001:db8::/65, 2001:db8::, 2001:db8::7fff:ffff:ffff:ffff, 2001:db8::/65",
        "2001:db8::3/127, 2001:db8::2, 2001:db8::3, 2001:db8::2/127",
        "::1/128, ::1, ::1, ::1",
        "::/0, ::, ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, ::/0",
        "::/80, ::, 255.255.255.255, ::/80",
        "::ffff:192.0.2.0/120, 192.0.2.0, 192.0.2.255, 192.0.2.0/24",
        "::ffff:0.0.0.0/96, 0.0.0.0, 255.255.255.255, 0.0.0.0/0",
        "2001:db8::1-2001:db8::9, 2001:db8::1, 2001:db8::9, 2001:db8::1-2001:db8::9",
    })
    void parseShouldReadEveryForm(String text, String first, String last, String canonical) {
        IpRange range = IpRange.parse(text);

        assertThat(range.first()).hasToString(first);
        assertThat(range.last()).hasToString(last);
        assertThat(range).hasToString(canonical);
        assertThat(range.contains(range.first())).isTrue();
    }

    @ParameterizedTest
    @CsvSource({
        "192.0.2.0/33, prefix length from /0 to /32",
        "192.0.2.0/, prefix length from /0 to /32",
        "192.0.2.0/-1, prefix length from /0 to /32",
        "192.0.2.0/255.255.255.0, prefix length from /0 to /32",
        "2001:db8::/129, prefix length from /0 to /128",
        "2001:db8::/1x, prefix length from /0 to /128",
        "192.0.2/24, an address ('192.0.2.1')",
        "contoso.com, an address ('192.0.2.1')",
        "192.0.2.9-192.0.2.1, '192.0.2.1-192.0.2.9'",
        "192.0.2.1-2001:db8::1, of one family",
        "::1-192.0.2.1, of one family",
        "192.0.2.1-, an address ('192.0.2.1')",
        "192.0.2.1-5, an address ('192.0.2.1')",
    })
    void parseShouldSayWhatIsFoundAndExpectedWhenTextIsNoRange(String text, String expected) {
        assertThatThrownBy(() -> IpRange.parse(text))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("found '" + text.trim() + "'")
                .hasMessageContaining(expected);
    }

    @Test
    void ipv6RangeShouldNotContainIpv4Client() {
        assertThat(IpRange.parse("::/0").contains(IpAddress.parse("192.0.2.1"))).isFalse();
        assertThat(IpRange.parse("0.0.0.0/0").contains(IpAddress.parse("::ffff:192.0.2.1")))
                .isTrue();
        assertThat(IpRange.parse("0.0.0.0/0").contains(IpAddress.parse("2001:db8::1")))
                .isFalse();
    }

    @ParameterizedTest
    @CsvSource({
        "198.51.100.0/24, 198.51.100.66, 198.51.100.0-198.51.100.65 198.51.100.67-198.51.100.255",
        "198.51.100.0/24, 198.51.100.0/25, 198.51.100.128/25",
        "198.51.100.0/24, 198.51.100.128/25, 198.51.100.0/25",
        "198.51.100.0/24, 198.51.0.0/16, ''",
        "198.51.100.0/24, 203.0.113.0/24, 198.51.100.0/24",
        "198.51.100.0/24, 2001:db8::/32, 198.51.100.0/24",
        "198.51.100.0/29, 198.51.100.4 198.51.100.1-198.51.100.2 198.51.100.2-198.51.100.3, "
                + "198.51.100.0 198.51.100.5-198.51.100.7",
        "0.0.0.0/0, 0.0.0.0 255.255.255.255, 0.0.0.1-255.255.255.254",
        "::/0, ::/1, 8000::/1",
        "::/0, 8000::/1, ::/1",
        "::/0, ::-::fffe:ffff:ffff, ::1:0:0:0-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    })
    void withoutShouldCutTheHolesOut(String range, String holes, String left) {
        assertThat(IpRange.parse(range).without(ranges(holes))).isEqualTo(ranges(left));
    }

    private static List<IpRange> ranges(String text) {
        return text.isEmpty()
                ? List.of()
                : Arrays.stream(text.split(" ")).map(IpRange::parse).toList();
    }
}
