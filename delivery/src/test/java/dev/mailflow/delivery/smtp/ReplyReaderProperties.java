/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

import dev.mailflow.delivery.SmtpReply;
import io.netty.buffer.Unpooled;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;

class ReplyReaderProperties {

    @Provide
    Arbitrary<SmtpReply> replies() {
        return Arbitraries.integers().between(200, 559).flatMap(code -> Arbitraries.strings()
                .alpha()
                .withChars(' ', '.', '-')
                .ofMaxLength(40)
                .list()
                .ofMinSize(1)
                .ofMaxSize(5)
                .map(lines -> new SmtpReply(code, lines)));
    }

    private static String wire(SmtpReply reply) {
        StringBuilder wire = new StringBuilder();
        for (int i = 0; i < reply.lines().size(); i++) {
            wire.append(reply.code())
                    .append(i == reply.lines().size() - 1 ? ' ' : '-')
                    .append(reply.lines().get(i))
                    .append("\r\n");
        }
        return wire.toString();
    }

    @Property
    void repliesShouldBeReadHoweverTheyAreCut(
            @ForAll("replies") SmtpReply first,
            @ForAll("replies") SmtpReply second,
            @ForAll @IntRange(min = 1, max = 7) int cut)
            throws Exception {
        byte[] bytes = (wire(first) + wire(second)).getBytes(StandardCharsets.UTF_8);
        ReplyReader reader = new ReplyReader();
        List<SmtpReply> read = new ArrayList<>();
        for (int from = 0; from < bytes.length; from += cut) {
            reader.read(
                    Unpooled.wrappedBuffer(bytes, from, Math.min(cut, bytes.length - from)),
                    (reply, more) -> read.add(reply));
        }

        assertThat(read).containsExactly(first, second);
    }

    @Property
    void anyBytesShouldGiveRepliesOrASyntaxError(@ForAll byte[] bytes) {
        ReplyReader reader = new ReplyReader();
        List<SmtpReply> read = new ArrayList<>();
        try {
            reader.read(Unpooled.wrappedBuffer(bytes), (reply, more) -> read.add(reply));
        } catch (ReplyReader.ReplySyntaxException e) {
            assertThat(e).hasMessageContainingAll("");
        }
        assertThat(read).allSatisfy(reply -> assertThat(reply.code()).isBetween(100, 599));
    }

    @Example
    void aLineOfMoreBytesThanCharactersShouldBeASyntaxError() {
        for (String line : List.of("25\u00e9", "\u00e9\u00e9", "2\u20ac", "250\u00e9")) {
            byte[] bytes = (line + "\r\n").getBytes(StandardCharsets.UTF_8);

            assertThatThrownBy(() -> new ReplyReader().read(Unpooled.wrappedBuffer(bytes), (reply, more) -> {}))
                    .as(line)
                    .isInstanceOf(ReplyReader.ReplySyntaxException.class)
                    .hasMessageContaining("which is not an SMTP reply");
        }
    }

    @Property(tries = 20)
    void moreShouldTellOfBytesBeyondTheReply(@ForAll("replies") SmtpReply reply, @ForAll boolean beyond)
            throws Exception {
        byte[] bytes = (wire(reply) + (beyond ? "2" : "")).getBytes(StandardCharsets.UTF_8);
        List<Boolean> seen = new ArrayList<>();
        new ReplyReader().read(Unpooled.wrappedBuffer(bytes), (each, more) -> seen.add(more));

        assertThat(seen).containsExactly(beyond);
    }
}
