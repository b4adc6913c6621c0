/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.nio.file.Path;
import java.time.Clock;

import org.apache.james.queue.api.DelayedManageableMailQueueContract;
import org.apache.james.queue.api.DelayedPriorityMailQueueContract;
import org.apache.james.queue.api.MailQueueFactory;
import org.apache.james.queue.api.MailQueueMetricContract;
import org.apache.james.queue.api.MailQueueMetricExtension;
import org.apache.james.queue.api.MailQueueName;
import org.apache.james.queue.api.ManageableMailQueue;
import org.apache.james.queue.api.PriorityManageableMailQueueContract;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** What James asks of a mail queue. */
@ExtendWith(MailQueueMetricExtension.class)
class MailQueueContractTest
        implements DelayedManageableMailQueueContract,
                DelayedPriorityMailQueueContract,
                PriorityManageableMailQueueContract,
                MailQueueMetricContract {
    @TempDir
    Path directory;

    private DurableMailQueueFactory factory;
    private ManageableMailQueue queue;

    @BeforeEach
    void open(MailQueueMetricExtension.MailQueueMetricTestSystem system) throws Exception {
        factory = new QueueDirectory(directory)
                .open(Clock.systemUTC(), system.getMetricFactory(), system.getSpyGaugeRegistry());
        queue = factory.createQueue(MailQueueName.of("test"), MailQueueFactory.prefetchCount(1));
    }

    @AfterEach
    void close() throws Exception {
        factory.destroy();
    }

    @Override
    public ManageableMailQueue getMailQueue() {
        return queue;
    }

    @Override
    public ManageableMailQueue getManageableMailQueue() {
        return queue;
    }
}
