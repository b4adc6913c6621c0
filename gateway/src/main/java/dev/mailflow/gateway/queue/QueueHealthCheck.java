/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import org.apache.james.core.healthcheck.ComponentName;
import org.apache.james.core.healthcheck.HealthCheck;
import org.apache.james.core.healthcheck.Result;
import org.reactivestreams.Publisher;

import com.google.inject.Inject;

import reactor.core.publisher.Mono;

/** Unhealthy while the queues take no mail: the disk is full, or it failed. */
final class QueueHealthCheck implements HealthCheck {
    private static final ComponentName NAME = new ComponentName("Mail queues");

    private final DurableMailQueueFactory queues;

    @Inject
    QueueHealthCheck(DurableMailQueueFactory queues) {
        this.queues = queues;
    }

    @Override
    public ComponentName componentName() {
        return NAME;
    }

    @Override
    public Publisher<Result> check() {
        return Mono.fromCallable(() -> queues.trouble()
                .map(trouble -> Result.unhealthy(NAME, trouble.reason()))
                .orElseGet(() -> Result.healthy(NAME)));
    }
}
