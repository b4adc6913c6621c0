/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * What a record of the journal says, in bytes: operations one after the other, which come into force together.
 *
 * <p>An operation is its kind (one byte), the length of the rest (four bytes) and the rest. A kind that is not known is an
 * error: an older version of the gateway must not skip what a newer one wrote.
 */
sealed interface Operation {

    /** The envelope or content itself, as it lies in the record. */
    record Bytes(int offset, int length, int checksum) {}

    /**
     * A mail is in a queue, or its record has moved.
     *
     * @param due milliseconds of the epoch
     * @param envelope JSON
     */
    record PutMail(long id, long content, long due, int priority, String queue, Bytes envelope) implements Operation {}

    /**
     * The content of mails that follow, or its record has moved.
     *
     * @param inFile whether the bytes are in a file of their own, and not here
     */
    record PutContent(long id, boolean inFile, long size, Bytes content) implements Operation {}

    /** A mail is not in its queue any more. */
    record RemoveMail(long id) implements Operation {}

    /** Puts operations into a record. */
    final class Writer {
        private static final byte PUT_MAIL = 1;
        private static final byte PUT_CONTENT = 2;
        private static final byte REMOVE_MAIL = 3;

        private final ByteArrayOutputStream record = new ByteArrayOutputStream(8192);

        /** @return where in the record the envelope begins */
        int putMail(long id, long content, long due, int priority, String queue, byte[] envelope, int checksum) {
            byte[] name = queue.getBytes(StandardCharsets.UTF_8);
            ByteBuffer fields = ByteBuffer.allocate(3 * Long.BYTES + 1 + Short.BYTES + name.length + Integer.BYTES)
                    .putLong(id)
                    .putLong(content)
                    .putLong(due)
                    .put((byte) priority)
                    .putShort((short) name.length)
                    .put(name)
                    .putInt(checksum);
            return write(PUT_MAIL, fields, envelope);
        }

        /** @return where in the record the bytes begin */
        int putContent(long id, boolean inFile, long size, byte[] bytes, int checksum) {
            ByteBuffer fields = ByteBuffer.allocate(2 * Long.BYTES + 1 + Integer.BYTES)
                    .putLong(id)
                    .put((byte) (inFile ? 1 : 0))
                    .putLong(size)
                    .putInt(checksum);
            return write(PUT_CONTENT, fields, bytes);
        }

        void removeMail(long id) {
            write(REMOVE_MAIL, ByteBuffer.allocate(Long.BYTES).putLong(id), new byte[0]);
        }

        private int write(byte kind, ByteBuffer fields, byte[] bytes) {
            record.write(kind);
            byte[] fixed = new byte[fields.flip().remaining()];
            fields.get(fixed);
            record.writeBytes(ByteBuffer.allocate(Integer.BYTES)
                    .putInt(fixed.length + bytes.length)
                    .array());
            record.writeBytes(fixed);
            int offset = record.size();
            record.writeBytes(bytes);
            return offset;
        }

        int size() {
            return record.size();
        }

        byte[] toBytes() {
            return record.toByteArray();
        }
    }

    /**
     * The operations of a record.
     *
     * @throws IllegalArgumentException when it was written by something else
     */
    static List<Operation> read(byte[] record) {
        List<Operation> operations = new ArrayList<>();
        ByteBuffer in = ByteBuffer.wrap(record);
        while (in.hasRemaining()) {
            byte kind = in.get();
            int end = in.getInt() + in.position();
            operations.add(
                    switch (kind) {
                        case Writer.PUT_MAIL -> new PutMail(
                                in.getLong(),
                                in.getLong(),
                                in.getLong(),
                                in.get(),
                                string(in, in.getShort()),
                                bytes(in.getInt(), in, end));
                        case Writer.PUT_CONTENT -> new PutContent(
                                in.getLong(), in.get() != 0, in.getLong(), bytes(in.getInt(), in, end));
                        case Writer.REMOVE_MAIL -> new RemoveMail(in.getLong());
                        default -> throw new IllegalArgumentException("found operation " + kind
                                + ", expected 1 to 3: a newer version of the gateway wrote this");
                    });
            in.position(end);
        }
        return operations;
    }

    private static String string(ByteBuffer in, int length) {
        byte[] bytes = new byte[length];
        in.get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static Bytes bytes(int checksum, ByteBuffer in, int end) {
        return new Bytes(in.position(), end - in.position(), checksum);
    }
}
