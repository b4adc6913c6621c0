/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;

import javax.annotation.PreDestroy;

import org.apache.james.filesystem.api.FileSystem;
import org.apache.james.metrics.api.GaugeRegistry;
import org.apache.james.metrics.api.MetricFactory;
import org.apache.james.queue.api.MailQueueItemDecoratorFactory;
import org.apache.james.queue.api.MailQueueName;
import org.apache.james.queue.api.ManageableMailQueue;
import org.apache.james.queue.library.AbstractMailQueueFactory;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.inject.Inject;
import com.google.inject.Singleton;

/** Makes the mail queues of the gateway, all in one {@link EmbeddedBroker}, and lets their delayed mails go in time. */
@Singleton
public final class DurableMailQueueFactory extends AbstractMailQueueFactory<ManageableMailQueue> {
    private static final Logger LOGGER = LoggerFactory.getLogger(DurableMailQueueFactory.class);
    private static final String DELAYED = "file://var/queue/delayed";

    /** How late a delayed mail may be. */
    private static final long RELEASE_INTERVAL_MILLIS = 250;

    private final EmbeddedBroker broker;
    private final FileSystem fileSystem;
    private final Clock clock;
    private final MailQueueItemDecoratorFactory decorators;
    private final MetricFactory metrics;
    private final GaugeRegistry gauges;
    private final List<DurableMailQueue> open = new CopyOnWriteArrayList<>();
    private final ScheduledExecutorService timer =
            Executors.newSingleThreadScheduledExecutor(task -> new Thread(task, "delayed-mails"));
    private final ScheduledFuture<?> releasing;

    @Inject
    DurableMailQueueFactory(
            EmbeddedBroker broker,
            FileSystem fileSystem,
            Clock clock,
            MailQueueItemDecoratorFactory decorators,
            MetricFactory metrics,
            GaugeRegistry gauges) {
        this.broker = broker;
        this.fileSystem = fileSystem;
        this.clock = clock;
        this.decorators = decorators;
        this.metrics = metrics;
        this.gauges = gauges;
        // MBean names are one per process: two gateways would collide
        setUseJMX(false);
        releasing = timer.scheduleWithFixedDelay(
                this::release, RELEASE_INTERVAL_MILLIS, RELEASE_INTERVAL_MILLIS, TimeUnit.MILLISECONDS);
    }

    @Override
    protected ManageableMailQueue createCacheableMailQueue(MailQueueName name) {
        try {
            Path directory = fileSystem
                    .getFile(DELAYED)
                    .toPath()
                    .resolve(URLEncoder.encode(name.asString(), StandardCharsets.UTF_8));
            DurableMailQueue queue =
                    new DurableMailQueue(broker, new DelayedMails(directory, clock), decorators, name, metrics, gauges);
            open.add(queue);
            return queue;
        } catch (IOException e) {
            throw new UncheckedIOException("Queue " + name.asString() + " cannot keep delayed mails", e);
        }
    }

    private void release() {
        try {
            open.forEach(DurableMailQueue::releaseDelayed);
        } catch (RuntimeException e) {
            // thrown on, it would end the timer for good
            LOGGER.error("event=delayed-mails-stuck", e);
        }
    }

    /** Hands out no mail any more, while those who have some may end their work and put more in: the first step of a stop. */
    public void stopDequeuing() {
        open.forEach(DurableMailQueue::stopDequeuing);
    }

    @Override
    @PreDestroy
    public synchronized void destroy() {
        stopDequeuing();
        releasing.cancel(false);
        timer.shutdown();
        try {
            timer.awaitTermination(RELEASE_INTERVAL_MILLIS * 20, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        super.destroy();
    }
}
