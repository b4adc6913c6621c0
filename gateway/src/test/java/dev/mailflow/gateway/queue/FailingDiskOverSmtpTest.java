/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.awaitility.Awaitility.await;

import java.nio.file.Path;
import java.time.Duration;

import org.apache.james.queue.api.MailQueueFactory;
import org.apache.james.queue.api.ManageableMailQueue;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import com.google.inject.AbstractModule;
import com.sun.mail.smtp.SMTPSendFailedException;

import dev.mailflow.gateway.FirstMailbox;
import dev.mailflow.gateway.Gateway;
import dev.mailflow.gateway.MailClient;
import dev.mailflow.gateway.SampleConfiguration;

/** What clients see of a whole gateway whose disk fails. */
class FailingDiskOverSmtpTest {
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final String UNAVAILABLE = "451 4.3.0 Mail queue is not available, try again later";

    @TempDir
    Path temporary;

    private Path conf;

    @BeforeEach
    void copySample() {
        conf = SampleConfiguration.copyTo(temporary.resolve("conf")).directory();
    }

    private Gateway start(DiskUse disk) throws Exception {
        return Gateway.builder()
                .conf(conf)
                .data(temporary.resolve("data"))
                .ephemeralPorts()
                .overrideWith(new AbstractModule() {
                    @Override
                    protected void configure() {
                        bind(DiskUse.class).toInstance(disk);
                    }
                })
                .build()
                .start();
    }

    private static void send(Gateway gateway, FirstMailbox mailbox, String subject) throws Exception {
        MailClient.send(gateway.port("smtp"), "you@example.net", mailbox.address(), subject);
    }

    /** @param command that is answered with it */
    private static void assertRefused(Gateway gateway, FirstMailbox mailbox, String subject, String command) {
        SMTPSendFailedException refusal =
                catchThrowableOfType(SMTPSendFailedException.class, () -> send(gateway, mailbox, subject));
        assertThat(refusal).hasMessageContaining(UNAVAILABLE);
        assertThat(refusal.getCommand()).startsWith(command);
    }

    private static void awaitArrived(Gateway gateway, FirstMailbox mailbox, String... subjects) {
        await().atMost(PATIENCE).ignoreExceptions().untilAsserted(() -> assertThat(
                        MailClient.subjects(gateway, mailbox))
                .contains(subjects));
    }

    /** A mail is in its mailbox before the queue has noted that it need not be delivered again. */
    private static void awaitProcessed(DurableMailQueueFactory queues) {
        ManageableMailQueue spool = queues.createQueue(MailQueueFactory.SPOOL);
        await().atMost(PATIENCE).until(() -> spool.getSize() == 0);
    }

    @Test
    void mailShouldBeRefusedAndNotLostWhenTheDiskFails() throws Exception {
        FaultyDisk disk = new FaultyDisk();
        FirstMailbox mailbox;
        try (Gateway gateway = start(disk.use(DiskUse.DEFAULT))) {
            mailbox = gateway.firstMailbox().orElseThrow();
            send(gateway, mailbox, "Before");
            awaitArrived(gateway, mailbox, "Before");
            DurableMailQueueFactory queues = gateway.instance(DurableMailQueueFactory.class);

            awaitProcessed(queues);

            // a disk that does not write for a time
            disk.fail(FaultyDisk.Operation.WRITE, FaultyDisk.Operation.TRUNCATE);
            assertRefused(gateway, mailbox, "First", ".");
            assertRefused(gateway, mailbox, "First", "MAIL FROM");
            disk.mend();
            await().atMost(PATIENCE).until(() -> queues.trouble().isEmpty());
            send(gateway, mailbox, "First");
            awaitArrived(gateway, mailbox, "Before", "First");
            assertThat(MailClient.subjects(gateway, mailbox)).hasSize(2);
            awaitProcessed(queues);

            // and one of which nobody knows what it holds
            disk.fail(FaultyDisk.Operation.FORCE);
            assertRefused(gateway, mailbox, "Second", ".");
            disk.mend();
            assertRefused(gateway, mailbox, "Second", "MAIL FROM");
            assertThat(MailClient.subjects(gateway, mailbox)).hasSize(2);
        }

        try (Gateway again = start(DiskUse.DEFAULT)) {
            send(again, mailbox, "Second");
            awaitArrived(again, mailbox, "Before", "First", "Second");
        }
    }
}
