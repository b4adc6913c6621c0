/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import org.apache.james.core.healthcheck.HealthCheck;
import org.apache.james.metrics.api.GaugeRegistry;
import org.apache.james.queue.api.MailQueue;
import org.apache.james.queue.api.MailQueueFactory;
import org.apache.james.queue.api.ManageableMailQueue;
import org.apache.james.utils.InitializationOperation;
import org.apache.james.utils.InitilizationOperationBuilder;

import com.google.inject.AbstractModule;
import com.google.inject.TypeLiteral;
import com.google.inject.multibindings.Multibinder;
import com.google.inject.multibindings.ProvidesIntoSet;

/** The durable mail queues, under every type James asks for. */
public final class MailQueueModule extends AbstractModule {
    /** Bytes left for the queues. */
    private static final String ROOM_METRIC = "mailflow.queue.room";

    @Override
    protected void configure() {
        bind(DiskUse.class).toInstance(DiskUse.DEFAULT);
        bind(new TypeLiteral<MailQueueFactory<?>>() {}).to(DurableMailQueueFactory.class);
        bind(new TypeLiteral<MailQueueFactory<? extends MailQueue>>() {}).to(DurableMailQueueFactory.class);
        bind(new TypeLiteral<MailQueueFactory<? extends ManageableMailQueue>>() {})
                .to(DurableMailQueueFactory.class);
        bind(new TypeLiteral<MailQueueFactory<ManageableMailQueue>>() {}).to(DurableMailQueueFactory.class);
        Multibinder.newSetBinder(binder(), HealthCheck.class).addBinding().to(QueueHealthCheck.class);
    }

    @ProvidesIntoSet
    InitializationOperation roomGauge(DurableMailQueueFactory queues, GaugeRegistry gauges) {
        return InitilizationOperationBuilder.forClass(DurableMailQueueFactory.class)
                .init(() -> gauges.register(ROOM_METRIC, queues::room));
    }
}
