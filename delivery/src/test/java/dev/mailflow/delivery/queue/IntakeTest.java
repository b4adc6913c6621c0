/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.IntStream;

import javax.mail.Session;
import javax.mail.internet.MimeMessage;

import org.apache.james.queue.api.MailQueue;
import org.apache.james.queue.api.MailQueue.MailQueueItem;
import org.apache.james.queue.api.MailQueueName;
import org.apache.james.queue.api.RawMailQueueItemDecoratorFactory;
import org.apache.james.queue.memory.MemoryMailQueueFactory;
import org.apache.james.server.core.MailImpl;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import reactor.core.publisher.Flux;
import reactor.core.scheduler.Schedulers;

class IntakeTest {
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final List<String> taken = new CopyOnWriteArrayList<>();
    private final List<CompletableFuture<Void>> underWay = new CopyOnWriteArrayList<>();
    private MailQueue queue;
    private Intake intake;

    @BeforeEach
    void start() {
        queue = new MemoryMailQueueFactory(new RawMailQueueItemDecoratorFactory()).createQueue(MailQueueName.of("q"));
        intake = new Intake("relay", 8, this::handle);
        Flux.from(queue.deQueue()).subscribeOn(Schedulers.boundedElastic()).subscribe(intake);
    }

    @AfterEach
    void stop() {
        intake.dispose();
    }

    private CompletionStage<Void> handle(MailQueueItem item) {
        CompletableFuture<Void> attempt = new CompletableFuture<>();
        underWay.add(attempt);
        taken.add(item.getMail().getName());
        return attempt;
    }

    private void enqueue(int mails) throws Exception {
        for (int i = 0; i < mails; i++) {
            MimeMessage message = new MimeMessage(Session.getInstance(new Properties()));
            message.setText("Good morning.");
            message.saveChanges();
            queue.enQueue(MailImpl.builder()
                    .name("m" + i)
                    .sender("joe@contoso.com")
                    .addRecipient("ann@fabrikam.com")
                    .mimeMessage(message)
                    .build());
        }
    }

    private static List<String> names(int mails) {
        return IntStream.range(0, mails).mapToObj(i -> "m" + i).toList();
    }

    private void awaitTaken(int number) {
        await().atMost(PATIENCE).untilAsserted(() -> assertThat(taken).hasSize(number));
    }

    @Test
    void noMoreThanTheBoundShouldBeUnderWay() throws Exception {
        enqueue(20);
        awaitTaken(8);

        underWay.get(0).complete(null);
        underWay.get(1).completeExceptionally(new IllegalStateException("one of them fails"));

        awaitTaken(10);
        assertThat(taken).containsExactlyInAnyOrderElementsOf(names(10));
    }

    @Test
    void higherBoundShouldHoldAtOnce() throws Exception {
        enqueue(20);
        awaitTaken(8);

        intake.bound(20);

        awaitTaken(20);
        assertThat(taken).containsExactlyInAnyOrderElementsOf(names(20));
    }

    @Test
    void lowerBoundShouldHoldForWhatWasAskedForBefore() throws Exception {
        intake.bound(2);

        enqueue(20);

        for (int over = 0; over < 18; over++) {
            awaitTaken(2 + over);
            underWay.get(over).complete(null);
        }
        awaitTaken(20);
        assertThat(taken).containsExactlyInAnyOrderElementsOf(names(20));
    }

    @Test
    void lowerBoundShouldHoldOnceEnoughIsOver() throws Exception {
        enqueue(20);
        awaitTaken(8);

        intake.bound(2);
        underWay.subList(0, 6).forEach(attempt -> attempt.complete(null));
        assertThat(taken).hasSize(8);
        underWay.get(6).complete(null);

        awaitTaken(9);
        assertThat(taken).containsExactlyInAnyOrderElementsOf(names(9));
    }

    @Test
    void whatWaitsForALowerBoundShouldBeHandedOverAtTheEnd() throws Exception {
        intake.bound(2);
        enqueue(20);
        awaitTaken(2);

        intake.end();

        // what had been asked for, and no more
        awaitTaken(8);
        underWay.forEach(attempt -> attempt.complete(null));
        await().during(Duration.ofMillis(500)).atMost(PATIENCE).until(() -> taken.size() == 8);
    }
}
