/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;

import org.apache.james.queue.api.MailQueue.MailQueueException;
import org.apache.james.queue.api.MailQueue.MailQueueItem;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import reactor.core.publisher.Operators;

/**
 * Hands mails of a queue to one subscriber, as many as it asks for and when they come. It takes none out ahead of time,
 * and waiting for mail costs no thread.
 */
final class Dequeuing implements Subscription, Runnable {
    private static final Logger LOGGER = LoggerFactory.getLogger(Dequeuing.class);

    private final Subscriber<? super MailQueueItem> subscriber;
    private final QueueIndex queue;
    private final Supplier<Optional<MailQueueItem>> next;
    private final Executor executor;
    private final Runnable listener = this::wake;
    private final AtomicLong demand = new AtomicLong();
    private final AtomicInteger wakes = new AtomicInteger();
    private volatile boolean cancelled;

    /** @param next a mail, if there is one now */
    Dequeuing(
            Subscriber<? super MailQueueItem> subscriber,
            QueueIndex queue,
            Supplier<Optional<MailQueueItem>> next,
            Executor executor) {
        this.subscriber = subscriber;
        this.queue = queue;
        this.next = next;
        this.executor = executor;
    }

    void start() {
        subscriber.onSubscribe(this);
        queue.listen(listener);
        wake();
    }

    @Override
    public void request(long count) {
        if (Operators.validate(count)) {
            demand.accumulateAndGet(count, Operators::addCap);
            wake();
        }
    }

    @Override
    public void cancel() {
        cancelled = true;
        queue.forget(listener);
    }

    private void wake() {
        if (wakes.getAndIncrement() == 0) {
            try {
                executor.execute(this);
            } catch (RejectedExecutionException e) {
                // the queue is being closed
                LOGGER.debug("event=queue-closed queue={}", queue.name());
            }
        }
    }

    /** Never twice at the same time. */
    @Override
    public void run() {
        int seen = 1;
        while (seen != 0) {
            while (!cancelled && demand.get() > 0) {
                Optional<MailQueueItem> item = next.get();
                if (item.isEmpty()) {
                    break;
                }
                if (cancelled) {
                    putBack(item.get());
                } else {
                    demand.accumulateAndGet(1, (now, one) -> now == Long.MAX_VALUE ? now : now - one);
                    subscriber.onNext(item.get());
                }
            }
            seen = wakes.addAndGet(-seen);
        }
    }

    private static void putBack(MailQueueItem item) {
        try {
            item.done(MailQueueItem.CompletionStatus.RETRY);
        } catch (MailQueueException e) {
            LOGGER.debug("event=queue-item-dropped", e);
        }
    }
}
