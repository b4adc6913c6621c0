/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.IOException;
import java.nio.channels.FileChannel;

/**
 * How the journal uses the disk.
 *
 * @param segmentBytes size at which a file ends and the next one begins
 * @param toleratedBytes of dead records, below which nothing is moved to get rid of them
 */
record DiskUse(long segmentBytes, long toleratedBytes, Forcing forcing) {
    static final DiskUse DEFAULT = new DiskUse(64L * 1024 * 1024, 256L * 1024 * 1024, channel -> channel.force(false));

    /** Makes what was written to a file survive a loss of power. */
    interface Forcing {
        void force(FileChannel channel) throws IOException;
    }
}
