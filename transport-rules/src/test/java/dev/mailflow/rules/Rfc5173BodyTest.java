/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Body, RFC 5173. */
class Rfc5173BodyTest {
    /** Section 5.2, the example message. */
    private static final String NESTED =
            """
            From: Whomever
            To: Someone
            Date: Whenever
            Subject: whatever
            Content-Type: multipart/mixed; boundary=outer

            & This is a multi-part message in MIME format.
            &
            --outer
            Content-Type: multipart/alternative; boundary=inner

            & This is a nested multi-part message in MIME format.
            &
            --inner
            Content-Type: text/plain; charset="us-ascii"

            $ Hello
            $
            --inner
            Content-Type: text/html; charset="us-ascii"

            % <html><body>Hello</body></html>
            %
            --inner--
            &
            & This is the end of the inner MIME multipart.
            &
            --outer
            Content-Type: message/rfc822

            From: Someone Else
            Subject: hello request

            $ Please say Hello
            $
            --outer--
            &
            & This is the end of the outer MIME multipart.
            """;

    @DisplayName("section 5.2: the example message, part by part")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                ":content \"multipart\" :contains \"MIME\" | true",
                ":content \"multipart\" :contains \"& This is a nested\" | true",
                ":content \"multipart\" :contains \"end of the inner\" | true",
                ":content \"multipart\" :contains \"end of the outer\" | true",
                ":content \"multipart\" :contains \"Hello\" | false",
                ":content \"multipart\" :contains \"$\" | false",
                ":content \"text/plain\" :contains \"Hello\" | true",
                ":content \"text/plain\" :contains \"Please say Hello\" | true",
                ":content \"text/plain\" :contains \"%\" | false",
                ":content \"text/html\" :contains \"Hello\" | true",
                ":content \"text/html\" :contains \"$\" | false",
                ":content \"text\" :contains \"%\" | true",
                ":content \"text\" :contains \"&\" | false",
                ":content \"message/rfc822\" :contains \"hello request\" | true",
                ":content \"message/rfc822\" :contains \"Someone Else\" | true",
                ":content \"message/rfc822\" :contains \"Please\" | false",
                ":content \"message/rfc822\" :contains \"Whomever\" | false",
                ":content \"\" :contains \"MIME\" | true",
                ":content \"/plain\" :contains \"\" | false",
                ":content \"text/\" :contains \"\" | false",
                ":content \"text/plain/x\" :contains \"\" | false",
                ":content \"audio/mp3\" :contains \"\" | false",
                ":content [\"audio/mp3\", \"TEXT/HTML\"] :contains \"\" | true",
                ":text :contains \"Please say\" | true",
                ":contains \"Please say\" | true",
                ":text :contains \"multi-part\" | false",
                ":raw :contains \"multi-part\" | true",
                ":raw :contains \"--outer\" | true",
                ":raw :contains \"boundary=inner\" | true",
                ":raw :contains \"Whomever\" | false",
                ":raw :matches \"*Hello*Hello*end of the outer*\" | true",
                ":content \"text/plain\" :matches \"*Hello*Hello*\" | false",
                ":content \"text/plain\" :is \"$ Hello~$\" | true",
                ":content \"text/html\" :is \"% <html><body>hello</body></html>~%\" | true",
                ":content \"multipart\" :is \"& This is a multi-part message in MIME format.~&\" | true",
                ":content \"text\" :regex \"say +H.llo\" | true",
                ":content \"text\" :count \"eq\" :comparator \"i;ascii-numeric\" \"3\" | true",
                ":raw :count \"eq\" :comparator \"i;ascii-numeric\" \"1\" | true"
            })
    void partsShouldBeSearched(String test, boolean expected) throws Exception {
        assertThat(Script.test("body " + test.replace("~", "\r\n"))
                        .message(NESTED)
                        .holds())
                .isEqualTo(expected);
    }

    @DisplayName("section 4: without an empty line there is no body, not even for an empty key")
    @ParameterizedTest
    @ValueSource(strings = {":raw", ":text", ":content \"\""})
    void noBodyShouldNeverMatch(String transform) throws Exception {
        Script test = Script.test("body " + transform + " :contains \"\"");
        assertThat(test.message("Subject: x\n").holds()).isFalse();
        assertThat(test.message("Subject: x\n\n").holds()).isTrue();
    }

    @DisplayName("section 5.2: encodings and character sets")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "text/plain; charset=iso-8859-1 | quoted-printable | Gr=FC=DFe=20a=~us | Grüße aus",
                "text/plain; charset=utf-8 | base64 | R3LDvMOf~ZQ== | Grüße",
                "text/plain; charset=utf-8 | 8bit | Grüße | Grüße",
                "text/plain | 7bit | plain | plain",
                "text/plain; charset=x-unknown | binary | ascii | ascii",
                "text/plain; charset=\"windows-1252\" | quoted-printable | =80 | €",
                "text/plain; charset=utf-16 | base64 | /v8AQQBC | AB",
                "text/html | BASE64 | PGI+aGk8L2I+ | <b>hi</b>"
            })
    void contentShouldBeDecoded(String type, String encoding, String content, String text) throws Exception {
        String message = "Content-Type: " + type + "\nContent-Transfer-Encoding: " + encoding + "\n\n"
                + content.replace("~", "\n");
        assertThat(Script.test("body :content \"text\" :is \"" + text + "\"")
                        .message(message)
                        .holds())
                .isTrue();
        assertThat(Script.test("body :raw :is \"" + text + "\"")
                        .message(message)
                        .holds())
                .isEqualTo(content.equals(text));
    }

    @DisplayName("section 5.2: a NUL does not end the text, and no match crosses parts")
    @Test
    void nulShouldNotEndTheText() throws Exception {
        assertThat(Script.test("body :contains \"after\"")
                        .message("A: b\n\nbefore\0after\n")
                        .holds())
                .isTrue();
        assertThat(Script.test("body :content \"text\" :matches \"*Hello*Please*\"")
                        .message(NESTED)
                        .holds())
                .isFalse();
    }

    @DisplayName("section 6: wildcards in bodies set no variables")
    @Test
    void bodiesShouldSetNoVariables() throws Exception {
        assertThat(Script.commands("if body :matches \"*orn*\" { addheader \"X\" \"[${1}]\"; }")
                        .header())
                .startsWith("X: []\n");
    }

    @DisplayName("broken structures are read as far as they go")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nfound",
                "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nfound\n--b",
                "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nfound\n--b--\n",
                "Content-Type: multipart/mixed\n\nno boundary\n",
                "Content-Type: multipart/mixed; boundary=\"b b\"\n\n--b b \t\n\nfound\n--b b--\n",
                "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nfound\n--b--\n",
                "Content-Type: nonsense\n\nfound",
                "Content-Type: text/plain; charset=\n\nfound",
                "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nZm91bmQ=",
                "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nZm9 1bm*Q=",
                "Content-Type: message/rfc822\n\nSubject: y\n\nfound",
                "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nfound\n--b--\n--b--\n"
            })
    void brokenStructuresShouldBeRead(String message) throws Exception {
        boolean opaque = message.contains("no boundary");
        assertThat(Script.test("body :contains \"found\"").message(message).holds())
                .isEqualTo(!opaque);
    }

    @DisplayName("wrong transforms are errors")
    @ParameterizedTest
    @ValueSource(strings = {"body :raw :text \"x\"", "body :content \"x\"", "body :content 1 \"x\"", "body"})
    void wrongTransformsShouldBeErrors(String test) {
        assertThat(Script.test(test).errors()).isNotEmpty();
    }
}
