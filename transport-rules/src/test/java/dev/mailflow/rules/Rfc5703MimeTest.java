/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** MIME, RFC 5703, as far as tests go. */
class Rfc5703MimeTest {
    private static final String MESSAGE =
            """
            Subject: outer
            Content-Type: multipart/mixed; boundary=b

            --b
            Content-Type: text/plain; charset="utf-8"; format=flowed

            text
            --b
            Content-Type: image/jpeg; name*=utf-8''gr%C3%BCn.jpg
            Content-Disposition: attachment; filename="a.jpg"
            X-Part: yes

            data
            --b
            Content-Type: message/rfc822

            Subject: inner
            From: inner@example.com
            Content-Type: text/html

            <b>
            --b--
            """;

    @DisplayName("section 4: :mime and :anychild")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "header :mime :type \"Content-Type\" \"multipart\" | true",
                "header :mime :type \"Content-Type\" \"image\" | false",
                "header :mime :anychild :type \"Content-Type\" \"image\" | true",
                "header :mime :anychild :subtype \"Content-Type\" \"jpeg\" | true",
                "header :mime :anychild :contenttype \"Content-Type\" \"image/jpeg\" | true",
                "header :mime :anychild :contenttype \"Content-Type\" \"text/html\" | true",
                "header :mime :anychild :contenttype \"Content-Type\" \"application/pdf\" | false",
                "header :mime :anychild :contenttype \"Content-Disposition\" \"attachment\" | true",
                "header :mime :anychild :param \"filename\" \"Content-Disposition\" \"A.JPG\" | true",
                "header :mime :anychild :param [\"name\", \"charset\"] \"Content-Type\" \"grün.jpg\" | true",
                "header :mime :anychild :param \"charset\" \"Content-Type\" \"utf-8\" | true",
                "header :mime :param \"charset\" :contains \"Content-Type\" \"\" | false",
                "header :mime :anychild \"X-Part\" \"yes\" | true",
                "header \"X-Part\" \"yes\" | false",
                "header :mime :anychild \"Subject\" \"inner\" | true",
                "address :mime :anychild \"From\" \"inner@example.com\" | true",
                "address \"From\" \"inner@example.com\" | false",
                "exists :mime :anychild \"X-Part\" | true",
                "exists :mime \"X-Part\" | false",
                "exists :mime :anychild [\"X-Part\", \"Subject\"] | true",
                "header :mime :anychild :count \"eq\" :comparator \"i;ascii-numeric\" \"Content-Type\" \"5\" | true"
            })
    void partsShouldBeTested(String test, boolean expected) throws Exception {
        assertThat(Script.test(test).message(MESSAGE).holds()).isEqualTo(expected);
    }

    @DisplayName("section 3: foreverypart and break")
    @Test
    void partsShouldBeVisited() throws Exception {
        assertThat(Script.commands(
                                """
                                set "n" "";
                                foreverypart {
                                  set "n" "${n}x";
                                  if header :mime :contenttype "Content-Type" "image/jpeg" { break; }
                                }
                                addheader "X" "${n}";
                                """)
                        .message(MESSAGE)
                        .header())
                .startsWith("X: xxx\n");
    }

    @DisplayName("section 3: a loop in a loop sees the parts inside, and a break may leave both")
    @Test
    void loopsShouldNest() throws Exception {
        assertThat(Script.commands(
                                """
                                set "n" "";
                                foreverypart :name "outer" {
                                  foreverypart {
                                    set "n" "${n}x";
                                    if header :mime "Subject" "inner" { break :name "outer"; }
                                  }
                                }
                                addheader "X" "${n}";
                                """)
                        .message(MESSAGE)
                        .header())
                .startsWith("X: xxxx\n");
    }

    @DisplayName("wrong uses are errors")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "break;",
                "foreverypart { break :name \"x\"; }",
                "foreverypart;",
                "foreverypart true { keep; }",
                "if header :anychild \"A\" \"b\" { keep; }",
                "if header :type \"A\" \"b\" { keep; }",
                "if header :mime :type :subtype \"A\" \"b\" { keep; }",
                "if header :mime :param \"A\" \"b\" { keep; }",
                "replace \"x\";",
                "enclose \"x\";",
                "extracttext \"x\";"
            })
    void wrongUsesShouldBeErrors(String commands) {
        assertThat(Script.commands(commands).errors()).hasSize(1);
    }
}
