/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.IOException;

/**
 * Where some bytes lie in the journal.
 *
 * @param checksum of them, CRC-32C
 */
record Extent(Segment segment, long offset, int length, int checksum) {
    /** @throws IOException also when the disk gives back other bytes than were written */
    byte[] read() throws IOException {
        byte[] bytes = segment.read(offset, length);
        if (Journal.checksum(bytes) != checksum) {
            throw new IOException(length + " bytes from " + offset + " of " + segment.path() + " are damaged");
        }
        return bytes;
    }
}
