/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;

import org.apache.james.queue.api.MailQueue.MailQueueItem;
import org.reactivestreams.Subscription;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import reactor.core.publisher.BaseSubscriber;

/**
 * Takes mail from a queue, and no more at once than a bound that may change: a higher one holds at once, a lower one as what is
 * under way ends. What was asked for under a higher bound and comes under a lower one waits, and goes back when the intake ends.
 */
final class Intake extends BaseSubscriber<MailQueueItem> {
    private static final Logger LOGGER = LoggerFactory.getLogger(Intake.class);

    private final String connector;
    private final Function<MailQueueItem, CompletionStage<Void>> handler;
    private final Deque<MailQueueItem> waiting = new ArrayDeque<>();
    private int bound;
    private boolean subscribed;
    private boolean ending;
    private int asked;
    private int handled;

    /** @param handler completes when the next mail may be taken */
    Intake(String connector, int bound, Function<MailQueueItem, CompletionStage<Void>> handler) {
        this.connector = connector;
        this.bound = bound;
        this.handler = handler;
    }

    void bound(int now) {
        synchronized (this) {
            bound = now;
        }
        proceed();
    }

    /** Asks for no more; what waits or is still to come goes to the handler, which knows that the end has come. */
    void end() {
        synchronized (this) {
            ending = true;
        }
        proceed();
    }

    @Override
    protected void hookOnSubscribe(Subscription subscription) {
        synchronized (this) {
            subscribed = true;
        }
        proceed();
    }

    @Override
    protected void hookOnNext(MailQueueItem item) {
        synchronized (this) {
            asked--;
            waiting.add(item);
        }
        proceed();
    }

    @Override
    protected void hookOnError(Throwable error) {
        LOGGER.error("Queue of connector '{}' has ended", connector, error);
    }

    private void proceed() {
        Optional<MailQueueItem> next = next();
        while (next.isPresent()) {
            handle(next.get());
            next = next();
        }
        int more = more();
        if (more > 0) {
            request(more);
        }
    }

    private synchronized Optional<MailQueueItem> next() {
        if (waiting.isEmpty() || (handled >= bound && !ending)) {
            return Optional.empty();
        }
        handled++;
        return Optional.of(waiting.remove());
    }

    private synchronized int more() {
        int more = bound - handled - waiting.size() - asked;
        if (!subscribed || ending || more <= 0) {
            return 0;
        }
        asked += more;
        return more;
    }

    @SuppressWarnings("FutureReturnValueIgnored") // ends here
    private void handle(MailQueueItem item) {
        handler.apply(item).whenComplete((done, thrown) -> {
            if (thrown != null) {
                LOGGER.error("Queue of connector '{}' failed, going on", connector, thrown);
            }
            synchronized (this) {
                handled--;
            }
            proceed();
        });
    }
}
