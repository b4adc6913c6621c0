/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

import org.apache.james.core.Domain;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.connection.ConnectionFilter.Action;
import dev.mailflow.policy.connection.ConnectionFilter.Entry;
import dev.mailflow.policy.domain.DomainPattern;

/** Section 2 of the mail-flow behaviour. */
class ConnectionFilterTest {
    private static final Instant NOW = Instant.parse("2026-11-23T12:00:00Z");

    /** {@code allow|block RANGE [except A,B] [sender D] [expires I] [disabled]}; line numbers count from 1. */
    private static Entry entry(String text, int line) {
        List<String> words = Arrays.asList(text.trim().split(" "));
        return new Entry(
                Action.valueOf(words.get(0).toUpperCase(java.util.Locale.ROOT)),
                IpRange.parse(words.get(1)),
                word(words, "except").stream()
                        .flatMap(list -> Arrays.stream(list.split(",")))
                        .map(IpRange::parse)
                        .toList(),
                word(words, "sender").map(DomainPattern::parse),
                word(words, "expires").map(Instant::parse),
                Optional.empty(),
                !words.contains("disabled"),
                new SourceLocation("mailflow.xml", line));
    }

    private static Optional<String> word(List<String> words, String key) {
        int at = words.indexOf(key);
        return at < 0 ? Optional.empty() : Optional.of(words.get(at + 1));
    }

    private static ConnectionFilter filter(String entries) {
        ConnectionFilter.Builder builder = ConnectionFilter.builder();
        int line = 1;
        for (String text : entries.split(";")) {
            builder.addEntry(entry(text, line++));
        }
        return builder.build();
    }

    private static Optional<Domain> domain(String sender) {
        return sender.equals("<>") ? Optional.empty() : Optional.of(Domain.of(sender));
    }

    @ParameterizedTest(name = "{0}: {1} from {2} is {3} by line {4}")
    @CsvSource({
        // an entry is for its addresses and for no other
        "block 203.0.113.0-203.0.113.40, 203.0.113.40, a.com, block, 1",
        "block 203.0.113.0-203.0.113.40, 203.0.113.41, a.com, none, 0",
        "allow 192.0.2.0/24, 192.0.2.255, a.com, allow, 1",
        "allow 192.0.2.0/24, ::ffff:192.0.2.255, a.com, allow, 1",
        "allow 2001:db8::/32, 2001:db8:ffff::1, <>, allow, 1",
        // allow beats block, whatever the widths and the order
        "block 192.0.2.1; allow 192.0.2.0/24, 192.0.2.1, a.com, allow, 2",
        "allow 192.0.2.0/24; block 192.0.2.1, 192.0.2.1, a.com, allow, 1",
        "allow 192.0.2.1; block 192.0.2.0/24, 192.0.2.2, a.com, block, 2",
        // the narrowest entry is named
        "allow 192.0.2.0/24; allow 192.0.2.0/28, 192.0.2.1, a.com, allow, 2",
        // except: as if the entry were not there
        "allow 198.51.100.0/24 except 198.51.100.66, 198.51.100.65, a.com, allow, 1",
        "allow 198.51.100.0/24 except 198.51.100.66, 198.51.100.66, a.com, none, 0",
        "allow 198.51.100.0/24 except 198.51.100.66; block 198.51.0.0/16, 198.51.100.66, a.com, block, 2",
        "allow 198.51.100.0/24 except 198.51.100.66; allow 198.51.0.0/16, 198.51.100.66, a.com, allow, 2",
        "'block 10.0.0.0/8 except 10.1.0.0/16,10.2.0.0/16', 10.2.255.255, a.com, none, 0",
        "'block 10.0.0.0/8 except 10.1.0.0/16,10.2.0.0/16', 10.3.0.0, a.com, block, 1",
        "block 10.0.0.0/8 except 0.0.0.0/0, 10.3.0.0, a.com, none, 0",
        // senderDomain: only that envelope sender, never the null sender
        "allow 192.0.2.0/24 sender fabrikam.com, 192.0.2.1, fabrikam.com, allow, 1",
        "allow 192.0.2.0/24 sender fabrikam.com, 192.0.2.1, FABRIKAM.com, allow, 1",
        "allow 192.0.2.0/24 sender fabrikam.com, 192.0.2.1, sales.fabrikam.com, none, 0",
        "allow 192.0.2.0/24 sender *.fabrikam.com, 192.0.2.1, sales.fabrikam.com, allow, 1",
        "allow 192.0.2.0/24 sender fabrikam.com, 192.0.2.1, contoso.com, none, 0",
        "allow 192.0.2.0/24 sender fabrikam.com, 192.0.2.1, <>, none, 0",
        "allow 192.0.2.0/24 sender *, 192.0.2.1, <>, none, 0",
        "allow 192.0.2.0/24 sender *, 192.0.2.1, contoso.com, allow, 1",
        "allow 192.0.2.0/24 sender fabrikam.com, 198.51.100.1, fabrikam.com, none, 0",
        // a narrower entry for another sender hides nothing
        "allow 192.0.2.1 sender a.com; allow 192.0.2.0/24 sender b.com, 192.0.2.1, b.com, allow, 2",
        "allow 192.0.2.0/24 sender fabrikam.com; allow 198.51.100.0/24 sender *.fabrikam.com, 198.51.100.1, fabrikam.com, allow, 2",
        "block 192.0.2.1 sender a.com; block 192.0.2.0/24, 192.0.2.1, b.com, block, 2",
        "block 192.0.2.0/24; allow 192.0.2.1 sender a.com, 192.0.2.1, a.com, allow, 2",
        "block 192.0.2.0/24; allow 192.0.2.1 sender a.com, 192.0.2.1, <>, block, 1",
        // expires: counts until then
        "allow 192.0.2.0/24 expires 2026-11-23T12:00:01Z, 192.0.2.1, a.com, allow, 1",
        "allow 192.0.2.0/24 expires 2026-11-23T12:00:00Z, 192.0.2.1, a.com, none, 0",
        "allow 192.0.2.0/24 expires 2020-01-01T00:00:00Z; block 192.0.0.0/16, 192.0.2.1, a.com, block, 2",
        // an expired entry hides no wider one, whether that one lasts for ever or not
        "block 192.0.2.1 expires 2020-01-01T00:00:00Z; block 192.0.2.0/24, 192.0.2.1, a.com, block, 2",
        "block 192.0.2.1 expires 2020-01-01T00:00:00Z; block 192.0.2.0/24 expires 2030-01-01T00:00:00Z, 192.0.2.1, a.com, block, 2",
        "block 192.0.2.0/24 expires 2020-01-01T00:00:00Z; block 192.0.2.1 expires 2030-01-01T00:00:00Z, 192.0.2.1, a.com, block, 2",
        "block 192.0.2.1 expires 2020-01-01T00:00:00Z; block 192.0.2.0/24 expires 2021-01-01T00:00:00Z, 192.0.2.1, a.com, none, 0",
        "allow 192.0.2.1 sender a.com expires 2020-01-01T00:00:00Z; allow 192.0.2.0/24 sender a.com, 192.0.2.1, a.com, allow, 2",
        // disabled: as if it were not there
        "allow 192.0.2.0/24 disabled, 192.0.2.1, a.com, none, 0",
        "allow 192.0.2.0/24 disabled; block 192.0.2.0/24, 192.0.2.1, a.com, block, 2",
    })
    void verdictShouldFollowTheBehaviour(String entries, String client, String sender, String kind, int line) {
        ConnectionVerdict verdict = filter(entries).verdict(IpAddress.parse(client), domain(sender), NOW);

        assertThat(verdict.kind()).hasToString(kind);
        assertThat(verdict.entry().map(SourceLocation::line).orElse(0)).isEqualTo(line);
    }

    @Test
    void reasonShouldNameTheEntryAndItsPlace() {
        Entry plain = entry("allow 198.51.100.0/24 except 198.51.100.66 sender fabrikam.com", 12);
        Entry commented = new Entry(
                plain.action(),
                plain.range(),
                plain.except(),
                plain.senderDomain(),
                plain.expires(),
                Optional.of("Fabrikam gateways"),
                true,
                plain.location());
        ConnectionFilter filter = ConnectionFilter.builder().addEntry(commented).build();

        assertThat(filter.verdict(IpAddress.parse("198.51.100.1"), domain("fabrikam.com"), NOW)
                        .reason())
                .isEqualTo(
                        "allow 198.51.100.0/24 for sender domain fabrikam.com \"Fabrikam gateways\" (mailflow.xml:12)");
        assertThat(filter.verdict(IpAddress.parse("198.51.100.66"), domain("fabrikam.com"), NOW)
                        .reason())
                .isEqualTo("no entry of the connection filter is for 198.51.100.66");
    }

    @Test
    void listLineShouldBeNamedWhenItDecides() {
        IpRangeList empty = IpRangeList.builder("empty.txt").build();
        IpRangeList first = IpRangeList.builder("first.txt")
                .add(IpRange.parse("203.0.113.0/24"), 1)
                .add(IpRange.parse("2001:db8::/32"), 4)
                .build();
        IpRangeList second = IpRangeList.builder("second.txt")
                .add(IpRange.parse("203.0.113.7"), 3)
                .build();
        ConnectionFilter filter = ConnectionFilter.builder()
                .addEntry(entry("block 192.0.2.0/24 expires 2030-01-01T00:00:00Z", 9))
                .addList(Action.BLOCK, empty)
                .addList(Action.BLOCK, first)
                .addList(Action.BLOCK, empty)
                .addList(Action.BLOCK, second)
                .addList(
                        Action.ALLOW,
                        IpRangeList.builder("allow.txt")
                                .add(IpRange.parse("203.0.113.9"), 2)
                                .build())
                .build();

        assertThat(reason(filter, "203.0.113.1")).isEqualTo("block list (first.txt:1)");
        assertThat(reason(filter, "2001:db8::1")).isEqualTo("block list (first.txt:4)");
        assertThat(reason(filter, "203.0.113.7")).isEqualTo("block list (second.txt:3)");
        assertThat(reason(filter, "203.0.113.9")).isEqualTo("allow list (allow.txt:2)");
        assertThat(reason(filter, "192.0.2.1")).isEqualTo("block 192.0.2.0/24 (mailflow.xml:9)");
        assertThat(filter.lists())
                .contains(new ConnectionFilter.FileList(Action.BLOCK, "first.txt", 2))
                .hasSize(5);
        assertThat(filter.entries()).hasSize(1);
    }

    private static String reason(ConnectionFilter filter, String client) {
        return filter.verdict(IpAddress.parse(client), Optional.empty(), NOW).reason();
    }

    @Test
    void listLineShouldStandInWhenNarrowerEntryHasExpired() {
        ConnectionFilter filter = ConnectionFilter.builder()
                .addEntry(entry("block 203.0.113.7 expires 2020-01-01T00:00:00Z", 9))
                .addList(
                        Action.BLOCK,
                        IpRangeList.builder("block.txt")
                                .add(IpRange.parse("203.0.113.0/24"), 1)
                                .build())
                .build();

        assertThat(reason(filter, "203.0.113.7")).isEqualTo("block list (block.txt:1)");
    }

    @Test
    void filterWithoutEntriesShouldListNobody() {
        assertThat(ConnectionFilter.none()
                        .verdict(IpAddress.parse("192.0.2.1"), domain("a.com"), NOW)
                        .kind())
                .isEqualTo(ConnectionVerdict.Kind.NONE);
    }

    @Test
    void refusalShouldBeTheReplyOfTheBehaviour() {
        assertThat(ConnectionFilter.refusal(IpAddress.parse("::ffff:203.0.113.7")))
                .hasToString("550 5.7.1 Service unavailable, client host [203.0.113.7] blocked by connection filter");
    }

    @ParameterizedTest
    @CsvSource({"ALLOW, CAL", "NONE, NLI"})
    void verdictShouldHaveItsExchangeName(ConnectionVerdict.Kind kind, String ipv) {
        assertThat(kind.ipv()).isEqualTo(ipv);
    }
}
