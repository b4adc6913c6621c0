/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;

import org.junit.jupiter.api.Test;

import dev.mailflow.policy.rule.RuleAction;
import dev.mailflow.policy.rule.RuleCompiler;
import dev.mailflow.policy.rule.RuleScript;
import dev.mailflow.policy.rule.RuleScriptException;

/** Errors, and what is known of a script without a message. */
class SieveCompilerTest {

    @Test
    void theCompilerShouldBeFoundAsAService() {
        assertThat(RuleCompiler.find()).containsInstanceOf(SieveCompiler.class);
    }

    @Test
    void theScriptOfTheContractShouldCompileAndAct() throws Exception {
        Script script = Script.of(
                """
                require ["envelope", "vnd.mailflow"];
                if allof (size :over 10, not header :contains "X-Scrubbed" "yes") { route "scrubber"; stop; }
                """);
        assertThat(script.run().actions()).containsExactly(new RuleAction.Route("scrubber"));
        assertThat(script.run().stopped()).isTrue();
        assertThat(script.compiled().inspection().connectors())
                .extracting(RuleScript.Inspection.Named::name)
                .containsExactly("scrubber");
        assertThat(script.compiled().dependsOnRecipient()).isFalse();
    }

    @Test
    void allMistakesShouldBeToldInOnePassWithLineAndColumn() {
        assertThat(Script.of(
                                """
                                require ["fileinto", "foo"];
                                if header :is :contains "Subject" "x" { fileinto "Junk"; }
                                if envelope "form" "x" { redirect "nobody"; }
                                if header :regex "Subject" "(" { rout "x"; }
                                if size 3 { setscl 10; vacation "x"; }
                                """)
                        .errors())
                .containsExactly(
                        "1: rule 'test', column 10: the extension 'fileinto' means nothing in a transport rule; a transport rule "
                                + "knows no mailboxes; use 'quarantine', 'route' or 'redirect'",
                        "1: rule 'test', column 22: unsupported extension 'foo', expected one of " + Extension.known(),
                        "2: rule 'test', column 15: found ':contains' beside ':is', expected one of them",
                        "2: rule 'test', column 41: 'fileinto' is not allowed in a transport rule; a transport rule knows no "
                                + "mailboxes; use 'quarantine', 'route' or 'redirect'",
                        "3: rule 'test', column 4: 'envelope' needs: require \"envelope\";",
                        "3: rule 'test', column 13: found 'form', expected \"from\" or \"to\"",
                        "3: rule 'test', column 35: found 'nobody', expected a mail address (\"joe@contoso.com\")",
                        "4: rule 'test', column 11: ':regex' needs: require \"regex\";",
                        "4: rule 'test', column 28: found '(', expected a regular expression (missing closing ))",
                        "4: rule 'test', column 34: unknown command 'rout', did you mean 'route'?",
                        "5: rule 'test', column 4: expected ':over' or ':under'",
                        "5: rule 'test', column 13: 'setscl' needs: require \"vnd.mailflow\";",
                        "5: rule 'test', column 20: found 10, expected 0 to 9 or \"-1\"",
                        "5: rule 'test', column 24: 'vacation' is not allowed in a transport rule; an absence is told by the "
                                + "user's own script; use 'reject' to tell the sender something");
    }

    @Test
    void aSyntaxErrorShouldHaveItsPlace() {
        assertThat(Script.of("keep;\nif true {\n  discard\n}").errors())
                .containsExactly(
                        "4: rule 'test', column 1: found '}', expected a name or a tag or a number or a string or ';' "
                                + "or '{' or '(' or '['");
    }

    @Test
    void anErrorShouldFailTheRun() {
        assertThatThrownBy(() -> Script.commands("error \"out of order\";").run())
                .isInstanceOf(RuleScriptException.class)
                .hasMessage("test.sieve:2: out of order");
    }

    @Test
    void testsShouldBeTold() throws Exception {
        List<String> told = new ArrayList<>();
        Script.of("if anyof (header :is \"Subject\" \"x\", not size :over 1M) { keep; }")
                .trace((where, test, result) -> told.add(where + " " + test + " " + result))
                .run();
        assertThat(told)
                .containsExactly("test.sieve:1 header :is \"Subject\" \"x\" false", "test.sieve:1 size :over 1M false");
    }
}
