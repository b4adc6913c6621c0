/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import org.apache.james.core.healthcheck.HealthCheck;
import org.apache.james.queue.api.MailQueue;
import org.apache.james.queue.api.MailQueueFactory;
import org.apache.james.queue.api.ManageableMailQueue;

import com.google.inject.AbstractModule;
import com.google.inject.TypeLiteral;
import com.google.inject.multibindings.Multibinder;

/** The durable mail queues, under every type James asks for. */
public final class MailQueueModule extends AbstractModule {
    @Override
    protected void configure() {
        bind(new TypeLiteral<MailQueueFactory<?>>() {}).to(DurableMailQueueFactory.class);
        bind(new TypeLiteral<MailQueueFactory<? extends MailQueue>>() {}).to(DurableMailQueueFactory.class);
        bind(new TypeLiteral<MailQueueFactory<? extends ManageableMailQueue>>() {})
                .to(DurableMailQueueFactory.class);
        bind(new TypeLiteral<MailQueueFactory<ManageableMailQueue>>() {}).to(DurableMailQueueFactory.class);
        Multibinder.newSetBinder(binder(), HealthCheck.class).addBinding().to(QueueHealthCheck.class);
    }
}
