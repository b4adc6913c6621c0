/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * How the journal uses the disk.
 *
 * @param segmentBytes size at which a file ends and the next one begins
 * @param toleratedBytes of dead records, below which nothing is moved to get rid of them
 */
record DiskUse(long segmentBytes, long toleratedBytes, Opening opening) {
    static final DiskUse DEFAULT = new DiskUse(
            64L * 1024 * 1024,
            256L * 1024 * 1024,
            file -> FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE));

    /** Opens a file to write to it, and makes it if it is missing. */
    interface Opening {
        FileChannel open(Path file) throws IOException;
    }
}
