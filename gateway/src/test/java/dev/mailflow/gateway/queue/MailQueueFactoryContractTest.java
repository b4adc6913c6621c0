/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.nio.file.Path;
import java.time.Clock;

import org.apache.james.queue.api.MailQueueFactory;
import org.apache.james.queue.api.MailQueueFactoryContract;
import org.apache.james.queue.api.ManageableMailQueue;
import org.apache.james.queue.api.ManageableMailQueueFactoryContract;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** What James asks of a factory of mail queues. */
class MailQueueFactoryContractTest
        implements MailQueueFactoryContract<ManageableMailQueue>,
                ManageableMailQueueFactoryContract<ManageableMailQueue> {
    @TempDir
    Path directory;

    private DurableMailQueueFactory factory;

    @BeforeEach
    void open() throws Exception {
        factory = new QueueDirectory(directory).open(Clock.systemUTC());
    }

    @AfterEach
    void close() throws Exception {
        factory.destroy();
    }

    @Override
    public MailQueueFactory<ManageableMailQueue> getMailQueueFactory() {
        return factory;
    }
}
