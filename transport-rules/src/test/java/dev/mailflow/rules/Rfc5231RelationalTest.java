/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Relational, RFC 5231. */
class Rfc5231RelationalTest {
    private static final String MESSAGE =
            """
            From: one@example.com, two@example.com, three@example.com
            To: a@example.com
            Cc: b@example.com, c@example.com
            X-Priority: 3
            X-Number: 042 apples
            X-Word: beta
            Received: one
            Received: two

            """;

    @DisplayName("sections 4 and 5: relations of values and of counts")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "header :value \"gt\" :comparator \"i;ascii-numeric\" \"X-Priority\" \"2\" | true",
                "header :value \"gt\" :comparator \"i;ascii-numeric\" \"X-Priority\" \"3\" | false",
                "header :value \"ge\" :comparator \"i;ascii-numeric\" \"X-Priority\" \"3\" | true",
                "header :value \"lt\" :comparator \"i;ascii-numeric\" \"X-Priority\" \"20\" | true",
                "header :value \"lt\" \"X-Priority\" \"20\" | false",
                "header :value \"le\" :comparator \"i;ascii-numeric\" \"X-Priority\" \"2\" | false",
                "header :value \"eq\" :comparator \"i;ascii-numeric\" \"X-Number\" \"42\" | true",
                "header :value \"ne\" :comparator \"i;ascii-numeric\" \"X-Number\" \"42\" | false",
                "header :is :comparator \"i;ascii-numeric\" \"X-Number\" \"0042 pears\" | true",
                "header :value \"gt\" :comparator \"i;ascii-numeric\" \"X-Word\" \"999999999999999999999\" | true",
                "header :is :comparator \"i;ascii-numeric\" \"X-Word\" \"other\" | true",
                "header :value \"GT\" \"X-Word\" \"Alpha\" | true",
                "header :value \"lt\" :comparator \"i;octet\" \"X-Word\" \"Gamma\" | false",
                "header :value \"lt\" \"X-Word\" \"Gamma\" | true",
                "header :value \"gt\" \"X-None\" \"\" | false",
                "header :value \"eq\" \"X-Word\" [\"x\", \"BETA\"] | true",
                "address :count \"gt\" :comparator \"i;ascii-numeric\" [\"to\", \"cc\"] \"2\" | true",
                "address :count \"eq\" :comparator \"i;ascii-numeric\" \"from\" \"3\" | true",
                "address :count \"ge\" :comparator \"i;ascii-numeric\" [\"to\", \"from\"] \"5\" | false",
                "header :count \"eq\" :comparator \"i;ascii-numeric\" \"received\" \"2\" | true",
                "header :count \"eq\" :comparator \"i;ascii-numeric\" [\"received\", \"cc\"] [\"9\", \"3\"] | true",
                "header :count \"eq\" :comparator \"i;ascii-numeric\" \"bcc\" \"0\" | true",
                "envelope :count \"eq\" :comparator \"i;ascii-numeric\" [\"from\", \"to\"] \"2\" | true",
                "address :value \"lt\" \"from\" \"p\" | true",
                "environment :count \"eq\" :comparator \"i;ascii-numeric\" \"remote-host\" \"0\" | true",
                "environment :count \"eq\" :comparator \"i;ascii-numeric\" \"name\" \"1\" | true"
            })
    void relationsShouldHold(String test, boolean expected) throws Exception {
        assertThat(Script.test(test).message(MESSAGE).holds()).isEqualTo(expected);
    }

    @DisplayName("section 8: the extended example")
    @Test
    void theExampleShouldDecide() throws Exception {
        String script =
                """
                require ["relational", "comparator-i;ascii-numeric", "vnd.mailflow"];
                if header :value "lt" :comparator "i;ascii-numeric" ["x-priority"] ["3"] { quarantine "Priority"; }
                elsif address :count "gt" :comparator "i;ascii-numeric" ["to"] ["5"] { quarantine "SPAM"; }
                elsif address :value "gt" :all :comparator "i;ascii-casemap" ["from"] ["M"] { quarantine "From-N-to-Z"; }
                else { quarantine "From-A-to-M"; }
                """;
        assertThat(Script.of(script)
                        .message("X-Priority: 1\n\n")
                        .run()
                        .actions()
                        .toString())
                .contains("Priority]");
        assertThat(Script.of(script)
                        .message("To: " + "a@b.c, ".repeat(5) + "d@e.f\n\n")
                        .run()
                        .actions()
                        .toString())
                .contains("SPAM");
        assertThat(Script.of(script)
                        .message("From: zoe@x.example\n\n")
                        .run()
                        .actions()
                        .toString())
                .contains("N-to-Z");
        assertThat(Script.of(script)
                        .message("From: ann@x.example\n\n")
                        .run()
                        .actions()
                        .toString())
                .contains("A-to-M");
    }

    @DisplayName("section 4: an unknown relation is an error")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "header :value \"foo\" \"A\" \"b\"",
                "header :value \"A\" \"b\"",
                "header :count [\"gt\"] \"A\" \"b\"",
                "header :value \"gt\" :is \"A\" \"b\""
            })
    void wrongRelationsShouldBeErrors(String test) {
        assertThat(Script.test(test).errors()).isNotEmpty();
    }

    @DisplayName("a count that is compared as text is warned about")
    @Test
    void countsAsTextShouldBeWarnedAbout() {
        assertThat(Script.test("header :count \"gt\" \"received\" \"9\"").problems())
                .singleElement()
                .asString()
                .contains("warning", "compares the count as text");
    }
}
