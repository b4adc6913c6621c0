/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;

import javax.annotation.PreDestroy;

import org.apache.james.filesystem.api.FileSystem;
import org.apache.james.lifecycle.api.Startable;
import org.apache.james.metrics.api.GaugeRegistry;
import org.apache.james.metrics.api.MetricFactory;
import org.apache.james.queue.api.MailQueueFactory;
import org.apache.james.queue.api.MailQueueItemDecoratorFactory;
import org.apache.james.queue.api.MailQueueName;
import org.apache.james.queue.api.ManageableMailQueue;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.common.collect.ImmutableSet;
import com.google.common.util.concurrent.ThreadFactoryBuilder;
import com.google.inject.Inject;
import com.google.inject.Singleton;

import dev.mailflow.gateway.GatewayStartException;

/** Makes the mail queues of the gateway, all in one {@link MailStore}, and lets their delayed mails go in time. */
@Singleton
public final class DurableMailQueueFactory implements MailQueueFactory<ManageableMailQueue>, Startable {
    private static final Logger LOGGER = LoggerFactory.getLogger(DurableMailQueueFactory.class);
    private static final String DIRECTORY = "file://var/queue";

    /** How late a delayed mail may be, and the end of a shortage of room be noticed. */
    private static final long RELEASE_INTERVAL_MILLIS = 250;

    private final MailStore store;
    private final Clock clock;
    private final MailQueueItemDecoratorFactory decorators;
    private final MetricFactory metrics;
    private final GaugeRegistry gauges;
    private final Map<MailQueueName, DurableMailQueue> queues = new ConcurrentHashMap<>();
    private final Map<String, Delivery> deliveries = new ConcurrentHashMap<>();
    private final ExecutorService dispatcher = Executors.newCachedThreadPool(new ThreadFactoryBuilder()
            .setNameFormat("queue-dispatch-%d")
            .setDaemon(true)
            .build());
    private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor(new ThreadFactoryBuilder()
            .setNameFormat("delayed-mails")
            .setDaemon(true)
            .build());
    private final ScheduledFuture<?> releasing;

    @Inject
    DurableMailQueueFactory(
            FileSystem fileSystem,
            Clock clock,
            MailQueueItemDecoratorFactory decorators,
            MetricFactory metrics,
            GaugeRegistry gauges,
            DiskUse disk)
            throws IOException, GatewayStartException {
        Path directory = fileSystem.getFile(DIRECTORY).toPath();
        EarlierQueues.requireNone(directory);
        this.store = MailStore.open(directory, clock, disk);
        this.clock = clock;
        this.decorators = decorators;
        this.metrics = metrics;
        this.gauges = gauges;
        // so that whoever looks after mail that waits finds it
        store.queues().forEach(name -> createQueue(MailQueueName.of(name)));
        releasing = timer.scheduleWithFixedDelay(
                this::release, RELEASE_INTERVAL_MILLIS, RELEASE_INTERVAL_MILLIS, TimeUnit.MILLISECONDS);
    }

    @Override
    public Optional<ManageableMailQueue> getQueue(MailQueueName name, PrefetchCount count) {
        return Optional.ofNullable(queues.get(name));
    }

    @Override
    public ManageableMailQueue createQueue(MailQueueName name, PrefetchCount count) {
        return queues.computeIfAbsent(
                name,
                created -> new DurableMailQueue(
                        created, store, deliveries, clock, dispatcher, decorators, metrics, gauges));
    }

    @Override
    public Set<MailQueueName> listCreatedMailQueues() {
        return ImmutableSet.copyOf(queues.keySet());
    }

    private void release() {
        try {
            store.lookForRoom();
            store.releaseDue();
        } catch (RuntimeException e) {
            // thrown on, it would end the timer for good
            LOGGER.error("event=delayed-mails-stuck", e);
        }
    }

    /** Why the queues take no mail now; empty when all is well. Never blocks. */
    public Optional<QueueTrouble> trouble() {
        return store.trouble(0);
    }

    /**
     * Why the queues would not take a mail of this size now; empty when they would. Never blocks.
     *
     * @param bytes 0 or more
     */
    public Optional<QueueTrouble> troubleWith(long bytes) {
        return store.trouble(bytes);
    }

    /** Bytes left on the disk of the queues, as of a moment ago. */
    long room() {
        return store.room();
    }

    /** Hands out no mail any more, while those who have some may end their work and put more in: the first step of a stop. */
    public void stopDequeuing() {
        queues.values().forEach(DurableMailQueue::stopDequeuing);
    }

    @PreDestroy
    public synchronized void destroy() throws IOException {
        stopDequeuing();
        releasing.cancel(false);
        timer.shutdown();
        dispatcher.shutdown();
        store.close();
    }
}
