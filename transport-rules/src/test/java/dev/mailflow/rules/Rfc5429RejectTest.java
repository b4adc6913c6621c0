/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.rule.RuleAction;
import dev.mailflow.policy.rule.RuleScriptException;

/** Reject and ereject, RFC 5429, and copy, RFC 3894. */
class Rfc5429RejectTest {
    @DisplayName("section 2.1 and 2.2: both refuse with a reason, which may have many lines")
    @ParameterizedTest
    @ValueSource(strings = {"reject", "ereject"})
    void rejectShouldTellTheReason(String command) throws Exception {
        assertThat(Script.commands(command + " text:\nI am not taking mail from you.\nDon't ask.\n.\n;")
                        .run()
                        .actions())
                .containsExactly(new RuleAction.Reject("I am not taking mail from you.\r\nDon't ask.\r\n"));
    }

    @DisplayName("section 2.4: one rejection, and no delivery beside it")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "reject \"a\"; reject \"b\";",
                "reject \"a\"; ereject \"b\";",
                "reject \"a\"; redirect \"a@b.example\";",
                "redirect \"a@b.example\"; reject \"a\";"
            })
    void rejectShouldBeAlone(String commands) {
        assertThatThrownBy(() -> Script.commands(commands).run()).isInstanceOf(RuleScriptException.class);
    }

    @DisplayName("a copy for somebody else goes with a rejection")
    @Test
    void copiesShouldGoWithRejections() throws Exception {
        assertThat(Script.commands("redirect :copy \"audit@contoso.com\"; reject \"no\";")
                        .run()
                        .actions())
                .containsExactly(
                        new RuleAction.Redirect(Script.address("audit@contoso.com"), true),
                        new RuleAction.Reject("no"));
    }

    @DisplayName("RFC 3894 section 3: :copy on redirect")
    @Test
    void copyShouldBeTold() throws Exception {
        assertThat(Script.of("require \"copy\"; redirect :copy \"dest@example.com\";")
                        .run()
                        .actions())
                .containsExactly(new RuleAction.Redirect(Script.address("dest@example.com"), true));
    }

    @DisplayName("a reason is one string")
    @ParameterizedTest
    @ValueSource(strings = {"reject;", "reject [\"a\"];", "ereject 1;", "reject :copy \"a\";"})
    void wrongRejectionsShouldBeErrors(String command) {
        assertThat(Script.commands(command).errors()).hasSize(1);
    }
}
