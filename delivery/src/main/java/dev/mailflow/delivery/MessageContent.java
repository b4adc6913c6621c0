/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;

/**
 * The bytes of a message (RFC 5322), read as they are sent. Line ends may be CRLF or bare LF, lines may begin with
 * dots: the SMTP client makes both right.
 */
public interface MessageContent {

    /** Length in bytes, for SIZE and for limits; an estimate does. */
    long size();

    /**
     * The bytes from the start; called once per attempt and per next hop, on a thread that may block.
     *
     * @throws IOException when the message cannot be read: its recipients are deferred
     */
    InputStream open() throws IOException;

    /** Content in memory; the array must not be changed afterwards. */
    static MessageContent of(byte[] bytes) {
        return new MessageContent() {
            @Override
            public long size() {
                return bytes.length;
            }

            @Override
            public InputStream open() {
                return new ByteArrayInputStream(bytes);
            }
        };
    }
}
