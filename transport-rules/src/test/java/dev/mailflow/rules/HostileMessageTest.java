/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.domain.AcceptedDomains;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.inbound.Origin;
import dev.mailflow.policy.rule.RuleMessage;
import dev.mailflow.policy.rule.RuleScript;
import dev.mailflow.policy.rule.RuleScriptException;

/** Messages that strangers make to stall a gateway or to fill its memory; the heap of the tests is 1 GB. */
class HostileMessageTest {
    private static final Duration SOON = Duration.ofSeconds(30);

    private static boolean soon(Script script) {
        return Assertions.assertTimeoutPreemptively(SOON, script::holds);
    }

    @DisplayName("10,000 headers")
    @Test
    void manyHeadersShouldBeRead() {
        String headers =
                "X-Many: value\n".repeat(10_000) + "To: " + "a@b.example, ".repeat(10_000) + "c@d.example\n\nbody\n";
        assertThat(soon(Script.test("header :matches \"X-Many\" \"*z*\"").message(headers)))
                .isFalse();
        assertThat(soon(Script.test("address :domain \"to\" \"d.example\"").message(headers)))
                .isTrue();
        assertThat(soon(Script.commands(
                                "deleteheader :index 5000 :last \"X-Many\"; deleteheader \"X-Many\"; addheader \"A\" \"b\";")
                        .message(headers)))
                .isTrue();
    }

    @DisplayName("1,000 and 15,000 nested parts: each line is looked at once, however deep it is")
    @ParameterizedTest
    @ValueSource(ints = {1_000, 15_000})
    void nestedPartsShouldBeRead(int depth) {
        StringBuilder message = new StringBuilder("Content-Type: multipart/mixed; boundary=b0\n\n");
        for (int i = 0; i < depth; i++) {
            message.append("--b")
                    .append(i)
                    .append("\nContent-Type: multipart/mixed; boundary=b")
                    .append(i + 1)
                    .append("\n\n");
        }
        message.append("--b").append(depth).append("\nContent-Disposition: attachment; filename=deep.exe\n\nfound\n");
        message.append("some text in a line that is no boundary\n--nor this\n".repeat(20_000));
        Script.test("true");
        assertThat(soon(Script.test("attachmentname :matches \"*.exe\"").message(message.toString())))
                .isTrue();
        assertThat(soon(Script.test("body :content \"text\" :contains \"found\"")
                        .message(message.toString())))
                .isTrue();
        assertThat(soon(Script.test("header :mime :anychild :contains \"Content-Type\" \"nothing\"")
                        .message(message.toString())))
                .isFalse();
        assertThat(soon(Script.commands(
                                "foreverypart { if header :mime :param \"x\" \"Content-Type\" \"y\" { stop; } }")
                        .message(message.toString())))
                .isFalse();
    }

    @DisplayName("1,000 embedded messages")
    @Test
    void nestedMessagesShouldBeRead() {
        String message = "Content-Type: message/rfc822\n\n".repeat(1_000) + "Subject: inner\n\nfound\n";
        assertThat(soon(Script.test("body :contains \"found\"").message(message)))
                .isTrue();
        assertThat(soon(Script.test("header :mime :anychild \"Subject\" \"inner\"")
                        .message(message)))
                .isTrue();
    }

    @DisplayName("more parts than is sane fail the run, so that the rule's onError decides")
    @Test
    void tooManyPartsShouldFail() {
        String message = "Content-Type: multipart/mixed; boundary=b\n\n" + "--b\n\n".repeat(25_000);
        assertThatThrownBy(() ->
                        Script.test("attachmentname \"x\"").message(message).holds())
                .isInstanceOf(RuleScriptException.class)
                .hasMessageContaining("more than 20000 parts");
    }

    @DisplayName("a header of a part that does not end")
    @Test
    void longPartHeadersShouldFail() {
        String message = "Content-Type: multipart/mixed; boundary=b\n\n--b\nX: " + "x".repeat(9 << 20);
        assertThatThrownBy(() ->
                        Script.test("attachmentname \"x\"").message(message).holds())
                .isInstanceOf(RuleScriptException.class)
                .hasMessageContaining("the headers of the message's parts");
    }

    @DisplayName("nested loops over parts have an end")
    @Test
    void loopsShouldHaveAnEnd() {
        String message = "Content-Type: multipart/mixed; boundary=b\n\n" + "--b\n\n".repeat(15_000);
        assertThat(soon(Script.commands("foreverypart { foreverypart { if header :mime \"A\" \"b\" { keep; } } }")
                        .message(message)))
                .isFalse();
        String nested = "Content-Type: message/rfc822\n\n".repeat(3_000);
        assertThatThrownBy(
                        () -> Script.commands("foreverypart { foreverypart { if header :mime \"A\" \"b\" { keep; } } }")
                                .message(nested)
                                .holds())
                .isInstanceOf(RuleScriptException.class)
                .hasMessageContaining("more than 1000000 tests");
    }

    @DisplayName("a body of 100 MB, as a stream: matched to its end, with little memory")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "body :raw :contains \"the very end\"",
                "body :text :contains \"the very end\"",
                "body :raw :matches \"*line*the very end?\"",
                "body :raw :regex \"the +very end\"",
                "not body :raw :is \"x\"",
                "body :raw :value \"gt\" \"a\"",
                "body :content \"text/plain\" :contains [\"nothing\", \"the very END\"]"
            })
    void hugeBodiesShouldStream(String test) throws Exception {
        byte[] line = "A line of the body, as good as any other one, and some more words to fill it.\r\n"
                .repeat(1_000)
                .getBytes(StandardCharsets.US_ASCII);
        int lines = (100 << 20) / line.length;
        RuleMessage message = new RuleMessage(
                Optional.empty(),
                List.of(Script.address("a@b.example")),
                HeaderSection.read(new ByteArrayInputStream("Subject: x\r\n\r\n".getBytes(StandardCharsets.US_ASCII))),
                100 << 20,
                () -> new Repeated(line, lines, "the very end.".getBytes(StandardCharsets.US_ASCII)),
                Optional.empty(),
                Origin.INTERNET,
                AcceptedDomains.none());
        RuleScript script = Script.test(test).compiled();
        assertThat(Assertions.assertTimeoutPreemptively(
                                Duration.ofSeconds(60),
                                () -> script.run(new RuleScript.Run(
                                        message, message.recipients(), Script.NOW, RuleScript.Trace.NONE)))
                        .hit())
                .isTrue();
    }

    /** Some bytes again and again, then others. */
    private static final class Repeated extends InputStream {
        private final byte[] bytes;
        private final byte[] last;
        private int left;
        private int at;

        Repeated(byte[] bytes, int times, byte[] last) {
            this.bytes = bytes;
            this.left = times;
            this.last = last;
        }

        @Override
        public int read() {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] to, int offset, int length) {
            byte[] current = left > 0 ? bytes : last;
            if (at == current.length) {
                if (left <= 0) {
                    return -1;
                }
                left--;
                at = 0;
                current = left > 0 ? bytes : last;
            }
            int count = Math.min(length, current.length - at);
            System.arraycopy(current, at, to, offset, count);
            at += count;
            return count;
        }
    }

    @DisplayName("a body that cannot be read fails the run")
    @Test
    void unreadableBodiesShouldFail() {
        RuleMessage message = new RuleMessage(
                Optional.empty(),
                List.of(),
                new HeaderSection(List.of(), "\r\n"),
                1,
                () -> {
                    throw new IOException("disk on fire");
                },
                Optional.empty(),
                Origin.INTERNET,
                AcceptedDomains.none());
        for (String test : List.of("body :raw \"x\"", "body \"x\"", "attachmentname \"x\"")) {
            assertThatThrownBy(() -> Script.test(test)
                            .compiled()
                            .run(new RuleScript.Run(message, List.of(), Script.NOW, RuleScript.Trace.NONE)))
                    .isInstanceOf(RuleScriptException.class)
                    .hasMessageContaining("disk on fire");
        }
    }

    @DisplayName("broken encodings and character sets are read as well as can be")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "=?x-unknown?Q?found?=", "=?utf-8?X?found?=", "=?utf-8?B?!!!?= found", "=?utf-8?Q?found=ZZ?=",
                        "=?utf-8?Q?found",
                "found =?", "=?=?=?=? found", "=?utf-8?Q??= found", "=?us-ascii?Q?found?=", "\u0000found"
            })
    void brokenEncodedWordsShouldBeRead(String subject) throws Exception {
        Script script = Script.test("header :contains \"Subject\" \"found\"").message("Subject: " + subject + "\n\n");
        assertThat(script.holds()).isTrue();
    }

    @DisplayName("patterns with many wildcards need no backtracking")
    @Test
    void wildcardsShouldBeLinear() {
        Script script = Script.test("header :matches \"Subject\" \"" + "*a".repeat(200) + "*b\"")
                .message("Subject: " + "a".repeat(200_000) + "\n\n");
        assertThat(soon(script)).isFalse();
        assertThat(soon(Script.test("body :raw :matches \"" + "*a?".repeat(200) + "*b\"")
                        .message("Subject: x\n\n" + "a".repeat(1_000_000))))
                .isFalse();
    }
}
