/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.util.Optional;

/**
 * The content of one or more queued mails: bytes in the journal, or a file of its own if there are many. It is kept as
 * long as a mail refers to it. All but the id and the size is guarded by the {@link MailStore}.
 */
final class Content {
    private final long id;
    private long size;

    /** Mails that are queued, and mails about to be. */
    int references;
    /** Its record in the journal; empty until that is written. */
    Optional<Extent> record = Optional.empty();

    boolean inFile;

    Content(long id) {
        this.id = id;
    }

    long id() {
        return id;
    }

    /** Bytes. */
    long size() {
        return size;
    }

    void size(long bytes) {
        size = bytes;
    }
}
