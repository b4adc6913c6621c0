/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** A disk of a few mebibytes, mounted on a directory, that can be filled and emptied. Only root can make one. */
final class SmallDisk implements AutoCloseable {
    private static final int MEBIBYTE = 1024 * 1024;
    private static final int COMMAND_SECONDS = 30;

    private final Path directory;
    private final Path ballast;

    private SmallDisk(Path directory) {
        this.directory = directory;
        this.ballast = directory.resolve("ballast");
    }

    /** The disk, or why there can be none on this machine. */
    static Optional<SmallDisk> mount(Path directory, int mebibytes) throws IOException {
        Files.createDirectories(directory);
        boolean mounted = "root".equals(System.getProperty("user.name"))
                && run("mount", "-t", "tmpfs", "-o", "size=" + mebibytes + "m", "tmpfs", directory.toString()) == 0;
        return mounted ? Optional.of(new SmallDisk(directory)) : Optional.empty();
    }

    private static int run(String... command) throws IOException {
        Process process = new ProcessBuilder(command).inheritIO().start();
        return process.onExit()
                .orTimeout(COMMAND_SECONDS, TimeUnit.SECONDS)
                .join()
                .exitValue();
    }

    /** Leaves about so much room; of 0, not a byte. */
    void leave(int mebibytes) throws IOException {
        Files.deleteIfExists(ballast);
        try (FileChannel file = FileChannel.open(ballast, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            long room = directory.toFile().getUsableSpace();
            long left = mebibytes == 0 ? Long.MAX_VALUE : Math.max(0, room - (long) mebibytes * MEBIBYTE);
            while (left > 0) {
                left -= file.write(ByteBuffer.allocate((int) Math.min(MEBIBYTE, left)));
            }
        } catch (IOException e) {
            // that is what a full disk says
            if (mebibytes > 0) {
                throw e;
            }
        }
    }

    void makeRoom() throws IOException {
        Files.deleteIfExists(ballast);
    }

    @Override
    public void close() throws IOException {
        // lazily: a file that is still open must not keep the mount
        run("umount", "-l", directory.toString());
    }
}
