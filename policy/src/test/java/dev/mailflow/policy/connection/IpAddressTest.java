/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.InetAddress;
import java.net.UnknownHostException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class IpAddressTest {

    @ParameterizedTest
    @CsvSource({
        "0.0.0.0, 0.0.0.0",
        "255.255.255.255, 255.255.255.255",
        "192.0.2.1, 192.0.2.1",
        "' 192.0.2.1 ', 192.0.2.1",
        "::ffff:192.0.2.1, 192.0.2.1",
        "::FFFF:c000:0201, 192.0.2.1",
        "0:0:0:0:0:ffff:192.0.2.1, 192.0.2.1",
        "::, ::",
        "::1, ::1",
        "1::, 1::",
        "2001:DB8::1, 2001:db8::1",
        "2001:0db8:0000:0000:0000:0000:0002:0001, 2001:db8::2:1",
        // RFC 5952: the longest run, the first of equal ones, never a single group
        "2001:db8:0:1:1:1:1:1, 2001:db8:0:1:1:1:1:1",
        "2001:0:0:1:0:0:0:1, 2001:0:0:1::1",
        "2001:db8:0:0:1:0:0:1, 2001:db8::1:0:0:1",
        "1:2:3:4:5:6:7::, 1:2:3:4:5:6:7:0",
        "::2:3:4:5:6:7:8, 0:2:3:4:5:6:7:8",
        "1:0:0:4:5:6:0:0, 1::4:5:6:0:0",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "64:ff9b::192.0.2.33, 64:ff9b::c000:221",
    })
    void parseShouldReadAndToStringShouldBeCanonical(String text, String canonical) {
        assertThat(IpAddress.parse(text)).hasToString(canonical);
        assertThat(IpAddress.parse(canonical)).isEqualTo(IpAddress.parse(text));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                ".",
                ":",
                ":::",
                "1",
                "1.2.3",
                "1.2.3.4.5",
                "256.1.1.1",
                "1.2.3.1000",
                "1..2.3",
                "1.2.3.",
                ".1.2.3",
                "010.1.1.1",
                "1.2.3.00",
                "1.2.3.4 5",
                "0x7f.0.0.1",
                "localhost",
                "mail.contoso.com",
                "1.2.3.-4",
                "+1.2.3.4",
                "1:2:3:4:5:6:7",
                "1:2:3:4:5:6:7:8:9",
                "1:2:3:4:5:6:7:8::",
                "::1:2:3:4:5:6:7:8",
                "1::2::3",
                "12345::",
                "g::",
                ":1::",
                "1::2:",
                "1:2:3:4:5:6:7:",
                "::1.2.3",
                "::1.2.3.256",
                "1:2:3:4:5:6:7:1.2.3.4",
                "::1.2.3.4:5",
                "fe80::1%eth0",
                "[::1]",
                "::1/128",
                "\u0661.2.3.4",
                "::\uff11"
            })
    void parseShouldSayWhatIsValidWhenTextIsNoLiteral(String text) {
        assertThatThrownBy(() -> IpAddress.parse(text))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("found '" + text + "', expected ")
                .hasMessageContaining("192.0.2.1")
                .hasMessageContaining("2001:db8::1");
    }

    @ParameterizedTest
    @ValueSource(strings = {"192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "::1", "ffff::ffff"})
    void ofShouldAgreeWithTheJdk(String text) throws UnknownHostException {
        InetAddress jdk = InetAddress.getByName(text);

        assertThat(IpAddress.of(jdk)).isEqualTo(IpAddress.parse(text));
        assertThat(IpAddress.parse(text).toInetAddress()).isEqualTo(jdk);
    }

    @Test
    void mappedAddressShouldBeTheIpv4Address() {
        IpAddress mapped = IpAddress.parse("::ffff:198.51.100.7");

        assertThat(mapped).isEqualTo(IpAddress.parse("198.51.100.7"));
        assertThat(mapped.isIpv4()).isTrue();
        assertThat(IpAddress.parse("::198.51.100.7").isIpv4()).isFalse();
        assertThat(IpAddress.parse("::1:ffff:198.51.100.7").isIpv4()).isFalse();
    }

    @Test
    void orderShouldBeUnsigned() {
        assertThat(IpAddress.parse("127.255.255.255")).isLessThan(IpAddress.parse("128.0.0.0"));
        assertThat(IpAddress.parse("7fff::")).isLessThan(IpAddress.parse("8000::"));
        assertThat(IpAddress.parse("1::7fff:0:0:0")).isLessThan(IpAddress.parse("1::8000:0:0:0"));
        assertThat(IpAddress.parse("1::ffff:ffff:ffff:ffff")).isLessThan(IpAddress.parse("1:0:0:1::"));
    }
}
