/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Clock;

import org.apache.james.filesystem.api.JamesDirectoriesProvider;
import org.apache.james.metrics.api.GaugeRegistry;
import org.apache.james.metrics.api.MetricFactory;
import org.apache.james.metrics.api.NoopGaugeRegistry;
import org.apache.james.metrics.tests.RecordingMetricFactory;
import org.apache.james.queue.api.RawMailQueueItemDecoratorFactory;
import org.apache.james.server.core.filesystem.FileSystemImpl;

import dev.mailflow.gateway.GatewayStartException;

/** A data directory for queues: all of James's directories in one. */
record QueueDirectory(Path root) implements JamesDirectoriesProvider {

    /** The queues in it. */
    DurableMailQueueFactory open(Clock clock) throws GatewayStartException {
        return open(clock, DiskUse.DEFAULT);
    }

    DurableMailQueueFactory open(Clock clock, DiskUse disk) throws GatewayStartException {
        return open(clock, new RecordingMetricFactory(), new NoopGaugeRegistry(), disk);
    }

    DurableMailQueueFactory open(Clock clock, MetricFactory metrics, GaugeRegistry gauges)
            throws GatewayStartException {
        return open(clock, metrics, gauges, DiskUse.DEFAULT);
    }

    private DurableMailQueueFactory open(Clock clock, MetricFactory metrics, GaugeRegistry gauges, DiskUse disk)
            throws GatewayStartException {
        try {
            return new DurableMailQueueFactory(
                    new FileSystemImpl(this), clock, new RawMailQueueItemDecoratorFactory(), metrics, gauges, disk);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    Path queue() {
        return root.resolve("queue");
    }

    @Override
    public String getAbsoluteDirectory() {
        return "/";
    }

    @Override
    public String getConfDirectory() {
        return root + "/";
    }

    @Override
    public String getVarDirectory() {
        return root + "/";
    }

    @Override
    public String getRootDirectory() {
        return root.toString();
    }
}
