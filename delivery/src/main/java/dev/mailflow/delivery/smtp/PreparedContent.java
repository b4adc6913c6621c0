/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;

import dev.mailflow.delivery.MessageContent;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;

/**
 * Message content, ready to be sent. Small messages are in memory in their wire form, so that a thread is crossed once
 * and failover to another next hop reads nothing twice; of a large one no byte is kept, and its memory is bounded by
 * {@link #WINDOW} per connection.
 */
public final class PreparedContent {

    /** Messages up to this many bytes are held in memory; larger ones are read in pieces of this size. */
    public static final int WINDOW = 64 * 1024;

    private final MessageContent content;
    private final Optional<byte[]> wire;
    private final long size;
    private volatile Optional<Boolean> eightBit;
    private Optional<PreparedContent> converted = Optional.empty();

    private PreparedContent(MessageContent content, Optional<byte[]> wire, long size, Optional<Boolean> eightBit) {
        this.content = content;
        this.wire = wire;
        this.size = size;
        this.eightBit = eightBit;
    }

    /** Reads the first window; blocks. */
    public static PreparedContent read(MessageContent content) throws IOException {
        try (InputStream in = content.open()) {
            byte[] head = in.readNBytes(WINDOW + 1);
            boolean high = hasHighBit(head, head.length);
            if (head.length > WINDOW) {
                return new PreparedContent(
                        content,
                        Optional.empty(),
                        Math.max(content.size(), head.length),
                        high ? Optional.of(true) : Optional.empty());
            }
            ByteBuf out = Unpooled.buffer(head.length + head.length / 16 + 16);
            WireEncoder encoder = new WireEncoder();
            encoder.encode(head, head.length, out);
            encoder.end(out);
            return new PreparedContent(
                    content, Optional.of(ByteBufUtil.getBytes(out)), out.readableBytes() - 3L, Optional.of(high));
        }
    }

    /** All of it with the final dot, if it is in memory; not to be changed. */
    Optional<byte[]> wire() {
        return wire;
    }

    /** Size in bytes as declared with SIZE. */
    long size() {
        return size;
    }

    /** Whether a byte above 127 is in it; empty: not known without reading it all. */
    Optional<Boolean> eightBit() {
        return eightBit;
    }

    /** Reads it all to know; blocks. */
    boolean scanEightBit() throws IOException {
        try (InputStream in = content.open()) {
            byte[] buffer = new byte[WINDOW];
            int n = in.read(buffer);
            boolean found = false;
            while (n >= 0 && !found) {
                found = hasHighBit(buffer, n);
                n = in.read(buffer);
            }
            eightBit = Optional.of(found);
            return found;
        }
    }

    /**
     * This content without 8-bit characters; kept for the next hop that needs it. Blocks.
     *
     * @throws MimeWalk.NotUnderstoodException when it must stay as it is; the message says why
     */
    synchronized PreparedContent sevenBit() throws IOException, MimeWalk.NotUnderstoodException {
        if (converted.isEmpty()) {
            converted = Optional.of(read(SevenBitContent.of(content)));
        }
        return converted.get();
    }

    InputStream open() throws IOException {
        return content.open();
    }

    private static boolean hasHighBit(byte[] bytes, int length) {
        for (int i = 0; i < length; i++) {
            if (bytes[i] < 0) {
                return true;
            }
        }
        return false;
    }
}
