/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.rule.RuleAction;
import dev.mailflow.policy.rule.RuleScriptException;

/** Variables, RFC 5229. */
class Rfc5229VariablesTest {
    private static String value(String commands, String text) throws RuleScriptException {
        return added(Script.commands(commands + " addheader \"X-Result\" \"[" + text + "]\";"));
    }

    private static String added(Script script) throws RuleScriptException {
        return script.run().actions().stream()
                .filter(RuleAction.AddHeader.class::isInstance)
                .map(action -> ((RuleAction.AddHeader) action).value())
                .findFirst()
                .map(value -> value.substring(1, value.length() - 1))
                .orElse("(none)");
    }

    @DisplayName("section 3: the RFC's table of expansions")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "&%${}! | &%${}!",
                "${doh!} | ${doh!}",
                "${full} | ",
                "${company} | ACME",
                "${BAD${Company} | ${BADACME",
                "${President, ${Company} Inc.} | ${President, ACME Inc.}",
                "${company | ${company",
                "$company} | $company}",
                "${} | ${}",
                "${${company}} | ${ACME}",
                "${_x9} | ",
                "${9x} | ${9x}",
                "${COMPANY}${company} | ACMEACME"
            })
    void referencesShouldExpand(String text, String expected) throws Exception {
        assertThat(value("set \"company\" \"ACME\";", text)).isEqualTo(expected == null ? "" : expected);
    }

    @DisplayName("section 3: expansions are not expanded again")
    @Test
    void expansionsShouldNotBeExpanded() throws Exception {
        assertThat(value("set \"a\" \"x\"; set \"dollar\" \"$\"; set \"r\" \"${dollar}{a}\";", "${r}"))
                .isEqualTo("${a}");
    }

    @DisplayName("section 3: a namespace that no extension defines is an error")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "addheader \"A\" \"${foo.bar}\";",
                "set \"foo.bar\" \"x\";",
                "set \"1\" \"x\";",
                "set \"\" \"x\";",
                "set \"a-b\" \"x\";",
                "set \"${a}\" \"x\";"
            })
    void namespacesShouldBeErrors(String command) {
        assertThat(Script.commands(command).errors()).hasSize(1);
    }

    @DisplayName("section 3: without require there are no variables")
    @Test
    void referencesShouldStayWithoutRequire() throws Exception {
        assertThat(added(Script.of("require \"editheader\"; addheader \"A\" \"[${a}]\";")))
                .isEqualTo("${a}");
    }

    @DisplayName("section 3.2: the RFC's example of match variables")
    @Test
    void matchVariablesShouldBeSet() throws Exception {
        String script =
                """
                if header :matches "List-ID" "*<*@*" { addheader "A" "[INBOX.lists.${2}]"; stop; }
                # Imagine the header
                # Subject: [acme-users] [fwd] version 1.0 is out
                if header :matches "Subject" "[*] *" {
                   # ${1} will hold "acme-users", ${2} will hold "[fwd] version 1.0 is out"
                   addheader "A" "[${1}|${2}|${3}|${0}]";
                }
                """;
        assertThat(added(Script.commands(script).message("Subject: [acme-users] [fwd] version 1.0 is out\n\n")))
                .isEqualTo("acme-users|[fwd] version 1.0 is out||[acme-users] [fwd] version 1.0 is out");
        assertThat(added(Script.commands(script).message("List-ID: Foo <foo@lists.example>\n\n")))
                .isEqualTo("INBOX.lists.foo");
    }

    @DisplayName("section 3.2: the address example: the first address that matches sets the variables")
    @Test
    void theFirstMatchShouldCount() throws Exception {
        assertThat(added(Script.commands(
                                """
                                if address :matches ["To", "Cc"] ["coyote@**.com", "wile@**.com"] {
                                    addheader "A" "[${0}|${1}|${2}]"; stop;
                                }
                                """)
                        .message("To: coyote@ACME.Example.COM\nCc: wile@other.com\n\n")))
                .isEqualTo("coyote@ACME.Example.COM||ACME.Example");
    }

    @DisplayName("section 3.2: a failed match leaves the variables, tests after a decision are not made")
    @Test
    void failedMatchesShouldChangeNothing() throws Exception {
        assertThat(value(
                        "if header :matches \"Subject\" \"H*\" { if header :matches \"Subject\" \"X*\" { stop; } }",
                        "${1}"))
                .isEqualTo("ello");
        assertThat(value("if anyof (true, header :matches \"Subject\" \"*\") { set \"x\" \"y\"; }", "${0}"))
                .isEqualTo("");
    }

    @DisplayName("section 3.2: wildcards match as little as they can")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "a-b-c-d | *-* | a/b-c-d",
                "a-b-c-d | *-*-* | a/b/c-d",
                "aXbXc | *X* | a/bXc",
                "abc | ?*? | a/b/c",
                "abc | * | abc",
                "abc | *c | ab",
                "abcabc | *abc | abc",
                "abcd | a??d | b/c",
                "foo | *foo* | /"
            })
    void wildcardsShouldBeShortest(String subject, String pattern, String expected) throws Exception {
        long wildcards = pattern.chars().filter(c -> c == '*' || c == '?').count();
        String references = wildcards == 1 ? "${1}" : wildcards == 2 ? "${1}/${2}" : "${1}/${2}/${3}";
        assertThat(added(Script.commands("if header :matches \"Subject\" \"" + pattern + "\" { addheader \"A\" \"["
                                + references + "]\"; }")
                        .message("Subject: " + subject + "\n\n")))
                .isEqualTo(expected);
    }

    @DisplayName("section 4: names have no case, values are multi-line too, the latest counts")
    @Test
    void setShouldStore() throws Exception {
        assertThat(value("set \"honorific\" \"Mr\"; set \"last_name\" \"Coyote\";", "Dear ${HONORIFIC} ${last_name},"))
                .isEqualTo("Dear Mr Coyote,");
        assertThat(value("set \"a\" \"1\"; set \"A\" \"${a}2\";", "${a}")).isEqualTo("12");
        assertThat(value("set \"a\" text:\nline\n.\n;", "${a}")).isEqualTo("line\r\n");
    }

    @DisplayName("section 4.1: the RFC's examples of modifiers")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "'' | ${a} | juMBlEd lETteRS",
                ":length | ${a} | 15",
                ":lower | ${a} | jumbled letters",
                ":upper | ${a} | JUMBLED LETTERS",
                ":lowerfirst | ${a} | juMBlEd lETteRS",
                ":upperfirst | ${a} | JuMBlEd lETteRS",
                ":upperfirst :lower | ${a} | Jumbled letters",
                ":lower :upperfirst | ${a} | Jumbled letters",
                ":quotewildcard | Rock* | Rock\\*",
                ":quotewildcard | a?b\\\\c | a\\?b\\\\c",
                ":length :quotewildcard | a* | 3",
                ":length | grün | 4",
                ":upper | grün | GRüN",
                ":length | 😀 | 1",
                ":quoteregex | a.b | a\\.b"
            })
    void modifiersShouldApply(String modifiers, String text, String expected) throws Exception {
        assertThat(value("set \"a\" \"juMBlEd lETteRS\"; set " + modifiers + " \"b\" \"" + text + "\";", "${b}"))
                .isEqualTo(expected);
    }

    @DisplayName("section 4.1: two modifiers of one precedence, or an unknown one, are errors")
    @ParameterizedTest
    @ValueSource(
            strings = {":lower :upper", ":lowerfirst :upperfirst", ":quotewildcard :quoteregex", ":foo", ":lower :lower"
            })
    void wrongModifiersShouldBeErrors(String modifiers) {
        assertThat(Script.commands("set " + modifiers + " \"a\" \"b\";").errors())
                .hasSize(1);
    }

    @DisplayName("section 5: string")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "string :matches \" ${state} \" \"* pending *\" | true",
                "string \"${state}\" \"pending\" | false",
                "string \"${state}\" \" pending\" | true",
                "string \"${none}\" \"\" | true",
                "string [\"a\", \"b\"] [\"c\", \"B\"] | true",
                "string :count \"eq\" :comparator \"i;ascii-numeric\" [\"${none}\", \"a\", \"\"] \"1\" | true",
                "string :contains \"abc\" \"${none}\" | true",
                "string \"${a}\" \"${a}\" | true",
                "string :regex \"abc\" \"${rx}\" | true"
            })
    void stringShouldCompare(String test, boolean expected) throws Exception {
        assertThat(Script.commands(
                                "set \"state\" \"${state} pending\"; set \"rx\" \"^a.c$\"; if " + test + " { keep; }")
                        .holds())
                .isEqualTo(expected);
    }

    @DisplayName("section 6: a value is cut where it grows too long")
    @Test
    void valuesShouldBeBounded() throws Exception {
        String doubling = "set \"a\" \"0123456789\";" + "set \"a\" \"${a}${a}\";".repeat(60);
        assertThat(value(doubling + "set :length \"n\" \"${a}\";", "${n}"))
                .isEqualTo(String.valueOf(Execution.MAX_VARIABLE));
    }

    @DisplayName("section 6: a string with many variables cannot grow without end")
    @Test
    void stringsShouldBeBounded() {
        String big = "set \"a\" \"0123456789\";" + "set \"a\" \"${a}${a}\";".repeat(20);
        assertThatThrownBy(() -> Script.commands(big + "addheader \"A\" \"" + "${a}".repeat(100) + "\";")
                        .run())
                .isInstanceOf(RuleScriptException.class)
                .hasMessageContaining("grew to more than");
        assertThatThrownBy(
                        () -> Script.commands(big + "if string \"x\" [" + "\"${a}\",".repeat(100) + "\"y\"] { keep; }")
                                .run())
                .isInstanceOf(RuleScriptException.class);
    }

    @DisplayName("section 6: names have an end too")
    @Test
    void namesShouldBeBounded() {
        StringBuilder commands = new StringBuilder();
        for (int i = 0; i <= Compilation.MAX_VARIABLES; i++) {
            commands.append("set \"v").append(i).append("\" \"x\";\n");
        }
        assertThat(Script.commands(commands.toString()).errors())
                .singleElement()
                .asString()
                .contains("more than 256 variables");
    }

    @DisplayName("section 3: variables in addresses are looked at when the script runs")
    @Test
    void addressesShouldBeChecked() throws Exception {
        assertThat(Script.commands("set \"a\" \"x@y.example\"; redirect \"${a}\"; bcc \"${a}\";")
                        .run()
                        .actions())
                .containsExactly(
                        new RuleAction.Redirect(Script.address("x@y.example"), false),
                        new RuleAction.Bcc(Script.address("x@y.example")));
        assertThatThrownBy(() ->
                        Script.commands("set \"a\" \"x y\"; redirect \"${a}\";").run())
                .isInstanceOf(RuleScriptException.class)
                .hasMessageContaining("expected a mail address");
    }

    @DisplayName("a regular expression made of variables that is none fails the run")
    @Test
    void brokenExpressionsShouldFail() {
        assertThatThrownBy(() -> Script.commands("set \"a\" \"(\"; if header :regex \"Subject\" \"${a}\" { keep; }")
                        .run())
                .isInstanceOf(RuleScriptException.class)
                .hasMessageContaining("expected a regular expression");
    }
}
