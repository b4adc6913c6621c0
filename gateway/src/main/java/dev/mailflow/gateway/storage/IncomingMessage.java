/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.storage;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

import org.apache.james.lifecycle.api.Disposable;
import org.apache.james.server.core.MimeMessageSource;
import org.apache.james.util.SizeFormat;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A message while it comes in: in memory, and in a file of {@link IncomingFiles} when it is larger than
 * {@code james.message.memory.threshold} (100 KB without one). What cannot be written is no error before the
 * message has come to its end, for until then its client listens to no reply.
 *
 * <p>Not thread-safe.
 */
public final class IncomingMessage implements MimeMessageSource, Disposable {
    private static final Logger LOGGER = LoggerFactory.getLogger(IncomingMessage.class);
    private static final int USUAL_MEMORY = 100 * 1024;
    private static final int MEMORY = memory();
    private static final int BUFFER = 64 * 1024;

    private final String name;
    private final IncomingFiles files;
    private final List<InputStream> readers = new ArrayList<>();

    private ByteArrayOutputStream memory = new ByteArrayOutputStream();
    private OutputStream out = memory;
    private Optional<Path> file = Optional.empty();
    private Optional<IOException> failure = Optional.empty();
    private boolean full;
    private long size;

    IncomingMessage(String name, IncomingFiles files) {
        this.name = name;
        this.files = files;
    }

    private static int memory() {
        return Optional.ofNullable(System.getProperty("james.message.memory.threshold"))
                .map(SizeFormat::parseAsByteCount)
                .map(Math::toIntExact)
                .orElse(USUAL_MEMORY);
    }

    /** Adds bytes to the message. */
    public void write(byte[] bytes, int offset, int length) {
        size += length;
        if (failure.isPresent()) {
            return;
        }
        try {
            if (file.isEmpty() && size > MEMORY) {
                Path created = files.create();
                file = Optional.of(created);
                out = new BufferedOutputStream(Files.newOutputStream(created), BUFFER);
                memory.writeTo(out);
                memory = new ByteArrayOutputStream(0);
            }
            out.write(bytes, offset, length);
        } catch (IOException e) {
            fail(e);
        }
    }

    /**
     * Nothing is written any more.
     *
     * @return why the message could not be written; what is left of it is gone then
     */
    public Optional<IOException> end() {
        if (failure.isEmpty()) {
            try {
                out.close();
                file.ifPresent(written -> files.wrote());
            } catch (IOException e) {
                fail(e);
            }
        }
        return failure;
    }

    /** Whether it could not be written because there is no room. */
    public boolean isOutOfRoom() {
        return full;
    }

    private void fail(IOException e) {
        failure = Optional.of(e);
        full = files.failed(e);
        dispose();
    }

    /** The name of the mail that it will be. */
    @Override
    public String getSourceId() {
        return name;
    }

    @Override
    public InputStream getInputStream() throws IOException {
        if (file.isEmpty()) {
            return new ByteArrayInputStream(memory.toByteArray());
        }
        InputStream in = new BufferedInputStream(Files.newInputStream(file.get()));
        readers.add(in);
        return in;
    }

    @Override
    public long getMessageSize() {
        return size;
    }

    /** Removes what was written; may be called again. */
    @Override
    public void dispose() {
        readers.forEach(this::close);
        readers.clear();
        close(out);
        memory = new ByteArrayOutputStream(0);
        file.ifPresent(written -> {
            try {
                Files.deleteIfExists(written);
            } catch (IOException e) {
                LOGGER.warn("event=incoming-not-removed file={} reason=\"{}\"", written, e.getMessage());
            }
        });
    }

    private void close(AutoCloseable stream) {
        try {
            stream.close();
        } catch (Exception e) {
            LOGGER.debug("event=incoming-not-closed mail={}", name, e);
        }
    }
}
