/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.policy.rule.RuleScriptException;

/** Ihave, RFC 5463. */
class Rfc5463IhaveTest {
    @DisplayName("section 4: true when all are there")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "\"body\" | true",
                "[\"body\", \"variables\"] | true",
                "\"vnd.mailflow\" | true",
                "\"fileinto\" | false",
                "[\"body\", \"vnd.other\"] | false",
                "\"comparator-i;octet\" | true",
                "\"comparator-i;unicode-casemap\" | false"
            })
    void ihaveShouldKnow(String names, boolean expected) throws Exception {
        assertThat(Script.of("require \"ihave\"; if ihave " + names + " { keep; }")
                        .holds())
                .isEqualTo(expected);
    }

    @DisplayName("section 4: what it asked for may be used, what is not there may stand where it is not reached")
    @Test
    void branchesShouldBeUsable() throws Exception {
        Script script = Script.of(
                """
                require "ihave";
                if ihave "vnd.other" { frobnicate "x"; }
                elsif ihave ["variables", "editheader"] { set "a" "b"; addheader "X" "${a}"; }
                else { error "neither"; }
                """);
        assertThat(script.errors()).isEmpty();
        assertThat(script.header()).startsWith("X: b\n");
    }

    @DisplayName("section 4: the RFC's example, notify or addflag")
    @Test
    void theExampleShouldCompile() throws Exception {
        assertThat(Script.of(
                                """
                                require ["ihave"];
                                if ihave "notify" { notify :low; }
                                if allof (ihave "imap4flags", header :contains "Subject" "Hello") { addflag "x"; keep; }
                                elsif true { discard; }
                                """)
                        .holds())
                .isTrue();
    }

    @DisplayName("section 5: error ends the script with its message")
    @Test
    void errorShouldFail() {
        assertThatThrownBy(() -> Script.of("require \"ihave\"; keep;\nif not ihave \"foo\" { error \"no foo\"; }")
                        .run())
                .isInstanceOf(RuleScriptException.class)
                .hasMessage("test.sieve:2: no foo");
    }
}
