/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Date and index, RFC 5260. */
class Rfc5260DateIndexTest {
    private static final String MESSAGE =
            """
            Received: from a by b (comment; with) id 1; Sun, 22 Nov 2026 23:30:00 -0500 (EST)
            Received: from x by a; Sat, 21 Nov 2026 01:02:03 +0000
            Date: Tue, 24 Nov 2026 09:05:07 +0130
            X-Old: 1 Jan 70 00:00 GMT
            X-Leap: Thu, 29 Feb 2024 12:00:00 Z
            X-NoDay: 32 Jan 2026 00:00:00 +0000
            X-NoLeap: 29 Feb 2026 00:00:00 +0000
            X-Text: yesterday
            X-Zone: 24 Nov 2026 12:00:00 PST

            """;

    @DisplayName("section 4.2: date parts")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "year | 2026",
                "month | 11",
                "day | 24",
                "date | 2026-11-24",
                "julian | 61368",
                "hour | 09",
                "minute | 05",
                "second | 07",
                "time | 09:05:07",
                "iso8601 | 2026-11-24T09:05:07+01:30",
                "std11 | Tue, 24 Nov 2026 09:05:07 +0130",
                "zone | +0130",
                "weekday | 2",
                "WeekDay | 2"
            })
    void partsShouldBeTold(String part, String value) throws Exception {
        assertThat(Script.test("date :originalzone \"date\" \"" + part + "\" \"" + value + "\"")
                        .message(MESSAGE)
                        .holds())
                .isTrue();
    }

    @DisplayName("section 4.1: zones")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                ":zone \"+0000\" | hour | 07",
                ":zone \"+0000\" | iso8601 | 2026-11-24T07:35:07Z",
                ":zone \"+0000\" | zone | +0000",
                ":zone \"-0000\" | zone | +0000",
                ":zone \"-0500\" | time | 02:35:07",
                ":zone \"-1200\" | date | 2026-11-23",
                ":zone \"+0545\" | zone | +0545"
            })
    void zonesShouldShift(String zone, String part, String value) throws Exception {
        assertThat(Script.test("date " + zone + " \"date\" \"" + part + "\" \"" + value + "\"")
                        .message(MESSAGE)
                        .holds())
                .isTrue();
    }

    @DisplayName("section 4: where a date is found, and where there is none")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "date :originalzone \"received\" \"weekday\" \"0\" | true",
                "date :originalzone \"received\" \"time\" \"23:30:00\" | true",
                "date :zone \"+0000\" \"received\" \"date\" \"2026-11-23\" | true",
                "date :originalzone \"x-old\" \"iso8601\" \"1970-01-01T00:00:00Z\" | true",
                "date :originalzone \"x-leap\" \"date\" \"2024-02-29\" | true",
                "date :originalzone \"x-zone\" \"zone\" \"-0800\" | true",
                "date :matches \"x-noday\" \"year\" \"*\" | false",
                "date :matches \"x-noleap\" \"year\" \"*\" | false",
                "date :matches \"x-text\" \"year\" \"*\" | false",
                "date :matches \"x-none\" \"year\" \"*\" | false",
                "date :count \"eq\" :comparator \"i;ascii-numeric\" \"date\" \"year\" \"1\" | true",
                "date :count \"eq\" :comparator \"i;ascii-numeric\" \"x-text\" \"year\" \"0\" | true",
                "date :value \"ge\" :originalzone \"date\" \"hour\" \"09\" | true",
                "date :value \"lt\" :originalzone \"date\" \"hour\" \"09\" | false"
            })
    void datesShouldBeFound(String test, boolean expected) throws Exception {
        assertThat(Script.test(test).message(MESSAGE).holds()).isEqualTo(expected);
    }

    @DisplayName("section 5: the current date is that of the run")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "currentdate :zone \"+0000\" \"date\" \"2026-11-24\" | true",
                "currentdate :zone \"+0100\" \"hour\" \"12\" | true",
                "currentdate :value \"ge\" \"date\" \"2007-06-30\" | true",
                "currentdate :value \"le\" \"date\" \"2007-07-07\" | false",
                "currentdate :count \"eq\" :comparator \"i;ascii-numeric\" \"date\" \"1\" | true",
                "allof (currentdate :value \"ge\" :zone \"+0000\" \"time\" \"11:00:00\", currentdate :is \"weekday\" \"2\") | true"
            })
    void currentDateShouldBeOfTheRun(String test, boolean expected) throws Exception {
        assertThat(Script.test(test).holds()).isEqualTo(expected);
    }

    @DisplayName("section 5.1: dates in headers and variables")
    @Test
    void datesShouldFillVariables() throws Exception {
        assertThat(Script.commands(
                                "if currentdate :zone \"+0000\" :matches \"std11\" \"*\" {addheader \"Processing-date\" \"${0}\";}")
                        .header())
                .startsWith("Processing-date: Tue, 24 Nov 2026 11:00:00 +0000\n");
    }

    @DisplayName("section 6: index")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "date :index 2 :originalzone \"received\" \"day\" \"21\" | true",
                "date :index 1 :last :originalzone \"received\" \"day\" \"21\" | true",
                "date :index 2 :last :originalzone \"received\" \"day\" \"22\" | true",
                "date :matches :index 3 \"received\" \"day\" \"*\" | false",
                "header :index 1 :contains \"received\" \"from a\" | true",
                "header :index 2 :contains \"received\" \"from a\" | false",
                "header :index 1 :last :contains \"received\" \"from x\" | true",
                "header :index 3 :contains [\"received\", \"date\"] \"09:05\" | true",
                "header :index 1 :last :contains [\"received\", \"date\"] \"09:05\" | true",
                "header :index 9 :contains \"received\" \"\" | false"
            })
    void indexShouldChoose(String test, boolean expected) throws Exception {
        assertThat(Script.test(test).message(MESSAGE).holds()).isEqualTo(expected);
    }

    @DisplayName("section 6: the RFC's example with addresses")
    @Test
    void indexShouldCountFields() throws Exception {
        assertThat(Script.test("address :index 2 \"to\" \"c@x.example\"")
                        .message("To: a@x.example, b@x.example\nTo: c@x.example\n\n")
                        .holds())
                .isTrue();
    }

    @DisplayName("wrong arguments are errors")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "date :zone \"+0000\" :originalzone \"date\" \"year\" \"1\"",
                "date :zone \"0100\" \"date\" \"year\" \"1\"",
                "date :zone \"+100\" \"date\" \"year\" \"1\"",
                "date :zone \"+9900\" \"date\" \"year\" \"1\"",
                "date \"date\" \"century\" \"20\"",
                "date [\"date\", \"x\"] \"year\" \"1\"",
                "date \"date\" \"year\"",
                "currentdate :originalzone \"year\" \"1\"",
                "header :last \"A\" \"b\"",
                "header :index 0 \"A\" \"b\"",
                "header :index \"1\" \"A\" \"b\""
            })
    void wrongArgumentsShouldBeErrors(String test) {
        assertThat(Script.test(test).errors()).isNotEmpty();
    }
}
