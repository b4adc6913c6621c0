/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Subaddress, RFC 5233. */
class Rfc5233SubaddressTest {
    @DisplayName("section 4: user and detail")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "ken+sieve@example.org | :user | ken | true",
                "ken+sieve@example.org | :detail | sieve | true",
                "ken+sieve@example.org | :localpart | ken+sieve | true",
                "ken+sieve@example.org | :user | ken+sieve | false",
                "ken+@example.org | :detail | '' | true",
                "ken@example.org | :detail | '' | false",
                "ken@example.org | :contains :detail | '' | false",
                "ken@example.org | :user | ken | true",
                "+sieve@example.org | :user | '' | true",
                "ken+a+b@example.org | :detail | a+b | true",
                "ken+a+b@example.org | :user | ken | true",
                "'\"ken+si eve\"@example.org' | :detail | si eve | true",
                "ken+sieve@example.org | :detail | SIEVE | true"
            })
    void partsShouldCompare(String address, String part, String key, boolean expected) throws Exception {
        assertThat(Script.test("address " + part + " \"to\" \"" + key + "\"")
                        .message("To: Ken <" + address + ">\n\n")
                        .holds())
                .isEqualTo(expected);
        if (!address.startsWith("\"") && !address.startsWith("+")) {
            assertThat(Script.test("envelope " + part + " \"to\" \"" + key + "\"")
                            .to(address)
                            .holds())
                    .isEqualTo(expected);
        }
    }
}
