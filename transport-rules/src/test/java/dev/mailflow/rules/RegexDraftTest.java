/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;

import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.rule.RuleAction;

/** The match type :regex, draft-murchison-sieve-regex. */
class RegexDraftTest {
    @DisplayName("section 3: expressions")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "^Hello$ | true",
                "ell | true",
                "^ell | false",
                "H[a-e]l{2}o | true",
                "'^(Hi|Hello)$' | true",
                "h.llo | true",
                "^[[:alpha:]]+$ | true",
                "^[^[:lower:]]+$ | false",
                "[0-9] | false",
                "\\\\w+ | true"
            })
    void expressionsShouldMatch(String expression, boolean expected) throws Exception {
        assertThat(Script.test("header :regex \"Subject\" \"" + expression + "\"")
                        .holds())
                .isEqualTo(expected);
    }

    @DisplayName("section 3: the draft's example")
    @Test
    void theExampleShouldDecide() throws Exception {
        String script =
                """
                require "regex";
                if anyof (not address :regex ["to", "cc", "bcc"] "me(\\\\+.*)?@company\\\\.com",
                          header :regex :comparator "i;octet" "subject" "^[^[:lower:]]+$") { discard; }
                """;
        assertThat(Script.of(script)
                        .message("To: me+x@company.com\nSubject: Hi\n\n")
                        .holds())
                .isFalse();
        assertThat(Script.of(script)
                        .message("To: me@company.com\nSubject: BUY\n\n")
                        .holds())
                .isTrue();
        assertThat(Script.of(script)
                        .message("To: you@company.com\nSubject: Hi\n\n")
                        .run()
                        .actions())
                .containsExactly(new RuleAction.Discard());
    }

    @DisplayName("section 3: the comparator decides about case")
    @Test
    void caseShouldFollowTheComparator() throws Exception {
        assertThat(Script.test("header :regex \"Subject\" \"hELLO\"").holds()).isTrue();
        assertThat(Script.test("header :regex :comparator \"i;octet\" \"Subject\" \"hELLO\"")
                        .holds())
                .isFalse();
    }

    @DisplayName("groups become match variables")
    @Test
    void groupsShouldBeRemembered() throws Exception {
        assertThat(Script.commands(
                                "if header :regex \"Subject\" \"(H)(x)?(el+)\" { addheader \"X\" \"${1}-${2}-${3}-${0}\"; }")
                        .header())
                .startsWith("X: H--ell-Hell\n");
    }

    @DisplayName("what RE2 does not know, and what would grow too big, is an error")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "(",
                "[",
                "a**b{2",
                "*a",
                "(a)\\\\1",
                "(?=x)",
                "a{1001}",
                "((a{100}){100}){100}",
                "(((((a{9}){9}){9}){9}){9}){9}",
                "[[:foo:]]",
                "x{2,1}"
            })
    void brokenExpressionsShouldBeErrors(String expression) {
        assertThat(Script.test("header :regex \"Subject\" \"" + expression + "\"")
                        .errors())
                .hasSize(1);
    }

    @DisplayName("section 4: no expression is exponential")
    @ParameterizedTest
    @ValueSource(strings = {"^(a+)+$", "^(a|aa)+$", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a?){200}a{200}"})
    void expressionsShouldBeLinear(String expression) {
        Script script = Script.test("header :regex :comparator \"i;octet\" \"Subject\" \"" + expression + "\"")
                .message("Subject: " + "a".repeat(20_000) + "!\n\n");
        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(20), script::run);
    }
}
