/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.rule.RuleAction;
import dev.mailflow.policy.rule.RuleVerdict;

/** Editheader, RFC 5293. */
class Rfc5293EditheaderTest {
    private static final String MESSAGE =
            """
            Received: by b.example
            Received: by a.example
            X-Hello: one
            Subject:   Strange   spacing
            \tkept
            X-Hello: two
            x-hello: three
            Auto-Submitted: no

            Body.
            """;

    private static String edited(String commands) throws Exception {
        return Script.commands(commands).message(MESSAGE).header();
    }

    @DisplayName("section 4: addheader adds at the top, with :last at the end")
    @Test
    void fieldsShouldBeAdded() throws Exception {
        assertThat(edited("addheader \"X-New\" \"value\";")).isEqualTo("X-New: value\n" + headerOf(MESSAGE));
        assertThat(edited("addheader :last \"X-New\" \"value\";"))
                .isEqualTo(headerOf(MESSAGE).replace("Auto-Submitted: no\n", "Auto-Submitted: no\nX-New: value\n"));
    }

    private static String headerOf(String message) {
        return message.substring(0, message.indexOf("\n\n") + 2);
    }

    @DisplayName("section 4: what is not ASCII is encoded, long values are folded, addresses stay readable")
    @Test
    void valuesShouldBeEncoded() throws Exception {
        assertThat(edited("addheader \"X-A\" \"Grüße\";")).startsWith("X-A: =?UTF-8?B?R3LDvMOfZQ==?=\n");
        assertThat(edited("addheader \"X-A\" \"Jörg <j@contoso.com>\";"))
                .startsWith("X-A: =?UTF-8?B?SsO2cmc=?= <j@contoso.com>\n");
        assertThat(edited("addheader \"X-A\" \"" + "word ".repeat(100) + "\";")
                        .lines()
                        .limit(8))
                .allMatch(line -> line.length() <= 78);
        assertThat(edited("addheader \"X-A\" \"" + "x".repeat(3000) + "\";").lines())
                .allMatch(line -> line.length() <= 998);
        assertThat(edited("addheader \"X-A\" \"" + "ü".repeat(3000) + "\";")
                        .lines()
                        .limit(100))
                .allMatch(line -> line.length() <= 78 && line.chars().allMatch(c -> c < 128));
    }

    @DisplayName("section 4: what was encoded reads as what was written")
    @ParameterizedTest
    @ValueSource(
            strings = {"Grüße aus Köln", "a ü b", "ü a ü", "日本語 テスト", "😀 ok", "=?utf-8?Q?x?= ü", "ü  two  spaces ü"})
    void encodedValuesShouldReadBack(String value) throws Exception {
        assertThat(Script.commands("addheader \"X-A\" \"" + value + "\"; if header :contains \"X-A\" \""
                                + (value.startsWith("=?") ? "ü" : value) + "\" { stop; }")
                        .run()
                        .stopped())
                .isTrue();
    }

    @DisplayName("section 4: no line end gets into a header, whether written or captured")
    @Test
    void injectionShouldBeRefused() throws Exception {
        assertThat(Script.commands("addheader \"X-A\" \"a\r\nBcc: x@y.example\";")
                        .errors())
                .singleElement()
                .asString()
                .contains("found a line end or NUL");
        String header = Script.commands(
                        "if header :matches \"X-In\" \"*\" { addheader \"X-Out\" \"${1}\"; prependsubject \"${1}\"; }")
                .message("X-In: =?utf-8?Q?a=0D=0ABcc:_evil@x.example=00?=\nSubject: s\n\n")
                .header();
        assertThat(header.lines()).noneMatch(line -> line.startsWith("Bcc:"));
        assertThat(header).startsWith("X-Out: a  Bcc: evil@x.example\n").doesNotContain("\0");
    }

    @DisplayName("section 4 and 5: a name that is none is an error")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "addheader \"X A\" \"b\";",
                "addheader \"X:\" \"b\";",
                "addheader \"\" \"b\";",
                "addheader \"Xü\" \"b\";",
                "deleteheader \"X A\";",
                "deleteheader \"\";",
                "addheader \"A\";",
                "deleteheader :last \"A\";",
                "deleteheader :index 0 \"A\";",
                "deleteheader;",
                "addheader :is \"A\" \"b\";"
            })
    void wrongCommandsShouldBeErrors(String command) {
        assertThat(Script.commands(command).errors()).hasSize(1);
    }

    @DisplayName("section 5: deleteheader")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "deleteheader \"X-Hello\"; | ",
                "deleteheader :index 1 \"X-Hello\"; | two,three",
                "deleteheader :index 1 :last \"X-Hello\"; | one,two",
                "deleteheader :index 2 :last \"X-Hello\"; | one,three",
                "deleteheader :index 4 \"X-Hello\"; | one,two,three",
                "deleteheader :is \"X-Hello\" \"two\"; | one,three",
                "deleteheader :contains \"x-hello\" [\"t\"]; | one",
                "deleteheader :index 1 :contains \"X-Hello\" \"two\"; | one,two,three",
                "deleteheader :matches \"X-Hello\" \"*e\"; | two",
                "deleteheader :regex \"X-Hello\" \"^t\"; | one",
                "deleteheader :value \"gt\" \"X-Hello\" \"p\"; | one",
                "deleteheader \"X-Hello\" \"none\"; | one,two,three",
                "deleteheader :index 1 \"X-Hello\"; deleteheader :index 2 \"X-Hello\"; | two"
            })
    void fieldsShouldBeDeleted(String command, String left) throws Exception {
        String expected = left == null ? "" : left;
        assertThat(edited(command)
                        .lines()
                        .filter(line -> line.toLowerCase(java.util.Locale.ROOT).startsWith("x-hello:"))
                        .map(line -> line.substring(9))
                        .collect(java.util.stream.Collectors.joining(",")))
                .isEqualTo(expected);
        assertThat(edited(command)).contains("Subject:   Strange   spacing\n\tkept\n");
    }

    @DisplayName("section 6: Received and Auto-Submitted are never deleted; silently, but check says so")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "deleteheader \"Received\";",
                "deleteheader :index 1 \"received\";",
                "deleteheader \"Auto-Submitted\" \"no\";"
            })
    void protectedFieldsShouldStay(String command) throws Exception {
        assertThat(edited(command)).isEqualTo(headerOf(MESSAGE));
        assertThat(Script.commands(command).problems())
                .singleElement()
                .asString()
                .contains("warning", "RFC 5293 section 6");
    }

    @DisplayName("section 6: adding them is not forbidden, and the subject may be both")
    @Test
    void otherChangesShouldBePermitted() throws Exception {
        assertThat(edited("addheader \"Auto-Submitted\" \"auto-generated\";"))
                .startsWith("Auto-Submitted: auto-generated\n");
        assertThat(edited("deleteheader \"Subject\"; addheader \"Subject\" \"new\";"))
                .startsWith("Subject: new\n")
                .doesNotContain("Strange");
    }

    @DisplayName("section 7: the RFC's example leaves the message unchanged")
    @Test
    void addingAndDeletingShouldChangeNothing() throws Exception {
        assertThat(edited("addheader \"X-Hello\" \"World\"; deleteheader :index 1 \"X-Hello\";"))
                .isEqualTo(headerOf(MESSAGE));
    }

    @DisplayName("section 7: tests see the header as it is by then")
    @Test
    void testsShouldSeeEdits() throws Exception {
        assertThat(Script.commands(
                                "addheader \"X-Hello\" \"World\"; if header :contains \"X-Hello\" \"World\" { stop; }")
                        .run()
                        .stopped())
                .isTrue();
        assertThat(Script.commands("deleteheader \"Subject\"; if exists \"Subject\" { stop; }")
                        .run()
                        .stopped())
                .isFalse();
        assertThat(Script.commands("addheader \"Cc\" \"x@y.example\"; if address \"cc\" \"x@y.example\" { stop; }")
                        .run()
                        .stopped())
                .isTrue();
    }

    @DisplayName("an unedited header stays the very same object; what was not there is no action")
    @Test
    void nothingShouldStayTheSame() throws Exception {
        Script script = Script.commands("deleteheader \"X-None\";").message(MESSAGE);
        HeaderSection before = script.asMessage().header();
        RuleVerdict verdict = script.run();
        assertThat(verdict.header()).isEqualTo(before);
        assertThat(verdict.actions()).isEmpty();
    }

    @DisplayName("actions tell what was edited")
    @Test
    void actionsShouldTell() throws Exception {
        assertThat(Script.commands("addheader :last \"A\" \"b\"; deleteheader \"X-Hello\";")
                        .message(MESSAGE)
                        .run()
                        .actions())
                .containsExactly(new RuleAction.AddHeader("A", "b", true), new RuleAction.DeleteHeader("X-Hello", 3));
    }

    @DisplayName("a message that is nothing but an unfinished header")
    @Test
    void unfinishedHeadersShouldBeEdited() throws Exception {
        assertThat(Script.commands("addheader :last \"A\" \"b\";")
                        .message("Subject: x")
                        .header())
                .isEqualTo("Subject: x\nA: b\n");
    }
}
