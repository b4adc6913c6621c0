/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.testing.PolicyXml;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

class AddressRewritingProperties {

    /** Entries over few names, so that they meet: chains, same sides, suffixes and exceptions. */
    @Provide
    Arbitrary<List<String>> entries() {
        Arbitrary<String> domain =
                Arbitraries.of("a.example", "b.example", "x.a.example", "y.x.a.example", "c.example");
        Arbitrary<String> local = Arbitraries.of("joe", "ann", "Bob");
        Arbitrary<String> mailbox = Combinators.combine(local, domain).as((l, d) -> l + "@" + d);
        Arbitrary<String> only = Arbitraries.of("true", "false");
        Arbitrary<String> mailboxes = Combinators.combine(mailbox, mailbox, only)
                .as((i, e, o) -> "<entry internal='" + i + "' external='" + e + "' outboundOnly='" + o + "'/>");
        Arbitrary<String> domains = Combinators.combine(domain, domain, only)
                .as((i, e, o) -> "<entry internal='" + i + "' external='" + e + "' outboundOnly='" + o + "'/>");
        Arbitrary<String> flat = Combinators.combine(domain, domain, domain)
                .as((i, e, x) -> "<entry internal='*." + i + "' external='" + e + "' exceptions='" + x + "'/>");
        return Arbitraries.oneOf(mailboxes, domains, flat).list().ofMaxSize(8);
    }

    @Provide
    Arbitrary<String> address() {
        return Combinators.combine(
                        Arbitraries.of("joe", "JOE", "ann", "bob", "eve+tag", "\"joe\"", "\"a b\""),
                        Arbitraries.of(
                                "a.example",
                                "b.example",
                                "X.a.example",
                                "z.y.x.a.example",
                                "c.example",
                                "other.example"))
                .as((local, domain) -> local + "@" + domain);
    }

    private static MailFlowPolicy policy(List<String> entries) {
        return PolicyXml.policy("<acceptedDomains><domain>*.example</domain></acceptedDomains><addressRewrite>"
                + String.join("", entries) + "</addressRewrite>");
    }

    @Property(tries = 500)
    void secondPassShouldChangeNothing(@ForAll("entries") List<String> entries, @ForAll Direction direction)
            throws Exception {
        AddressRewriter rewriter = new AddressRewriter(policy(entries), direction);
        for (String local : List.of("joe", "ann", "bob", "eve")) {
            for (String domain : List.of("a.example", "b.example", "x.a.example", "y.x.a.example", "c.example")) {
                Rewrite first = rewriter.rewrite(new MailAddress(local + "@" + domain), Set.of());
                if (first instanceof Rewrite.Changed changed) {
                    Set<String> settled = rewriter.settled(List.of(changed));

                    assertThat(rewriter.rewrite(new MailAddress(first.after()), settled))
                            .as("%s by %s", first, entries)
                            .isInstanceOf(Rewrite.Unchanged.class);
                }
            }
        }
    }

    @Property(tries = 500)
    void replyShouldComeHomeForEveryBidirectionalEntryThatNoOtherContradicts(
            @ForAll("entries") List<String> entries, @ForAll("address") String address) throws Exception {
        MailFlowPolicy policy = policy(entries);
        AddressRewriteTable table = policy.addressRewrite();
        MailAddress internal = new MailAddress(address);
        Rewrite out = table.rewrite(internal, Direction.OUTBOUND);
        if (!(out instanceof Rewrite.Changed changed) || changed.entry().outboundOnly()) {
            return;
        }

        Rewrite home = table.rewrite(new MailAddress(out.after()), Direction.INBOUND);

        // another entry may have claimed the external side first, or a mailbox of it: check reports the first
        boolean contradicted =
                !(home instanceof Rewrite.Changed back) || !back.entry().equals(changed.entry());
        if (contradicted) {
            String external = unquoted(new MailAddress(out.after())).asString();
            assertThat(claims(table, external)).hasSizeGreaterThan(1);
        } else {
            assertThat(unquoted(new MailAddress(home.after()))).isEqualTo(unquoted(internal));
        }
    }

    private static MailAddress unquoted(MailAddress address) throws Exception {
        return new MailAddress(address.asString().replace("\"joe\"", "joe"));
    }

    private static List<AddressRewriteEntry> claims(AddressRewriteTable table, String external) {
        List<AddressRewriteEntry> claims = new ArrayList<>();
        table.forEach(entry -> {
            String side = entry.external().toString();
            if (!entry.outboundOnly()
                    && (external.equalsIgnoreCase(side)
                            || external.toLowerCase(java.util.Locale.ROOT).endsWith("@" + side))) {
                claims.add(entry);
            }
        });
        return claims;
    }

    @Property(tries = 300)
    void tableShouldAgreeWithAPlainReadingOfTheRules(
            @ForAll("entries") List<String> entries, @ForAll("address") String address) throws Exception {
        AddressRewriteTable table = policy(entries).addressRewrite();
        MailAddress asked = new MailAddress(address);

        assertThat(table.rewrite(asked, Direction.OUTBOUND).after()).isEqualTo(plainly(table, asked));
    }

    private static String plainly(AddressRewriteTable table, MailAddress address) {
        String local = LocalPart.folded(address.getLocalPart());
        String domain = address.getDomain().asString();
        Map<Integer, AddressRewriteEntry> byCloseness = new LinkedHashMap<>();
        table.forEach(entry -> {
            RewriteSide side = entry.internal();
            boolean names = side.domain().matches(domain)
                    && side.localPart()
                            .map(l -> LocalPart.folded(l).equals(local))
                            .orElse(true);
            int closeness = side.kind() == RewriteSide.Kind.MAILBOX
                    ? Integer.MAX_VALUE
                    : side.kind() == RewriteSide.Kind.DOMAIN
                            ? Integer.MAX_VALUE - 1
                            : side.domain().name().length();
            if (names) {
                byCloseness.putIfAbsent(closeness, entry);
            }
        });
        return byCloseness.entrySet().stream()
                .max(Map.Entry.comparingByKey())
                .map(Map.Entry::getValue)
                .filter(entry -> entry.exceptions().stream().noneMatch(exception -> exception.matches(domain)))
                .map(AddressRewriteEntry::external)
                .filter(side -> !(side.domain().name().equals(domain)
                        && side.localPart()
                                .map(l -> LocalPart.folded(l).equals(local))
                                .orElse(true)))
                .map(side -> side.localPart().orElse(address.getLocalPart()) + "@"
                        + side.domain().name())
                .orElse(address.asString());
    }

    @Provide
    Arbitrary<String> headerBlocks() {
        Arbitrary<String> pieces = Arbitraries.of(
                "From: ",
                "To: ",
                "Cc:",
                "Reply-To:",
                "Sender",
                "\r\n",
                "\n",
                "\r",
                " ",
                "\t",
                "\r\n ",
                "joe@contoso.com",
                "ann@contoso.com",
                "ann@x.contoso.com",
                "contoso.com",
                "@",
                "<",
                ">",
                ",",
                ";",
                ":",
                "(",
                ")",
                "\"",
                "\\",
                "[",
                "]",
                ".",
                "\u00E9",
                "\u00C3\u00A9",
                "\u0000",
                "=?utf-8?Q?a,b?=",
                "Joe",
                "DKIM-Signature: ",
                "d=contoso.com;",
                "h=from;",
                "X-Other: joe@contoso.com\r\n");
        return Arbitraries.frequencyOf(
                        net.jqwik.api.Tuple.of(20, pieces),
                        net.jqwik.api.Tuple.of(
                                1, Arbitraries.chars().range('\u0000', '\u00FF').map(String::valueOf)))
                .list()
                .ofMaxSize(40)
                .map(list -> String.join("", list));
    }

    @Property(tries = 5_000)
    void anyHeaderBlockShouldKeepEverythingButAddressesAndChangeNoMoreInASecondPass(
            @ForAll("headerBlocks") String block, @ForAll Direction direction) {
        assertThatOnlyAddressesChangeAndOnlyOnce(HeaderRewritingTest.section(block), direction);
    }

    /** What holds for any bytes a stranger may send for a header. */
    static void assertThatOnlyAddressesChangeAndOnlyOnce(HeaderSection before, Direction direction) {
        AddressRewriter rewriter = new AddressRewriter(HeaderRewritingTest.POLICY, direction);

        RewrittenHeader after = rewriter.rewrite(before, Set.of());

        Set<Rewrite.Changed> rewrites = after.changes().stream()
                .flatMap(change -> change.rewrites().stream())
                .collect(Collectors.toSet());
        List<HeaderField> rest = new ArrayList<>(after.section().fields());
        for (HeaderField field : before.fields()) {
            if (!rest.isEmpty() && rest.get(0).raw().equals(field.raw())) {
                rest.remove(0);
            } else if (field.name().equalsIgnoreCase("DKIM-Signature")) {
                assertThat(after.removedSignatures()).isNotEmpty();
            } else {
                assertThat(RewrittenFields.defaults(direction).contains(field.name()))
                        .as(field.name())
                        .isTrue();
                assertThat(outside(rest.remove(0).raw())).isEqualTo(outside(field.raw()));
            }
        }
        assertThat(rest).isEmpty();
        assertThat(after.section().end()).isEqualTo(before.end());
        RewrittenHeader again = rewriter.rewrite(after.section(), rewriter.settled(rewrites));
        assertThat(again.section().bytes())
                .asString(StandardCharsets.ISO_8859_1)
                .isEqualTo(HeaderRewritingTest.text(after.section()));
    }

    /** A field without the words of its addresses: what rewriting may not touch. */
    private static String outside(String raw) {
        AddressList.Outcome outcome = AddressList.read(raw, raw.indexOf(':') + 1);
        assertThat(outcome).isInstanceOf(AddressList.Addresses.class);
        StringBuilder outside = new StringBuilder();
        int done = 0;
        for (AddressList.Address address : ((AddressList.Addresses) outcome).all()) {
            outside.append(raw, done, address.localStart());
            space(outside, raw, address.localStart(), address.localEnd());
            outside.append(raw, address.localEnd(), address.domainStart());
            space(outside, raw, address.domainStart(), address.domainEnd());
            done = address.domainEnd();
        }
        return outside.append(raw, done, raw.length()).toString();
    }

    private static void space(StringBuilder outside, String raw, int start, int end) {
        int i = start;
        while (i < end) {
            int word = AddressList.afterSpace(raw, i, end);
            outside.append(raw, i, word);
            i = word < end ? AddressList.afterWord(raw, word, end) : end;
        }
    }
}
