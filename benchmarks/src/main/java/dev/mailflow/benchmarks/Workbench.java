/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayDeque;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.stream.Stream;

/**
 * A directory for the run, and everything that was started in it. Closing ends what was started, last first, and
 * deletes the directory; it happens once, whether the run ends or a signal ends it.
 */
final class Workbench implements AutoCloseable {
    private final Path project;
    private final Path directory;
    private final boolean keep;
    private final Deque<AutoCloseable> started = new ArrayDeque<>();
    private boolean closed;

    private Workbench(Path project, Path directory, boolean keep) {
        this.project = project;
        this.directory = directory;
        this.keep = keep;
    }

    /**
     * Makes the directory. The checkout is the one of the system property {@code mailflow.project}.
     *
     * @param parent of the directory; a disk, for queues are to be durable
     * @param keep does not delete the directory
     */
    static Workbench in(Path parent, boolean keep) {
        Path project = Path.of(System.getProperty("mailflow.project", "."))
                .toAbsolutePath()
                .normalize();
        try {
            // servers that drop their privileges must be able to pass
            Path directory = Files.createTempDirectory(parent, "mailflow-bench-");
            Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
            Workbench workbench = new Workbench(project, directory, keep);
            Runtime.getRuntime().addShutdownHook(new Thread(workbench::close, "stop"));
            return workbench;
        } catch (IOException e) {
            throw new BenchmarkFailure("cannot make a directory below " + parent + ": " + e.getMessage(), e);
        }
    }

    /** The checkout. */
    Path project() {
        return project;
    }

    Path directory() {
        return directory;
    }

    /** An empty directory in the directory of the run. */
    Path directory(String name) {
        try {
            return Files.createDirectory(directory.resolve(name));
        } catch (IOException e) {
            throw new BenchmarkFailure("cannot make " + directory.resolve(name), e);
        }
    }

    /** Has something closed when the run ends, and gives it back. */
    <T extends AutoCloseable> T add(T resource) {
        synchronized (this) {
            if (!closed) {
                started.push(resource);
                return resource;
            }
        }
        close(resource);
        throw new BenchmarkFailure("stopped");
    }

    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        List<Throwable> problems =
                started.stream().flatMap(resource -> close(resource).stream()).toList();
        if (!keep) {
            delete();
        }
        if (!problems.isEmpty()) {
            BenchmarkFailure failure = new BenchmarkFailure("could not end everything that was started: "
                    + problems.get(0).getMessage());
            problems.forEach(failure::addSuppressed);
            throw failure;
        }
    }

    private static List<Throwable> close(AutoCloseable resource) {
        try {
            resource.close();
            return List.of();
        } catch (Exception e) {
            return List.of(e);
        }
    }

    private void delete() {
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            throw new BenchmarkFailure("cannot delete " + directory + ": " + e.getMessage(), e);
        }
    }
}
