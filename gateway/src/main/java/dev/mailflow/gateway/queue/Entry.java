/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.util.Optional;

/** What is known in memory of one queued mail; its envelope and content are on disk. Guarded by the {@link MailStore}. */
final class Entry {
    private final long id;
    private final QueueIndex queue;
    private final Content content;
    private final int priority;

    /** Its record; empty until that is written. */
    Optional<Extent> record = Optional.empty();

    State state = State.UNWRITTEN;
    /** When it may be delivered, milliseconds of the epoch; past or 0: now. */
    long due;

    enum State {
        UNWRITTEN,
        READY,
        DELAYED,
        /** Handed out and not done. */
        TAKEN,
        GONE
    }

    Entry(long id, QueueIndex queue, Content content, int priority, long due) {
        this.id = id;
        this.queue = queue;
        this.content = content;
        this.priority = priority;
        this.due = due;
    }

    /** In the order in which mails came. */
    long id() {
        return id;
    }

    QueueIndex queue() {
        return queue;
    }

    Content content() {
        return content;
    }

    int priority() {
        return priority;
    }
}
