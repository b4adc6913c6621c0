/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import org.junit.jupiter.api.Test;

import dev.mailflow.cli.hybrid.SpfTerms.Term;

class SpfTermsTest {
    private static SpfTerms of(String record, Map<String, String> others) {
        return SpfTerms.of(
                "contoso.com",
                record,
                name -> others.containsKey(name) ? List.of("some other text", others.get(name)) : List.of());
    }

    @Test
    void mechanismsThatPassShouldComeFromEveryRecordThatIsIncluded() {
        SpfTerms terms = of(
                "v=spf1 +A include:one.test ~ip4:192.0.2.9 -all",
                Map.of("one.test", "V=SPF1 ip4:192.0.2.0/28 include:two.test ?all", "two.test", "v=spf1 mx -all"));

        assertThat(terms.error()).isEmpty();
        assertThat(terms.terms())
                .containsExactly(
                        new Term("contoso.com", "a"),
                        new Term("contoso.com", "include:one.test"),
                        new Term("one.test", "ip4:192.0.2.0/28"),
                        new Term("one.test", "include:two.test"),
                        new Term("two.test", "mx"));
    }

    @Test
    void redirectShouldCountOnlyWithoutAll() {
        Map<String, String> others = Map.of("one.test", "v=spf1 a:mail.test -all");

        assertThat(of("v=spf1 redirect=one.test", others).has("a:mail.test")).isTrue();
        assertThat(of("v=spf1 redirect=one.test -all", others).has("a:mail.test"))
                .isFalse();
    }

    @Test
    void includeThatMayNotPassShouldNotCount() {
        assertThat(of("v=spf1 -include:one.test ?all", Map.of("one.test", "v=spf1 a:mail.test"))
                        .has("a:mail.test"))
                .isFalse();
    }

    @Test
    void tenLookUpsShouldBeTheMost() {
        Map<String, String> others = IntStream.range(0, 12)
                .boxed()
                .collect(Collectors.toMap(i -> i + ".test", i -> "v=spf1 include:" + (i + 1) + ".test"));

        assertThat(of(
                                "v=spf1 a mx a:1.test a:2.test a:3.test mx:4.test a:5.test a:6.test a:7.test a:8.test -all",
                                others)
                        .error())
                .isEmpty();
        assertThat(of("v=spf1 include:0.test", others).error())
                .hasValueSatisfying(error -> assertThat(error).contains("more than 10 look-ups"));
        assertThat(of("v=spf1 include:loop.test", Map.of("loop.test", "v=spf1 include:loop.test"))
                        .error())
                .hasValueSatisfying(error -> assertThat(error).contains("more than 10 look-ups"));
    }

    @Test
    void includeOfADomainWithoutRecordShouldBeAnError() {
        assertThat(of("v=spf1 include:nobody.test -all", Map.of()).error())
                .hasValueSatisfying(error -> assertThat(error)
                        .contains("'include:nobody.test' of contoso.com to 0 SPF records, expected one"));
    }
}
