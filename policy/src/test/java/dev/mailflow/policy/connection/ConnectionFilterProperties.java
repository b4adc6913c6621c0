/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.List;
import java.util.Optional;

import org.apache.james.core.Domain;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.connection.ConnectionFilter.Action;
import dev.mailflow.policy.connection.ConnectionFilter.Entry;
import dev.mailflow.policy.domain.DomainPattern;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** The compiled filter against a scan of its entries, one after the other, as the behaviour reads. */
class ConnectionFilterProperties {
    private static final Instant NOW = Instant.parse("2026-11-23T12:00:00Z");

    @Property(tries = 2000)
    void verdictShouldAgreeWithScan(
            @ForAll("entryLists") List<Entry> entries,
            @ForAll("addresses") IpAddress client,
            @ForAll("senders") Optional<Domain> sender) {
        ConnectionFilter.Builder builder = ConnectionFilter.builder();
        entries.forEach(builder::addEntry);

        ConnectionVerdict verdict = builder.build().verdict(client, sender, NOW);

        assertThat(verdict.kind())
                .describedAs("%s from %s: %s", client, sender, entries)
                .isEqualTo(scan(entries, client, sender));
    }

    private static ConnectionVerdict.Kind scan(List<Entry> entries, IpAddress client, Optional<Domain> sender) {
        if (entries.stream().anyMatch(entry -> entry.action() == Action.ALLOW && counts(entry, client, sender))) {
            return ConnectionVerdict.Kind.ALLOW;
        }
        return entries.stream().anyMatch(entry -> counts(entry, client, sender))
                ? ConnectionVerdict.Kind.BLOCK
                : ConnectionVerdict.Kind.NONE;
    }

    private static boolean counts(Entry entry, IpAddress client, Optional<Domain> sender) {
        return entry.enabled()
                && entry.range().contains(client)
                && entry.except().stream().noneMatch(range -> range.contains(client))
                && entry.expires().map(expiry -> expiry.isAfter(NOW)).orElse(true)
                && entry.senderDomain()
                        .map(pattern -> sender.filter(pattern::matches).isPresent())
                        .orElse(true);
    }

    @Provide
    Arbitrary<List<Entry>> entryLists() {
        return Combinators.combine(
                        Arbitraries.of(Action.class),
                        ranges(),
                        ranges().list().ofMaxSize(3),
                        Arbitraries.of("fabrikam.com", "*.fabrikam.com", "*.com", "*")
                                .map(DomainPattern::parse)
                                .optional(0.4),
                        Arbitraries.integers()
                                .between(-3, 3)
                                .map(seconds -> NOW.plusNanos(seconds))
                                .optional(0.5),
                        Arbitraries.of(true, true, true, false))
                .as((action, range, except, sender, expires, enabled) -> new Entry(
                        action, range, except, sender, expires, Optional.empty(), enabled, SourceLocation.NONE))
                .list()
                .ofMaxSize(12);
    }

    private static Arbitrary<IpRange> ranges() {
        return Combinators.combine(addressesIn16(), Arbitraries.integers().between(26, 32))
                .as((address, prefix) ->
                        IpRange.parse(address + "/" + (address.isIpv4() ? prefix : prefix + IpAddress.MAPPED_BITS)));
    }

    @Provide
    Arbitrary<IpAddress> addresses() {
        return addressesIn16();
    }

    private static Arbitrary<IpAddress> addressesIn16() {
        return Combinators.combine(
                        Arbitraries.of("192.0.2.", "2001:db8::"),
                        Arbitraries.integers().between(0, 15))
                .as((network, host) -> IpAddress.parse(network + host));
    }

    @Provide
    Arbitrary<Optional<Domain>> senders() {
        return Arbitraries.of("fabrikam.com", "sales.fabrikam.com", "contoso.com", "northwind.org")
                .map(Domain::of)
                .optional(0.8);
    }
}
