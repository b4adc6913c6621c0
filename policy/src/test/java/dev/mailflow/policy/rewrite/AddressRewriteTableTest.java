/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.domain.DomainPattern;

class AddressRewriteTableTest {
    private static final AddressRewriteTable TABLE = AddressRewriteTable.of(List.of(
            entry("joe@contoso.com", "support@northwind.com", false),
            entry("sue@contoso.com", "Help.Desk@northwind.com", true),
            entry("contoso.com", "northwind.com", false),
            entry("*.contoso.com", "contoso.com", true, "legal.contoso.com", "*.lab.contoso.com"),
            entry("*.eu.contoso.com", "europe.northwind.com", true, "it.eu.contoso.com"),
            entry("ann@legal.contoso.com", "ann@law.example", false),
            entry("mx.legal.contoso.com", "law.example", false),
            entry("münchen.contoso.com", "münchen.example", false),
            entry("jörg@contoso.com", "Jürgen@northwind.com", false),
            entry("\"o'neil\"@contoso.com", "oneil@northwind.com", false)));

    private static AddressRewriteEntry entry(
            String internal, String external, boolean outboundOnly, String... exceptions) {
        return new AddressRewriteEntry(
                RewriteSide.parse(internal),
                RewriteSide.parse(external),
                outboundOnly,
                List.of(exceptions).stream().map(DomainPattern::parse).toList(),
                SourceLocation.NONE);
    }

    private static String rewritten(String address, Direction direction) {
        int at = address.lastIndexOf('@');
        return TABLE.rewrite(address.substring(0, at), address.substring(at + 1), direction)
                .after();
    }

    @ParameterizedTest(name = "{0}: {1} -> {2}: {3}")
    @CsvSource(
            quoteCharacter = '`',
            value = {
                // direction, before, after, why
                "OUTBOUND, joe@contoso.com,            support@northwind.com,       mailbox beats domain",
                "OUTBOUND, JOE@Contoso.COM,            support@northwind.com,       case does not count",
                "OUTBOUND, sue@contoso.com,            Help.Desk@northwind.com,     case as the administrator wrote it",
                "OUTBOUND, joe+tag@contoso.com,        joe+tag@northwind.com,       a tag makes another mailbox",
                "OUTBOUND, Bob.B@contoso.com,          Bob.B@northwind.com,         exact domain beats the suffix",
                "OUTBOUND, bob@sales.contoso.com,      bob@contoso.com,             flattening; once and not twice",
                "OUTBOUND, bob@a.b.sales.contoso.com,  bob@contoso.com,             every depth",
                "OUTBOUND, bob@eu.contoso.com,         bob@europe.northwind.com,    longest suffix; apex",
                "OUTBOUND, bob@fr.eu.contoso.com,      bob@europe.northwind.com,    longest suffix; subdomain",
                "OUTBOUND, bob@it.eu.contoso.com,      bob@it.eu.contoso.com,       exception of the longest suffix",
                "OUTBOUND, bob@legal.contoso.com,      bob@legal.contoso.com,       exception",
                "OUTBOUND, bob@x.legal.contoso.com,    bob@contoso.com,             exception names that domain alone",
                "OUTBOUND, bob@lab.contoso.com,        bob@lab.contoso.com,         exception with subdomains; apex",
                "OUTBOUND, bob@x.lab.contoso.com,      bob@x.lab.contoso.com,       exception with subdomains",
                "OUTBOUND, ann@legal.contoso.com,      ann@law.example,             mailbox in an excepted domain",
                "OUTBOUND, bob@mx.legal.contoso.com,   bob@law.example,             exact domain beats the suffix",
                "OUTBOUND, bob@xcontoso.com,           bob@xcontoso.com,            no label border",
                "OUTBOUND, bob@northwind.com,          bob@northwind.com,           an external address is no internal one",
                "OUTBOUND, bob@münchen.contoso.com,    bob@xn--mnchen-3ya.example,  IDN in U-labels",
                "OUTBOUND, bob@xn--mnchen-3ya.contoso.com, bob@xn--mnchen-3ya.example, IDN in A-labels",
                "OUTBOUND, JÖRG@contoso.com,           Jürgen@northwind.com,        SMTPUTF8 without case",
                "OUTBOUND, O'Neil@contoso.com,         oneil@northwind.com,         needless quotes in the entry",
                "OUTBOUND, \"joe\"@contoso.com,        support@northwind.com,       needless quotes in the address",
                "OUTBOUND, \"j\\oe\"@contoso.com,      support@northwind.com,       quoted pair",
                "OUTBOUND, \"a@b\"@contoso.com,        \"a@b\"@northwind.com,       quotes stay",
                "INBOUND,  support@northwind.com,      joe@contoso.com,             mailbox beats domain",
                "INBOUND,  SUPPORT@NORTHWIND.COM,      joe@contoso.com,             case does not count",
                "INBOUND,  help.desk@northwind.com,    help.desk@contoso.com,       outbound only falls to the domain",
                "INBOUND,  bob@northwind.com,          bob@contoso.com,             domain",
                "INBOUND,  bob@contoso.com,            bob@contoso.com,             flattening is outbound only",
                "INBOUND,  bob@europe.northwind.com,   bob@europe.northwind.com,    domain is that domain alone",
                "INBOUND,  ann@law.example,            ann@legal.contoso.com,       mailbox beats domain",
                "INBOUND,  bob@law.example,            bob@mx.legal.contoso.com,    domain",
                "INBOUND,  bob@münchen.example,        bob@xn--mnchen-3ya.contoso.com, IDN",
                "INBOUND,  jürgen@northwind.com,       jörg@contoso.com,            SMTPUTF8",
                "INBOUND,  oneil@northwind.com,        o'neil@contoso.com,          written without needless quotes",
            })
    void addressShouldBeRewrittenByTheClosestEntryWhenSeveralNameIt(
            Direction direction, String before, String after, String why) {
        assertThat(rewritten(before, direction)).as(why).isEqualTo(after);
    }

    @Test
    void rewriteShouldNameTheEntryThatWon() {
        assertThat(TABLE.rewrite("bob", "x.contoso.com", Direction.OUTBOUND).reason())
                .isEqualTo(
                        "bob@x.contoso.com is rewritten to bob@contoso.com by entry *.contoso.com -> contoso.com except"
                                + " legal.contoso.com, *.lab.contoso.com ((built in))");
        assertThat(TABLE.rewrite("bob", "legal.contoso.com", Direction.OUTBOUND).reason())
                .startsWith("an exception of entry *.contoso.com -> contoso.com");
        assertThat(TABLE.rewrite("bob", "example.org", Direction.OUTBOUND).reason())
                .isEqualTo("no entry names it");
    }

    @Test
    void firstEntryShouldWinWhenTwoSayTheSameSide() {
        AddressRewriteTable table = AddressRewriteTable.of(
                List.of(entry("a@x.example", "b@y.example", false), entry("A@x.example", "B@y.example", false)));

        assertThat(table.rewrite("a", "x.example", Direction.OUTBOUND).after()).isEqualTo("b@y.example");
        assertThat(table.sameInternal()).hasSize(1);
        assertThat(table.sameExternal()).hasSize(1);
    }

    @Test
    void emptyTableShouldChangeNothing() {
        assertThat(AddressRewriteTable.none()
                        .rewrite("a", "b.example", Direction.OUTBOUND)
                        .after())
                .isEqualTo("a@b.example");
    }

    @Test
    void domainOfManyLabelsShouldNotBeLookedUpLabelByLabel() {
        String labels = "a.".repeat(200_000) + "contoso.com";

        assertThat(TABLE.rewrite("a", labels, Direction.OUTBOUND)).isInstanceOf(Rewrite.Unchanged.class);
    }
}
