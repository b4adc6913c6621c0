/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;

import org.apache.james.queue.api.MailQueue;
import org.apache.james.queue.api.MailQueue.MailQueueItem;
import org.apache.james.queue.api.MailQueue.MailQueueItem.CompletionStatus;
import org.apache.james.queue.api.MailQueueFactory;
import org.apache.james.queue.api.MailQueueName;
import org.apache.james.queue.api.ManageableMailQueue;
import org.apache.mailet.Mail;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.gateway.GatewayStartException;
import dev.mailflow.gateway.storage.SampleMail;
import reactor.core.publisher.Flux;

class DurableMailQueueTest {
    private static final Duration PATIENCE = Duration.ofSeconds(20);

    @TempDir
    Path directory;

    private final AdjustableClock clock = new AdjustableClock(Instant.parse("2026-11-23T12:00:00Z"), ZoneOffset.UTC);
    private DurableMailQueueFactory factory;
    private ManageableMailQueue queue;

    @BeforeEach
    void open() throws Exception {
        factory = new QueueDirectory(directory).open(clock);
        queue = factory.createQueue(MailQueueName.of("test"), MailQueueFactory.prefetchCount(1));
    }

    @AfterEach
    void close() throws Exception {
        factory.destroy();
    }

    private void reopen() throws Exception {
        close();
        open();
    }

    private MailQueueItem take() {
        return Flux.from(queue.deQueue()).blockFirst(PATIENCE);
    }

    private boolean isIdleFor(Duration time) {
        return Flux.from(queue.deQueue())
                .timeout(time, Flux.empty())
                .doOnNext(DurableMailQueueTest::putBack)
                .hasElements()
                .block()
                .equals(Boolean.FALSE);
    }

    private static void putBack(MailQueueItem item) {
        try {
            item.done(CompletionStatus.RETRY);
        } catch (MailQueue.MailQueueException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void mailShouldSurviveARestartByteForByte() throws Exception {
        queue.enQueue(SampleMail.named("m1"));

        reopen();
        MailQueueItem item = take();

        assertThat(item.getMail().getName()).isEqualTo("m1");
        assertThat(SampleMail.bytes(item.getMail()))
                .isEqualTo(SampleMail.CONTENT.getBytes(StandardCharsets.ISO_8859_1));
        item.done(CompletionStatus.SUCCESS);
        assertThat(queue.getSize()).isZero();
    }

    @Test
    void mailShouldStayUntilItsProcessingIsDone() throws Exception {
        queue.enQueue(SampleMail.named("m1"));
        take();

        assertThat(queue.getSize()).isEqualTo(1);
        reopen();

        assertThat(take().getMail().getName()).isEqualTo("m1");
    }

    @Test
    void rejectedMailShouldComeBackAsOftenAsItIsRejected() throws Exception {
        queue.enQueue(SampleMail.named("m1"));

        for (int i = 0; i < 12; i++) {
            MailQueueItem item = take();
            assertThat(item.getMail().getName()).isEqualTo("m1");
            item.done(CompletionStatus.REJECT);
        }

        assertThat(queue.getSize()).isEqualTo(1);
    }

    @Test
    void delayedMailShouldComeWhenItsTimeHasComeAndNotBefore() throws Exception {
        queue.enQueue(SampleMail.named("later"), Duration.ofHours(1));
        assertThat(queue.getSize()).isEqualTo(1);
        assertThat(isIdleFor(Duration.ofSeconds(1))).isTrue();

        clock.advance(Duration.ofHours(1));
        MailQueueItem item = take();

        assertThat(item.getMail().getName()).isEqualTo("later");
        assertThat(SampleMail.bytes(item.getMail()))
                .isEqualTo(SampleMail.CONTENT.getBytes(StandardCharsets.ISO_8859_1));
        item.done(CompletionStatus.SUCCESS);
        await().atMost(PATIENCE).untilAsserted(() -> assertThat(queue.getSize()).isZero());
    }

    @Test
    void delayedMailShouldSurviveARestart() throws Exception {
        queue.enQueue(SampleMail.named("later"), Duration.ofHours(1));

        reopen();
        assertThat(queue.getSize()).isEqualTo(1);
        clock.advance(Duration.ofHours(1));

        assertThat(take().getMail().getName()).isEqualTo("later");
    }

    @Test
    void manyDelayedMailsShouldNotHideANewOne() throws Exception {
        for (int i = 0; i < 500; i++) {
            queue.enQueue(SampleMail.named("later-" + i), Duration.ofHours(1));
        }

        queue.enQueue(SampleMail.named("now"));

        assertThat(take().getMail().getName()).isEqualTo("now");
    }

    @Test
    void flushShouldReleaseDelayedMails() throws Exception {
        queue.enQueue(SampleMail.named("later"), Duration.ofDays(365_000));

        assertThat(queue.flush()).isEqualTo(1);

        assertThat(take().getMail().getName()).isEqualTo("later");
    }

    @Test
    void removeShouldFindReadyAndDelayedMails() throws Exception {
        queue.enQueue(SampleMail.named("a"));
        queue.enQueue(SampleMail.named("b"));
        queue.enQueue(SampleMail.named("c"), Duration.ofHours(1));

        assertThat(queue.remove(ManageableMailQueue.Type.Name, "a")).isEqualTo(1);
        assertThat(queue.remove(ManageableMailQueue.Type.Name, "c")).isEqualTo(1);
        assertThat(queue.remove(ManageableMailQueue.Type.Name, "' OR 'a' = 'a")).isZero();
        assertThat(queue.remove(ManageableMailQueue.Type.Recipient, "bob@example.com"))
                .isEqualTo(1);
        assertThat(queue.getSize()).isZero();
    }

    @Test
    void browseShouldShowReadyAndDelayedMailsWithTheirTime() throws Exception {
        queue.enQueue(SampleMail.named("now"));
        queue.enQueue(SampleMail.named("later"), Duration.ofHours(1));
        List<String> seen = new ArrayList<>();

        ManageableMailQueue.MailQueueIterator items = queue.browse();
        items.forEachRemaining(item -> seen.add(item.getMail().getName()
                + item.getNextDelivery().map(time -> " at " + time.toInstant()).orElse("")));
        items.close();

        assertThat(seen).containsExactly("now", "later at 2026-11-23T13:00:00Z");
        assertThat(queue.clear()).isEqualTo(2);
    }

    @Test
    void concurrentSendersAndReceiversShouldLoseAndDoubleNothing() throws Exception {
        int mails = 400;
        Set<String> received = ConcurrentHashMap.newKeySet();
        ExecutorService senders = Executors.newFixedThreadPool(8);
        try {
            List<Future<?>> sent = new ArrayList<>();
            for (int i = 0; i < mails; i++) {
                Mail mail = SampleMail.named("m" + i);
                sent.add(senders.submit(() -> {
                    queue.enQueue(mail);
                    return mail;
                }));
            }
            Flux.from(queue.deQueue())
                    .take(mails)
                    .flatMap(
                            item -> Flux.defer(() -> {
                                assertThat(received.add(item.getMail().getName()))
                                        .isTrue();
                                try {
                                    item.done(CompletionStatus.SUCCESS);
                                } catch (MailQueue.MailQueueException e) {
                                    return Flux.error(e);
                                }
                                return Flux.empty();
                            }),
                            16)
                    .blockLast(Duration.ofSeconds(60));
            for (Future<?> future : sent) {
                future.get();
            }
        } finally {
            senders.shutdown();
        }
        assertThat(received).hasSize(mails);
        assertThat(queue.getSize()).isZero();
    }

    // ---- mail that is queued while another one is processed -------------------------------------------------------

    private ManageableMailQueue other() {
        return factory.createQueue(MailQueueName.of("other"), MailQueueFactory.prefetchCount(1));
    }

    @Test
    void copyShouldBeQueuedInTheMomentItsMailIsDone() throws Exception {
        queue.enQueue(SampleMail.named("m1"));
        MailQueueItem item = take();

        other().enQueue(item.getMail());
        assertThat(other().getSize()).isZero();
        item.done(CompletionStatus.SUCCESS);

        assertThat(queue.getSize()).isZero();
        assertThat(other().getSize()).isEqualTo(1);
    }

    @Test
    void copyShouldBeForgottenWhenItsMailGoesBack() throws Exception {
        queue.enQueue(SampleMail.named("m1"));
        MailQueueItem item = take();

        other().enQueue(item.getMail());
        item.done(CompletionStatus.RETRY);

        assertThat(queue.getSize()).isEqualTo(1);
        assertThat(other().getSize()).isZero();
    }

    @Test
    void copyShouldBeForgottenWithACrashBeforeItsMailIsDone() throws Exception {
        queue.enQueue(SampleMail.named("m1"));
        other().enQueue(take().getMail());

        reopen();

        assertThat(queue.getSize()).isEqualTo(1);
        assertThat(other().getSize()).isZero();
    }

    @Test
    void copyThatWasKeptShouldBeQueuedAtOnceWhenItsMailIsDone() throws Exception {
        queue.enQueue(SampleMail.named("m1"));
        MailQueueItem item = take();
        Mail kept = item.getMail().duplicate();
        item.done(CompletionStatus.SUCCESS);

        other().enQueue(kept);

        assertThat(other().getSize()).isEqualTo(1);
    }

    @Test
    void copyShouldShareTheContentAndOutliveItsMail() throws Exception {
        queue.enQueue(SampleMail.named("m1"));
        MailQueueItem item = take();
        other().enQueue(item.getMail());
        item.done(CompletionStatus.SUCCESS);

        reopen();
        Mail copy = Flux.from(other().deQueue()).blockFirst(PATIENCE).getMail();

        assertThat(SampleMail.bytes(copy)).isEqualTo(SampleMail.CONTENT.getBytes(StandardCharsets.ISO_8859_1));
    }

    @Test
    void changedCopyShouldHaveItsOwnContent() throws Exception {
        queue.enQueue(SampleMail.named("m1"));
        MailQueueItem item = take();
        item.getMail().getMessage().addHeader("X-New", "yes");
        other().enQueue(item.getMail());
        item.done(CompletionStatus.SUCCESS);

        Mail copy = Flux.from(other().deQueue()).blockFirst(PATIENCE).getMail();

        assertThat(copy.getMessage().getHeader("X-New")).containsExactly("yes");
    }

    // ---- the disk ---------------------------------------------------------------------------------------------------

    @Test
    void largeContentShouldBeAFileThatGoesWithItsLastMail() throws Exception {
        Mail large = SampleMail.withBody("large", "0123456789\r\n".repeat(100_000));
        byte[] sent = SampleMail.bytes(large);
        queue.enQueue(large);
        assertThat(contentFiles()).hasSize(1);

        reopen();
        MailQueueItem item = take();
        assertThat(SampleMail.bytes(item.getMail())).isEqualTo(sent);
        other().enQueue(item.getMail());
        item.done(CompletionStatus.SUCCESS);
        assertThat(contentFiles()).hasSize(1);
        other().clear();

        assertThat(contentFiles()).isEmpty();
    }

    private List<Path> contentFiles() throws Exception {
        try (Stream<Path> files =
                Files.list(new QueueDirectory(directory).queue().resolve("content"))) {
            return files.toList();
        }
    }

    @Test
    void contentFileWithoutAMailShouldGoAtTheNextStart() throws Exception {
        Path left = new QueueDirectory(directory).queue().resolve("content/4711");
        Files.writeString(left, "a crash came before its mail was queued");

        reopen();

        assertThat(left).doesNotExist();
    }

    @Test
    void damagedMailShouldBeSetAsideAndTheOthersDelivered() throws Exception {
        queue.enQueue(SampleMail.named("damaged"));
        queue.enQueue(SampleMail.named("sound"));
        Path journal = new QueueDirectory(directory).queue().resolve("journal-000000000001.log");
        String text = Files.readString(journal, StandardCharsets.ISO_8859_1);
        Files.writeString(
                journal, text.replace("\"name\":\"damaged\"", "\"nane\":\"damaged\""), StandardCharsets.ISO_8859_1);

        assertThat(take().getMail().getName()).isEqualTo("sound");

        assertThat(queue.getSize()).isEqualTo(1);
        try (Stream<Path> kept =
                Files.list(new QueueDirectory(directory).queue().resolve("unreadable"))) {
            assertThat(kept.map(file -> file.getFileName().toString()))
                    .anySatisfy(name -> assertThat(name).endsWith(".eml"))
                    .anySatisfy(name -> assertThat(name).endsWith(".envelope"));
        }
    }

    private void reopen(DiskUse disk) throws Exception {
        close();
        factory = new QueueDirectory(directory).open(clock, disk);
        queue = factory.createQueue(MailQueueName.of("test"), MailQueueFactory.prefetchCount(1));
    }

    private long journalBytes() throws Exception {
        try (Stream<Path> files = Files.list(new QueueDirectory(directory).queue())) {
            long bytes = 0;
            for (Path file :
                    files.filter(path -> Segment.numberOf(path).isPresent()).toList()) {
                bytes += Files.size(file);
            }
            return bytes;
        }
    }

    @Test
    void roomOfDeliveredMailShouldBeFreedThoughOldMailIsAmongIt() throws Exception {
        long segment = 32 * 1024;
        long tolerated = 64 * 1024;
        reopen(new DiskUse(segment, tolerated, DiskUse.DEFAULT.opening()));
        List<String> old = new ArrayList<>();
        for (int i = 0; i < 300; i++) {
            queue.enQueue(SampleMail.withBody("m" + i, "0123456789\r\n".repeat(200)));
            if (i % 30 == 0) {
                // one that waits in every second file or so
                queue.enQueue(SampleMail.named("old-" + i), Duration.ofHours(1));
                old.add("old-" + i);
            }
            take().done(CompletionStatus.SUCCESS);
        }
        // some 900 KiB were written
        await().atMost(PATIENCE).untilAsserted(() -> assertThat(journalBytes()).isLessThan(tolerated + 4 * segment));

        assertWaiting(old);
        reopen();
        assertWaiting(old);
    }

    /** Nothing is handed out for a while; when the disk is mended, the mail that waits is. */
    private void assertStandsStillUntilMended(FaultyDisk disk, Duration time) throws Exception {
        assertThat(factory.trouble())
                .hasValueSatisfying(trouble -> assertThat(trouble.kind()).isEqualTo(QueueTrouble.Kind.FAILED));
        assertThat(isIdleFor(time)).isTrue();

        disk.mend();
        MailQueueItem item = take();
        assertThat(item.getMail().getName()).isEqualTo("waits");
        item.done(CompletionStatus.SUCCESS);
    }

    private void assertWaiting(List<String> expected) throws Exception {
        List<String> waiting = new ArrayList<>();
        ManageableMailQueue.MailQueueIterator items = queue.browse();
        while (items.hasNext()) {
            Mail mail = items.next().getMail();
            assertThat(SampleMail.bytes(mail)).isEqualTo(SampleMail.CONTENT.getBytes(StandardCharsets.ISO_8859_1));
            waiting.add(mail.getName());
        }
        items.close();
        assertThat(waiting).containsExactlyInAnyOrderElementsOf(expected);
    }

    @Test
    void nothingShouldBeTakenOrGivenAfterAFailedForceAndAllBeThereAfterARestart() throws Exception {
        FaultyDisk disk = new FaultyDisk();
        reopen(disk.use(DiskUse.DEFAULT));
        queue.enQueue(SampleMail.named("taken"));
        queue.enQueue(SampleMail.named("waits"));
        Flux<MailQueueItem> items = Flux.from(queue.deQueue());
        MailQueueItem delivered = items.blockFirst(PATIENCE);
        disk.fail(FaultyDisk.Operation.FORCE);

        assertThatThrownBy(() -> delivered.done(CompletionStatus.SUCCESS))
                .isInstanceOf(MailQueue.MailQueueException.class);
        delivered.done(CompletionStatus.RETRY);
        Mail large = SampleMail.withBody("large", "0123456789\r\n".repeat(100_000));
        assertThatThrownBy(() -> queue.enQueue(large)).isInstanceOf(MailQueue.MailQueueException.class);

        assertThat(factory.trouble())
                .hasValueSatisfying(trouble -> assertThat(trouble.kind()).isEqualTo(QueueTrouble.Kind.FAILED));
        assertThat(isIdleFor(Duration.ofSeconds(1))).isTrue();
        assertThat(contentFiles()).isEmpty();
        reopen();
        // whether the removal came onto the disk nobody knows; what was not touched is there for certain
        List<String> left = new ArrayList<>();
        ManageableMailQueue.MailQueueIterator waiting = queue.browse();
        waiting.forEachRemaining(item -> left.add(item.getMail().getName()));
        waiting.close();
        assertThat(left).contains("waits").doesNotContain("large");
    }

    @Test
    void nothingShouldBeTakenOrGivenWhileARestOfAFailedWriteCannotBeCutOffAndAllGoOnAfterwards() throws Exception {
        FaultyDisk disk = new FaultyDisk();
        reopen(disk.use(DiskUse.DEFAULT));
        queue.enQueue(SampleMail.named("waits"));
        disk.fail(FaultyDisk.Operation.WRITE, FaultyDisk.Operation.TRUNCATE);
        Mail refused = SampleMail.named("refused");
        assertThatThrownBy(() -> queue.enQueue(refused)).isInstanceOf(MailQueue.MailQueueException.class);

        assertStandsStillUntilMended(disk, Duration.ofSeconds(1));
        assertThat(factory.trouble()).isEmpty();
        reopen();
        assertWaiting(List.of());
    }

    @Test
    void nothingShouldBeGivenWhileOutcomesCannotBeWrittenAndAllGoOnAfterwards() throws Exception {
        FaultyDisk disk = new FaultyDisk();
        reopen(disk.use(DiskUse.DEFAULT));
        queue.enQueue(SampleMail.named("delivered"));
        queue.enQueue(SampleMail.named("waits"));
        MailQueueItem delivered = take();
        disk.fail(FaultyDisk.Operation.WRITE);
        assertThatThrownBy(() -> delivered.done(CompletionStatus.SUCCESS))
                .isInstanceOf(MailQueue.MailQueueException.class);

        assertStandsStillUntilMended(disk, Duration.ofSeconds(3));
        delivered.done(CompletionStatus.SUCCESS);
        assertThat(factory.trouble()).isEmpty();
        reopen();
        assertWaiting(List.of());
    }

    @Test
    void queueThatHoldsMailShouldBeListedAfterARestart() throws Exception {
        other().enQueue(SampleMail.named("m1"));

        reopen();

        assertThat(factory.listCreatedMailQueues()).contains(MailQueueName.of("other"));
    }

    @Test
    void earlierQueuesShouldKeepTheGatewayFromStarting() throws Exception {
        QueueDirectory earlier = new QueueDirectory(directory.resolve("earlier"));
        Files.createDirectories(earlier.queue());
        Files.writeString(earlier.queue().resolve("db-1.log"), "KahaDB");

        assertThatThrownBy(() -> earlier.open(clock))
                .isInstanceOf(GatewayStartException.class)
                .hasMessageContaining("earlier version")
                .hasMessageContaining(earlier.queue().toString());
    }
}
