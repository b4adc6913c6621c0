/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.List;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.rule.RuleScriptException;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** Whatever the text and whatever the message: a compiler says yes or says why not, a script ends. */
class SieveCompilerProperties {

    @Property(tries = 2_000)
    void anyTextShouldCompileOrHaveErrors(@ForAll String text) {
        compileOrFail(text);
    }

    @Property(tries = 3_000)
    void anyMixOfTokensShouldCompileOrHaveErrors(@ForAll("tokens") List<String> tokens) {
        compileOrFail(Script.ALL + String.join(" ", tokens));
        compileOrFail(String.join("", tokens));
    }

    private static void compileOrFail(String text) {
        List<PolicyProblem> problems = Script.of(text).problems();
        boolean failed = problems.stream().anyMatch(problem -> problem.severity() == PolicyProblem.Severity.ERROR);
        if (!failed) {
            assertThat(Script.of(text).compiled()).isNotNull();
        }
        assertThat(problems).allSatisfy(problem -> {
            assertThat(problem.location().line()).isPositive();
            assertThat(problem.message()).matches("(?s)rule 'test', column [1-9][0-9]*: .+");
        });
    }

    @Provide
    Arbitrary<List<String>> tokens() {
        return Arbitraries.of(
                        "if",
                        "elsif",
                        "else",
                        "{",
                        "}",
                        "(",
                        ")",
                        "[",
                        "]",
                        ",",
                        ";",
                        "allof",
                        "anyof",
                        "not",
                        "true",
                        "false",
                        "header",
                        "address",
                        "envelope",
                        "exists",
                        "size",
                        "body",
                        "date",
                        "currentdate",
                        "string",
                        "environment",
                        "attachmentname",
                        "attachmentsize",
                        "clientip",
                        "connector",
                        "ihave",
                        "valid_ext_list",
                        "foreverypart",
                        "break",
                        "set",
                        "keep",
                        "stop",
                        "discard",
                        "redirect",
                        "reject",
                        "addheader",
                        "deleteheader",
                        "route",
                        "setscl",
                        "bcc",
                        "addrecipient",
                        "quarantine",
                        "prependsubject",
                        "error",
                        ":is",
                        ":contains",
                        ":matches",
                        ":regex",
                        ":value",
                        ":count",
                        ":list",
                        ":comparator",
                        ":over",
                        ":under",
                        ":all",
                        ":domain",
                        ":user",
                        ":index",
                        ":last",
                        ":mime",
                        ":anychild",
                        ":param",
                        ":type",
                        ":content",
                        ":raw",
                        ":zone",
                        ":in",
                        ":copy",
                        ":lower",
                        "\"Subject\"",
                        "\"x\"",
                        "\"${1}\"",
                        "\"${a}\"",
                        "\"from\"",
                        "\"to\"",
                        "\"gt\"",
                        "\"*\"",
                        "\"(\"",
                        "\"i;octet\"",
                        "\"i;ascii-numeric\"",
                        "\"a@b.c\"",
                        "\"\\\\\"",
                        "\"\\u12\"",
                        "1",
                        "3K",
                        "0",
                        "9k",
                        "99999999999",
                        "text:\r\nhello\r\n.\r\n",
                        "# comment\n",
                        "/* */",
                        "\n",
                        "\\",
                        "\"")
                .list()
                .ofMaxSize(25);
    }

    @Property(tries = 1_000)
    void anyMessageShouldBeJudged(@ForAll("messages") String message) throws RuleScriptException {
        Script.commands(
                        """
                        if anyof (header :contains ["Subject", "To", "A"] "x", address :domain ["to", "from"] "x",
                          attachmentname :matches "*.exe", attachmentsize :over 5, body :contains "x", body :raw :matches "*a*b",
                          header :mime :anychild :param "name" "Content-Type" "x", date "date" "year" "2026") { keep; }
                        foreverypart { if header :mime :type "Content-Type" "text" { addheader "X" "y"; } }
                        deleteheader :contains "Subject" "a"; prependsubject "[ü] "; addrecipient "a@b.c";
                        """)
                .bytes(message.getBytes(StandardCharsets.ISO_8859_1))
                .run();
    }

    @Provide
    Arbitrary<String> messages() {
        return Arbitraries.of(
                        "Subject: ",
                        "To: ",
                        "From: ",
                        "Date: ",
                        "Content-Type: ",
                        "Content-Disposition: attachment; ",
                        "Content-Transfer-Encoding: base64",
                        "Content-Transfer-Encoding: quoted-printable",
                        "multipart/mixed; ",
                        "boundary=b",
                        "boundary=\"b",
                        "--b",
                        "--b--",
                        "message/rfc822",
                        "text/plain; charset=utf-16",
                        "name*0*=x''%F",
                        "filename=\"a.exe\"",
                        "\r\n",
                        "\r\n\r\n",
                        "\n",
                        "\r",
                        " ",
                        ":",
                        ";",
                        "=",
                        "=?utf-8?B?w7x?=",
                        "a@b.c",
                        "<",
                        ">",
                        "(",
                        ")",
                        "\"",
                        "\\",
                        ",",
                        "\u00ff",
                        "\u0000",
                        "QUFB",
                        "=3D",
                        "=\r\n",
                        "24 Nov 2026 12:00:00 +0100",
                        "a",
                        "b")
                .list()
                .ofMaxSize(60)
                .map(parts -> String.join("", parts));
    }
}
