/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

import javax.jms.JMSException;

/**
 * Idle channels of one kind to one queue. There are as many as were ever in use at the same time, which the callers'
 * thread pools bound.
 */
final class Channels<T extends Channel> {
    private final Queue<T> idle = new ConcurrentLinkedQueue<>();
    private final Opening<T> opening;
    private volatile boolean closed;

    /** Opens one more. */
    interface Opening<T> {
        T open() throws JMSException;
    }

    Channels(Opening<T> opening) {
        this.opening = opening;
    }

    /** One for the caller alone, until it is given back or closed. */
    T borrow() throws JMSException {
        T channel = idle.poll();
        return channel == null ? opening.open() : channel;
    }

    void giveBack(T channel) {
        idle.add(channel);
        if (closed) {
            close();
        }
    }

    /** Closes the idle ones now, and those in use when they come back. */
    void close() {
        closed = true;
        for (T channel = idle.poll(); channel != null; channel = idle.poll()) {
            channel.close();
        }
    }
}
