/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

class WireEncoderProperties {

    /** Texts of the characters that matter, in pieces. */
    @Provide
    Arbitrary<List<String>> pieces() {
        return Arbitraries.strings()
                .withChars("\r\n.a\u00e9")
                .ofMaxLength(12)
                .list()
                .ofMaxSize(6);
    }

    private static String encode(List<String> pieces) {
        WireEncoder encoder = new WireEncoder();
        ByteBuf out = Unpooled.buffer();
        for (String piece : pieces) {
            byte[] bytes = piece.getBytes(StandardCharsets.ISO_8859_1);
            // what lies beyond the length must not matter
            encoder.encode(Arrays.copyOf(bytes, bytes.length + 3), bytes.length, out);
        }
        encoder.end(out);
        return out.toString(StandardCharsets.ISO_8859_1);
    }

    @Property
    void outputShouldNotDependOnHowTheInputIsCut(@ForAll("pieces") List<String> pieces) {
        assertThat(encode(pieces)).isEqualTo(encode(List.of(String.join("", pieces))));
    }

    @Property
    void dotAloneShouldBeThereOnceAndLast(@ForAll("pieces") List<String> pieces) {
        String wire = "\r\n" + encode(pieces);

        assertThat(wire.indexOf("\r\n.\r\n")).isEqualTo(wire.length() - 5);
    }

    @Property
    void everyLineEndShouldBeCrLf(@ForAll("pieces") List<String> pieces) {
        assertThat(encode(pieces).replace("\r\n", "")).doesNotContain("\r").doesNotContain("\n");
    }

    @Property
    void receiverShouldGetTheTextWithCanonicalLineEnds(@ForAll("pieces") List<String> pieces) {
        String text = String.join("", pieces).replaceAll("\r\n|\r|\n", "\r\n");
        String expected = text.isEmpty() || text.endsWith("\r\n") ? text : text + "\r\n";
        String wire = encode(pieces);

        String received = ("\n" + wire.substring(0, wire.length() - 3))
                .replace("\n.", "\n")
                .substring(1);
        assertThat(received).isEqualTo(expected);
    }
}
