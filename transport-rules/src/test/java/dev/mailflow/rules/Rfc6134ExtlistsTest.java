/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.rule.RuleAction;

/** External lists, RFC 6134. */
class Rfc6134ExtlistsTest {
    private static Script with(Script script) {
        return script.list("file://conf/vips.txt", "Ann@Fabrikam.com", "bob@fabrikam.com")
                .list("file://conf/domains.txt", "fabrikam.com")
                .list("file://conf/bad.txt", "no address");
    }

    @DisplayName("section 2.2: :list compares with the entries, by the comparator")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "envelope :list \"to\" \"file://conf/vips.txt\" | true",
                "address :list \"to\" \"file://conf/vips.txt\" | true",
                "address :list \"from\" \"file://conf/vips.txt\" | false",
                "address :list :comparator \"i;octet\" \"to\" \"file://conf/vips.txt\" | false",
                "address :list :domain \"to\" [\"file://conf/vips.txt\", \"file://conf/domains.txt\"] | true",
                "header :list \"subject\" \"file://conf/domains.txt\" | false"
            })
    void listsShouldBeSearched(String test, boolean expected) throws Exception {
        assertThat(with(Script.test(test)).holds()).isEqualTo(expected);
    }

    @DisplayName("section 2.7: valid_ext_list")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "\"file://conf/vips.txt\" | true",
                "[\"file://conf/vips.txt\", \"file://conf/domains.txt\"] | true",
                "\"file://conf/none.txt\" | false",
                "\"file://conf/broken.txt\" | false",
                "\"tag:example.com,2010:x\" | false"
            })
    void validityShouldBeTold(String names, boolean expected) throws Exception {
        assertThat(with(Script.test("valid_ext_list " + names)).holds()).isEqualTo(expected);
    }

    @DisplayName("section 2.5: redirect :list")
    @Test
    void redirectShouldReachAll() throws Exception {
        assertThat(with(Script.commands("redirect :copy :list \"file://conf/vips.txt\";"))
                        .run()
                        .actions())
                .containsExactly(
                        new RuleAction.Redirect(Script.address("Ann@Fabrikam.com"), true),
                        new RuleAction.Redirect(Script.address("bob@fabrikam.com"), true));
    }

    @DisplayName("a list that is not there is an error when the script is compiled")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "if header :list \"A\" \"file://conf/none.txt\" { keep; }",
                "if header :list \"A\" \"file://conf/broken.txt\" { keep; }",
                "set \"a\" \"x\"; if header :list \"A\" \"${a}\" { keep; }",
                "redirect :list \"file://conf/bad.txt\";",
                "redirect :list \"file://conf/broken.txt\";",
                "if header :list :is \"A\" \"file://conf/vips.txt\" { keep; }"
            })
    void missingListsShouldBeErrors(String commands) {
        assertThat(with(Script.commands(commands)).errors()).hasSize(1);
    }
}
