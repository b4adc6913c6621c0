/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;

import dev.mailflow.gateway.storage.IncomingFiles;

/** The data directory while one gateway owns it: two would corrupt each other's queues. */
final class DataDirectory implements AutoCloseable {
    private static final String LOCK = "gateway.lock";
    private static final String INCOMING = "tmp";

    private final FileChannel channel;

    private DataDirectory(FileChannel channel) {
        this.channel = channel;
    }

    /** Where messages lie while they come in, below the data directory. */
    static Path incoming(Path directory) {
        return directory.resolve(INCOMING);
    }

    /**
     * Creates the directory, readable by its owner only, if it is missing, takes its lock, and removes what an earlier owner
     * left half received.
     */
    static DataDirectory own(Path directory) throws GatewayStartException {
        try {
            if (!Files.isDirectory(directory)) {
                Files.createDirectories(
                        directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            }
            FileChannel channel =
                    FileChannel.open(directory.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            if (lock(channel).isEmpty()) {
                channel.close();
                throw new GatewayStartException("The data directory " + directory
                        + " is in use by another gateway; stop that one, or give this one its own --data directory");
            }
            try {
                IncomingFiles.prepare(incoming(directory));
            } catch (IOException e) {
                channel.close();
                throw e;
            }
            return new DataDirectory(channel);
        } catch (IOException e) {
            throw new GatewayStartException(
                    "The data directory " + directory + " cannot be used (" + e
                            + "); give a --data directory that this user may write",
                    e);
        }
    }

    private static Optional<FileLock> lock(FileChannel channel) throws IOException {
        try {
            return Optional.ofNullable(channel.tryLock());
        } catch (OverlappingFileLockException e) {
            // held by this very process
            return Optional.empty();
        }
    }

    /** Releases the lock; the file stays, for removing it would race with the next owner. */
    @Override
    public void close() throws IOException {
        channel.close();
    }
}
