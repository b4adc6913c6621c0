/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.storage;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where messages lie while they come in, if they are large: beside the queues, so that there is one disk to look after, and
 * readable by the owner only. What lies there when the gateway starts was not accepted by anybody, and is removed.
 *
 * <p>Clients see {@code 452 4.3.1} or {@code 451 4.3.0} at the end of a message that could not be written.
 * Administrators see when that begins and ends in the log.
 *
 * @see IncomingMessage
 */
public final class IncomingFiles {
    private static final Logger LOGGER = LoggerFactory.getLogger(IncomingFiles.class);
    private static final Set<PosixFilePermission> OWNER_ONLY = PosixFilePermissions.fromString("rwx------");

    private static final List<String> FULL = List.of("No space left on device", "Disk quota exceeded");
    /** A disk with less has no room for a message, whatever it is that it says and in whichever language. */
    private static final long NO_ROOM = 1024 * 1024;

    private final Path directory;
    private final AtomicBoolean failing = new AtomicBoolean();

    public IncomingFiles(Path directory) {
        this.directory = directory;
    }

    /** Makes the directory, empty and the owner's own. */
    public static void prepare(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            Files.createDirectory(directory, PosixFilePermissions.asFileAttribute(OWNER_ONLY));
        }
        Files.setPosixFilePermissions(directory, OWNER_ONLY);
        // it may be a link to another disk, those in it are not followed
        Path real = directory.toRealPath();
        Files.walkFileTree(real, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                Files.delete(file);
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path visited, IOException failure) throws IOException {
                if (failure != null) {
                    throw failure;
                }
                if (!visited.equals(real)) {
                    Files.delete(visited);
                }
                return FileVisitResult.CONTINUE;
            }
        });
    }

    /** @param name of the mail that it will be */
    public IncomingMessage begin(String name) {
        return new IncomingMessage(name, this);
    }

    /** A new file, which is the owner's own. */
    Path create() throws IOException {
        return Files.createTempFile(directory, "incoming-", ".eml");
    }

    void wrote() {
        if (failing.compareAndSet(true, false)) {
            LOGGER.info("event=incoming-goes-on directory={}: large messages are accepted again", directory);
        }
    }

    /** @return whether that is because there is no room */
    boolean failed(IOException failure) {
        boolean full = saysFull(failure) || hasNoRoom();
        if (failing.compareAndSet(false, true)) {
            LOGGER.warn(
                    "event=incoming-write-failed directory={} reason=\"{}\": large messages are refused, and their clients come"
                            + " again; make room, or mend the disk",
                    directory,
                    failure.getMessage());
        }
        return full;
    }

    private static boolean saysFull(IOException failure) {
        return FULL.stream().anyMatch(String.valueOf(failure.getMessage())::contains);
    }

    private boolean hasNoRoom() {
        try {
            return Files.getFileStore(directory).getUsableSpace() < NO_ROOM;
        } catch (IOException e) {
            return false;
        }
    }
}
