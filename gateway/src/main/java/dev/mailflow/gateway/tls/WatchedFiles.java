/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.tls;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

import com.google.common.hash.Hasher;
import com.google.common.hash.Hashing;
import com.google.common.util.concurrent.ThreadFactoryBuilder;

/**
 * Tells when the content of some files has changed and rests, which is when it was the same twice: a key and its
 * certificate are two files, and are never replaced in one moment. They are small, so they are read rather than asked for
 * their time, which symbolic links and quick writers make a liar of.
 */
public final class WatchedFiles implements AutoCloseable {
    private static final Duration INTERVAL = Duration.ofSeconds(1);
    /** Nobody has a key store of more. */
    private static final int MOST = 4 * 1024 * 1024;

    private final List<Path> files;
    private final Runnable changed;
    private final ScheduledExecutorService poll;
    private String known;
    private String last;

    /** @param changed called on a thread of its own, never twice at once */
    @SuppressWarnings("FutureReturnValueIgnored") // it polls until it is closed
    public WatchedFiles(String name, List<Path> files, Runnable changed) {
        this.files = List.copyOf(files);
        this.changed = changed;
        this.known = digest();
        this.last = known;
        this.poll = Executors.newSingleThreadScheduledExecutor(new ThreadFactoryBuilder()
                .setNameFormat("mailflow-tls-" + name)
                .setDaemon(true)
                .build());
        poll.scheduleWithFixedDelay(this::look, INTERVAL.toMillis(), INTERVAL.toMillis(), TimeUnit.MILLISECONDS);
    }

    private void look() {
        String now = digest();
        boolean rests = now.equals(last);
        last = now;
        if (rests && !now.equals(known)) {
            known = now;
            changed.run();
        }
    }

    private String digest() {
        Hasher hasher = Hashing.sha256().newHasher();
        for (Path file : files) {
            try (var in = Files.newInputStream(file)) {
                byte[] content = in.readNBytes(MOST);
                hasher.putInt(content.length).putBytes(content);
            } catch (IOException e) {
                hasher.putInt(-1);
            }
        }
        return hasher.hash().toString();
    }

    @Override
    public void close() {
        poll.shutdownNow();
    }
}
