/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.envelope;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.CharRange;

class EnvelopeParametersTest {

    @ParameterizedTest
    @ValueSource(
            strings = {
                "FROM:<joe@contoso.com> SIZE=7 requiretls RET=hdrs",
                "FROM: <joe@contoso.com>  SIZE=7  RequireTLS  ret=hdrs ",
                "FROM:<\"a> RET=FULL \\\" b\"@contoso.com> SIZE=7 REQUIRETLS RET=hdrs",
                "FROM:joe@contoso.com SIZE=7 REQUIRETLS RET=hdrs",
                "FROM:<> SIZE=7 REQUIRETLS RET=hdrs"
            })
    void parametersShouldBeFoundAfterWhateverPath(String argument) throws Exception {
        EsmtpParameters parameters = EsmtpParameters.of(argument);

        assertThat(parameters.values()).containsOnlyKeys("SIZE", "REQUIRETLS", "RET");
        assertThat(parameters.get("REQUIRETLS")).contains("");
        assertThat(parameters.get("RET")).contains("hdrs");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"FROM:<joe@contoso.com>", "FROM:<joe@contoso.com", "FROM:joe@contoso.com", "FROM:", "", "<"})
    void thereShouldBeNoneWhereThereAreNone(String argument) throws Exception {
        assertThat(EsmtpParameters.of(argument).values()).isEmpty();
    }

    @Test
    void aRepeatedKeywordShouldBeAnError() {
        assertThatThrownBy(() -> EsmtpParameters.of("TO:<a@b.test> NOTIFY=NEVER notify=SUCCESS"))
                .hasMessage("parameter NOTIFY given twice");
    }

    @ParameterizedTest
    @CsvSource({
        "rfc822;joe@contoso.com, rfc822;joe@contoso.com",
        "RFC822;joe+2Bx@contoso.com, rfc822;joe+x@contoso.com",
        "x400;/S=..., ''",
        "x400;/S+3Dsmith/, x400;/S=smith/",
        "joe@contoso.com, ''",
        "rfc822;, ''",
        ";joe, ''",
        "rfc822;joe+2bx@contoso.com, ''",
        "rfc822;a b@contoso.com, ''",
    })
    void originalRecipientShouldBeWhatRfc3461Prescribes(String value, String decoded) {
        assertThat(OriginalRecipient.parse(value)
                        .map(OriginalRecipient::decoded)
                        .orElse(""))
                .isEqualTo(decoded);
    }

    @Property
    void xtextShouldStandForTheTextItEncodes(@ForAll @CharRange(from = ' ', to = '~') String text) {
        String encoded = Xtext.encode(text);

        assertThat(Xtext.isValid(encoded)).isTrue();
        assertThat(Xtext.decode(encoded)).isEqualTo(text);
    }
}
