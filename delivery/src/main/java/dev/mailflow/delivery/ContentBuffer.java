/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Takes the bytes of a message and gives them back as often as they are asked for. Up to {@value #IN_MEMORY} bytes stay in
 * memory; more of them go to a file in {@code java.io.tmpdir} that is the owner's alone and has no name any more from the
 * moment it is open, so that nobody reads other people's mail there and a process that is killed leaves none behind.
 *
 * <p>Written by one thread, then read by any. The file ends with {@link #close} or, where nobody can tell who reads last,
 * when the buffer and its content are not referred to any more.
 */
public final class ContentBuffer extends OutputStream {
    private static final int IN_MEMORY = 256 * 1024;
    private static final int CHUNK = 64 * 1024;

    private ByteArrayOutputStream memory = new ByteArrayOutputStream();
    private OutputStream out = memory;
    private FileChannel file;
    private long size;

    @Override
    public void write(int octet) throws IOException {
        makeRoomFor(1);
        out.write(octet);
        size++;
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
        makeRoomFor(length);
        out.write(bytes, offset, length);
        size += length;
    }

    private void makeRoomFor(int length) throws IOException {
        if (file == null && size + length > IN_MEMORY) {
            Path path = Files.createTempFile("mailflow-", ".eml");
            try {
                file = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE);
            } finally {
                Files.delete(path);
            }
            out = new BufferedOutputStream(Channels.newOutputStream(file), CHUNK);
            memory.writeTo(out);
            memory = null;
        }
    }

    /** What was written; call once nothing more is. */
    public MessageContent content() throws IOException {
        out.flush();
        if (file == null) {
            return MessageContent.of(memory.toByteArray());
        }
        return new MessageContent() {
            @Override
            public long size() {
                return size;
            }

            @Override
            public InputStream open() {
                return new BufferedInputStream(new FromFile(), CHUNK);
            }
        };
    }

    /** Forgets what was written; nothing of it can be read afterwards. */
    @Override
    public void close() throws IOException {
        if (file != null) {
            file.close();
        }
    }

    /** Has a place of its own, for others may read at the same time. */
    private final class FromFile extends InputStream {
        private long position;

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            int count = file.read(ByteBuffer.wrap(bytes, offset, length), position);
            position += Math.max(count, 0);
            return count;
        }
    }
}
