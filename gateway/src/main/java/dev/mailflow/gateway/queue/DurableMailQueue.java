/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Executor;
import java.util.function.Predicate;
import java.util.stream.Stream;

import javax.mail.MessagingException;

import org.apache.james.core.MailAddress;
import org.apache.james.metrics.api.GaugeRegistry;
import org.apache.james.metrics.api.Metric;
import org.apache.james.metrics.api.MetricFactory;
import org.apache.james.metrics.api.TimeMetric;
import org.apache.james.queue.api.MailQueueItemDecoratorFactory;
import org.apache.james.queue.api.MailQueueName;
import org.apache.james.queue.api.ManageableMailQueue;
import org.apache.james.server.core.MailImpl;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;
import org.reactivestreams.Publisher;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import dev.mailflow.delivery.queue.DeliveryService;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * A James mail queue in the {@link MailStore}: a mail is in it, on disk, when {@link #enQueue} returns, and leaves it when
 * its processing is done and not before.
 *
 * <p>The exception are mails that are queued while another one, taken from a queue of the same store, is being processed,
 * and that are it or copies of it: they are queued when that one is done, in the same commit (see {@link Delivery}). They
 * are recognised by an attribute of the mail, which its copies inherit.
 */
final class DurableMailQueue implements ManageableMailQueue {
    private static final Logger LOGGER = LoggerFactory.getLogger(DurableMailQueue.class);

    /** So that nobody comes a part of a millisecond early. */
    private static final int NANOS_BELOW_A_MILLISECOND = 999_999;

    /** The latest time there is, year 5138; nobody waits longer. */
    private static final Instant LATEST = Instant.ofEpochMilli(99_999_999_999_999L);

    private final MailQueueName name;
    private final MailStore store;
    private final QueueIndex index;
    private final Map<String, Delivery> deliveries;
    private final Clock clock;
    private final Executor dispatcher;
    private final MailQueueItemDecoratorFactory decorators;
    private final MetricFactory metrics;
    private final Metric enqueued;
    private final Metric dequeued;
    private volatile boolean dequeuing = true;

    /** @param deliveries those of all queues of the store, by the attribute of their mails */
    DurableMailQueue(
            MailQueueName name,
            MailStore store,
            Map<String, Delivery> deliveries,
            Clock clock,
            Executor dispatcher,
            MailQueueItemDecoratorFactory decorators,
            MetricFactory metrics,
            GaugeRegistry gauges) {
        this.name = name;
        this.store = store;
        this.index = store.queue(name.asString());
        this.deliveries = deliveries;
        this.clock = clock;
        this.dispatcher = dispatcher;
        this.decorators = decorators;
        this.metrics = metrics;
        this.enqueued = metrics.generate(ENQUEUED_METRIC_NAME_PREFIX + name.asString());
        this.dequeued = metrics.generate(DEQUEUED_METRIC_NAME_PREFIX + name.asString());
        gauges.register(QUEUE_SIZE_METRIC_NAME_PREFIX + name.asString(), this::getSize);
    }

    @Override
    public MailQueueName getName() {
        return name;
    }

    @Override
    public void enQueue(Mail mail) throws MailQueueException {
        enQueue(mail, Duration.ZERO);
    }

    @Override
    public void enQueue(Mail mail, Duration delay) throws MailQueueException {
        TimeMetric time = metrics.timer(ENQUEUED_TIMER_METRIC_NAME_PREFIX + name.asString());
        try {
            Optional<Delivery> processed = AttributeUtils.getValueAndCastFromMail(
                            mail, DeliveryService.PROCESSING, String.class)
                    .map(deliveries::get);
            if (processed.isPresent()) {
                MailStore.Prepared prepared = store.prepare(mail, index, due(delay));
                if (!processed.get().join(prepared)) {
                    store.commit(List.of(prepared), List.of());
                }
            } else {
                Room.Claim claim = store.claim(mail.getMessageSize());
                try {
                    store.commit(List.of(store.prepare(mail, index, due(delay))), List.of());
                } finally {
                    claim.close();
                }
            }
            enqueued.increment();
        } catch (IOException | MessagingException e) {
            throw new MailQueueException(
                    "Mail " + mail.getName() + " could not be put into queue " + name.asString() + ": "
                            + e.getMessage(),
                    e);
        } finally {
            time.stopAndPublish();
        }
    }

    /** @return milliseconds of the epoch; 0 is at once */
    private long due(Duration delay) {
        if (delay.isNegative() || delay.isZero()) {
            return 0;
        }
        Instant now = clock.instant();
        return (delay.compareTo(Duration.between(now, LATEST)) < 0 ? now.plus(delay) : LATEST)
                .plusNanos(NANOS_BELOW_A_MILLISECOND)
                .toEpochMilli();
    }

    @Override
    public Publisher<Void> enqueueReactive(Mail mail) {
        return Mono.fromCallable(() -> {
                    enQueue(mail);
                    return mail;
                })
                .then();
    }

    @Override
    public Publisher<MailQueueItem> deQueue() {
        return Flux.from(subscriber -> new Dequeuing(subscriber, index, this::next, dispatcher).start());
    }

    /** What the streams ask for from now on never comes. */
    void stopDequeuing() {
        dequeuing = false;
    }

    private Optional<MailQueueItem> next() {
        while (dequeuing) {
            Optional<Entry> entry = store.take(index);
            if (entry.isEmpty()) {
                break;
            }
            Optional<MailQueueItem> item = entry.flatMap(this::deliver);
            if (item.isPresent()) {
                dequeued.increment();
                return item;
            }
        }
        return Optional.empty();
    }

    private Optional<MailQueueItem> deliver(Entry entry) {
        try {
            return store.mail(entry).map(mail -> deliver(entry, mail));
        } catch (IOException | MessagingException | RuntimeException e) {
            store.setAside(entry, e);
            return Optional.empty();
        }
    }

    private MailQueueItem deliver(Entry entry, MailImpl mail) {
        // never the same twice: a copy that somebody kept must not join another processing of the same mail
        String token = UUID.randomUUID().toString();
        mail.setAttribute(new Attribute(DeliveryService.PROCESSING, AttributeValue.of(token)));
        Delivery delivery = new Delivery(store, clock, entry, mail, () -> deliveries.remove(token));
        deliveries.put(token, delivery);
        return decorators.decorate(delivery, name);
    }

    @Override
    public long getSize() {
        return store.size(index);
    }

    @Override
    public long flush() {
        return store.hasten(index);
    }

    @Override
    public long clear() throws MailQueueException {
        return remove(mail -> true);
    }

    @Override
    public long remove(Type type, String value) throws MailQueueException {
        return remove(
                switch (type) {
                    case Name -> mail -> mail.getName().equals(value);
                    case Sender -> mail -> mail.getMaybeSender().asString("").equals(value);
                    case Recipient -> mail -> mail.getRecipients().stream()
                            .map(MailAddress::asString)
                            .anyMatch(value::equals);
                });
    }

    /** Those that are being processed stay. */
    private long remove(Predicate<Mail> condition) throws MailQueueException {
        List<Entry> unwanted = store.waiting(index).stream()
                .filter(entry -> mail(entry).filter(condition).isPresent())
                .toList();
        try {
            return store.removeWaiting(unwanted);
        } catch (IOException e) {
            throw new MailQueueException("Mail could not be removed from queue " + name.asString(), e);
        }
    }

    private Optional<MailImpl> mail(Entry entry) {
        try {
            return store.mail(entry);
        } catch (IOException | MessagingException e) {
            LOGGER.warn("event=queue-mail-unreadable queue={}", name.asString(), e);
            return Optional.empty();
        }
    }

    @Override
    public MailQueueIterator browse() {
        Iterator<MailQueueItemView> views =
                store.list(index).stream().flatMap(this::view).iterator();
        return new MailQueueIterator() {
            @Override
            public boolean hasNext() {
                return views.hasNext();
            }

            @Override
            public MailQueueItemView next() {
                return views.next();
            }

            @Override
            public void close() {
                // nothing is open
            }
        };
    }

    private Stream<MailQueueItemView> view(Entry entry) {
        long due = store.due(entry);
        return mail(entry)
                .<MailQueueItemView>map(mail -> due > clock.millis()
                        ? new DefaultMailQueueItemView(
                                mail, Instant.ofEpochMilli(due).atZone(ZoneOffset.UTC))
                        : new DefaultMailQueueItemView(mail))
                .stream();
    }

    /** Nothing: whoever uses a queue closes it, and others use it too. Its factory closes the store. */
    @Override
    public void close() {
        LOGGER.debug("event=queue-released queue={}", name.asString());
    }
}
