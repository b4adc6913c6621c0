/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.state;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicReference;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;

/**
 * What delivery has learnt and would rather not lose at a restart, as one JSON file that is replaced as a whole. Losing
 * it loses no mail; so what cannot be read is set aside and reported, and what cannot be written is reported.
 */
public final class StateFile<T> {
    private static final Logger LOGGER = LoggerFactory.getLogger(StateFile.class);
    private static final ObjectMapper JSON = JsonMapper.builder()
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .build();

    private final Optional<Path> path;
    private final TypeReference<T> type;
    private final Executor executor;
    private final AtomicReference<T> pending = new AtomicReference<>();

    /**
     * @param path empty: nothing outlives the process
     * @param executor writes
     */
    public StateFile(Optional<Path> path, TypeReference<T> type, Executor executor) {
        this.path = path;
        this.type = type;
        this.executor = executor;
    }

    /** What was written last; empty: nothing, or nothing that can be read. */
    public Optional<T> read() {
        if (path.isEmpty() || !Files.exists(path.get())) {
            return Optional.empty();
        }
        try {
            return Optional.of(JSON.readValue(path.get().toFile(), type));
        } catch (IOException e) {
            Path aside = path.get().resolveSibling(path.get().getFileName() + ".unreadable");
            LOGGER.error("{} cannot be read ({}): set aside as {}, begun anew", path.get(), e.getMessage(), aside);
            try {
                Files.move(path.get(), aside, StandardCopyOption.REPLACE_EXISTING);
            } catch (IOException moving) {
                LOGGER.error("{} cannot be set aside", path.get(), moving);
            }
            return Optional.empty();
        }
    }

    /** Writes soon; of several values that wait only the last one is written. */
    public void write(T value) {
        if (path.isEmpty() || pending.getAndSet(value) != null) {
            return;
        }
        try {
            executor.execute(this::writePending);
        } catch (RejectedExecutionException e) {
            writePending();
        }
    }

    /** A value as it is written, for {@link #writeNow}. */
    public byte[] encode(T value) {
        try {
            return JSON.writeValueAsBytes(value);
        } catch (JsonProcessingException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Writes now; blocks. */
    public synchronized void writeNow(byte[] encoded) {
        if (path.isEmpty()) {
            return;
        }
        Path target = path.get();
        Path draft = target.resolveSibling(target.getFileName() + ".new");
        try {
            Files.createDirectories(target.getParent());
            try (FileChannel channel = FileChannel.open(
                    draft, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
                ByteBuffer bytes = ByteBuffer.wrap(encoded);
                while (bytes.hasRemaining()) {
                    channel.write(bytes);
                }
                channel.force(true);
            }
            try {
                Files.move(draft, target, StandardCopyOption.ATOMIC_MOVE);
            } catch (AtomicMoveNotSupportedException e) {
                Files.move(draft, target, StandardCopyOption.REPLACE_EXISTING);
            }
        } catch (IOException e) {
            LOGGER.error("{} cannot be written: it will be missing after a restart", target, e);
        }
    }

    private void writePending() {
        T value = pending.getAndSet(null);
        if (value != null) {
            writeNow(encode(value));
        }
    }
}
