/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import org.apache.james.metrics.api.GaugeRegistry;
import org.apache.james.metrics.api.MetricFactory;
import org.apache.james.queue.api.MailQueueItemDecoratorFactory;
import org.apache.james.queue.api.MailQueueName;
import org.apache.james.queue.api.ManageableMailQueue;
import org.apache.james.queue.library.AbstractMailQueueFactory;

import com.google.inject.Inject;
import com.google.inject.Singleton;

/** Makes the mail queues of the gateway, all in one {@link EmbeddedBroker}. */
@Singleton
final class DurableMailQueueFactory extends AbstractMailQueueFactory<ManageableMailQueue> {
    private final EmbeddedBroker broker;
    private final MailQueueItemDecoratorFactory decorators;
    private final MetricFactory metrics;
    private final GaugeRegistry gauges;

    @Inject
    DurableMailQueueFactory(
            EmbeddedBroker broker,
            MailQueueItemDecoratorFactory decorators,
            MetricFactory metrics,
            GaugeRegistry gauges) {
        this.broker = broker;
        this.decorators = decorators;
        this.metrics = metrics;
        this.gauges = gauges;
        // MBean names are one per process: two gateways would collide
        setUseJMX(false);
    }

    @Override
    protected ManageableMailQueue createCacheableMailQueue(MailQueueName name) {
        return new DurableMailQueue(broker, decorators, name, metrics, gauges);
    }
}
