/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

import com.google.common.util.concurrent.Uninterruptibles;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;

class JournalTest {
    private static final List<String> WRITTEN = IntStream.range(0, 12)
            .mapToObj(i -> "record " + i + "-".repeat(i * 3))
            .toList();

    private static final Duration PATIENCE = Duration.ofSeconds(20);

    @TempDir
    Path directory;

    private byte[] file;

    /** Keeps what it is told and needs all of it. */
    private static final class Reader implements Journal.Owner {
        private final List<String> found = new ArrayList<>();
        private final AtomicBoolean wentOn = new AtomicBoolean();

        @Override
        public void replay(byte[] content, Segment segment, long offset) {
            found.add(new String(content, StandardCharsets.UTF_8));
        }

        @Override
        public boolean isDead(Segment segment) {
            return false;
        }

        @Override
        public Optional<Journal.Appended> moveFrom(Segment oldest, long bytes) {
            return Optional.empty();
        }

        @Override
        public void wentOn() {
            wentOn.set(true);
        }
    }

    @BeforeEach
    void write() throws Exception {
        try (Journal journal = Journal.open(directory, new Reader(), DiskUse.DEFAULT)) {
            journal.start();
            append(journal, WRITTEN);
        }
        file = Files.readAllBytes(segment(directory));
    }

    private static void append(Journal journal, List<String> records) throws Exception {
        for (String record : records) {
            CompletableFuture<Void> done = journal.append(
                    new Journal.Appended(record.getBytes(StandardCharsets.UTF_8), (segment, offset) -> {}));
            done.get();
        }
    }

    private static Path segment(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.filter(file -> Segment.numberOf(file).equals(Optional.of(1L)))
                    .findFirst()
                    .orElseThrow();
        }
    }

    private List<String> reopen(Path copy, byte[] content) throws Exception {
        Files.createDirectories(copy);
        Files.write(copy.resolve(segment(directory).getFileName()), content);
        Reader reader = new Reader();
        try (Journal journal = Journal.open(copy, reader, DiskUse.DEFAULT)) {
            journal.start();
            append(journal, List.of("after"));
        }
        // what is written behind a mended end must be found too
        Reader again = new Reader();
        try (Journal journal = Journal.open(copy, again, DiskUse.DEFAULT)) {
            assertThat(journal.failure()).isEmpty();
            assertThat(again.found).endsWith("after").hasSize(reader.found.size() + 1);
        }
        return reader.found;
    }

    @Test
    void recordsShouldBeFoundInTheirOrder() throws Exception {
        assertThat(reopen(directory.resolve("copy"), file)).isEqualTo(WRITTEN);
    }

    @Test
    void anEndCutOffAnywhereShouldCostNothingButTheUnfinishedRecord() throws Exception {
        for (int length = 0; length < file.length; length++) {
            List<String> found = reopen(directory.resolve("cut-" + length), Arrays.copyOf(file, length));

            int whole = 0;
            int end = 0;
            while (whole < WRITTEN.size()
                    && end + Journal.FRAME + WRITTEN.get(whole).length() <= length) {
                end += Journal.FRAME + WRITTEN.get(whole).length();
                whole++;
            }
            assertThat(found).isEqualTo(WRITTEN.subList(0, whole));
        }
    }

    @Test
    void aDamagedByteAnywhereShouldCostNoOtherRecordAndBeKept() throws Exception {
        int end = 0;
        for (int damaged = 0; damaged < WRITTEN.size() - 1; damaged++) {
            int start = end;
            end += Journal.FRAME + WRITTEN.get(damaged).length();
            for (int at = start; at < end; at += 5) {
                byte[] changed = file.clone();
                changed[at] ^= 0x55;
                Path copy = directory.resolve("damaged-" + at);

                List<String> found = reopen(copy, changed);

                List<String> expected = new ArrayList<>(WRITTEN);
                String lost = expected.remove(damaged);
                assertThat(found).isEqualTo(expected);
                try (Stream<Path> kept = Files.list(copy.resolve(Journal.DAMAGED))) {
                    assertThat(kept).hasSize(1).allSatisfy(bytes -> assertThat(Files.size(bytes))
                            .isEqualTo(Journal.FRAME + lost.length()));
                }
            }
        }
    }

    @Test
    void aClosedJournalShouldTakeNothing() throws Exception {
        Journal journal = Journal.open(directory, new Reader(), DiskUse.DEFAULT);
        journal.start();
        journal.close();

        assertThat(journal.append(new Journal.Appended(new byte[1], (segment, offset) -> {})))
                .isCompletedExceptionally();
    }

    private static Journal.Appended record(String text, Journal.Effect effect) {
        return new Journal.Appended(text.getBytes(StandardCharsets.UTF_8), effect);
    }

    @Test
    void aFailedForceShouldEndTheJournalUntilItIsOpenedAgain() throws Exception {
        FaultyDisk disk = new FaultyDisk();
        AtomicBoolean applied = new AtomicBoolean();
        try (Journal journal = Journal.open(directory, new Reader(), disk.use(DiskUse.DEFAULT))) {
            journal.start();
            append(journal, List.of("kept"));
            disk.fail(FaultyDisk.Operation.FORCE);
            assertThat(journal.append(record("unknown", (segment, offset) -> applied.set(true))))
                    .failsWithin(PATIENCE);
            // the disk may say that all is well, and have dropped what it could not write
            disk.mend();
            assertThat(journal.append(record("refused", (segment, offset) -> applied.set(true))))
                    .failsWithin(PATIENCE);
            assertThat(journal.failure()).hasValueSatisfying(reason -> assertThat(reason)
                    .contains("until the gateway is started again", FaultyDisk.ERROR));
            assertThat(applied).isFalse();
        }

        Reader reader = new Reader();
        try (Journal journal = Journal.open(directory, reader, DiskUse.DEFAULT)) {
            journal.start();
            append(journal, List.of("after"));
            assertThat(reader.found).contains("kept").doesNotContain("refused").containsAll(WRITTEN);
        }
    }

    /** What the journal finds when it is opened now. */
    private List<String> found() throws Exception {
        Reader reader = new Reader();
        Journal.open(directory, reader, DiskUse.DEFAULT).close();
        return reader.found.subList(WRITTEN.size(), reader.found.size());
    }

    /** Appends all of them in one write, which fails. */
    private static void failTogether(Journal journal, FaultyDisk disk, List<String> records) {
        CountDownLatch written = new CountDownLatch(1);
        CountDownLatch waiting = new CountDownLatch(1);
        CompletableFuture<Void> held = journal.append(record("held", (segment, offset) -> {
            written.countDown();
            Uninterruptibles.awaitUninterruptibly(waiting);
        }));
        Uninterruptibles.awaitUninterruptibly(written);
        List<CompletableFuture<Void>> appended = records.stream()
                .map(text -> journal.append(record(text, (segment, offset) -> {})))
                .toList();
        disk.fail(FaultyDisk.Operation.WRITE, FaultyDisk.Operation.TRUNCATE);
        waiting.countDown();
        assertThat(held).succeedsWithin(PATIENCE);
        assertThat(appended).allSatisfy(done -> assertThat(done).failsWithin(PATIENCE));
    }

    @Test
    void whatAFailedWriteLeftShouldBeCutOff() throws Exception {
        FaultyDisk disk = new FaultyDisk();
        try (Journal journal = Journal.open(directory, new Reader(), disk.use(DiskUse.DEFAULT))) {
            journal.start();
            append(journal, List.of("before"));
            disk.fail(FaultyDisk.Operation.WRITE);
            assertThat(journal.append(record("failed", (segment, offset) -> {})))
                    .failsWithin(PATIENCE);
            disk.mend();
            assertThat(journal.refusal()).isPresent();
            append(journal, List.of("b"));
            assertThat(journal.refusal()).isEmpty();
        }

        assertThat(found()).containsExactly("before", "b");
        assertThat(directory.resolve(Journal.DAMAGED)).doesNotExist();
    }

    @Test
    void recordsOfAFailedWriteThatCannotBeCutOffShouldNotComeBackBehindLaterOnes() throws Exception {
        FaultyDisk disk = new FaultyDisk();
        Reader owner = new Reader();
        AtomicBoolean applied = new AtomicBoolean();
        try (Journal journal = Journal.open(directory, owner, disk.use(DiskUse.DEFAULT))) {
            journal.start();
            failTogether(journal, disk, List.of("stale 0", "stale 1", "stale 2"));
            // the disk writes again, and still cannot cut
            disk.mend();
            disk.fail(FaultyDisk.Operation.TRUNCATE);
            assertThat(journal.append(record("early 0", (segment, offset) -> applied.set(true))))
                    .failsWithin(PATIENCE);
            assertThat(journal.refusal()).hasValueSatisfying(reason -> assertThat(reason)
                    .contains("until its disk takes a record again", FaultyDisk.ERROR));
            assertThat(applied).isFalse();
            assertThat(owner.wentOn).isFalse();

            disk.mend();
            // as long as the first of those that failed: the next stale one would be found right behind it
            append(journal, List.of("later 0"));
            await().atMost(PATIENCE).untilTrue(owner.wentOn);
            assertThat(journal.refusal()).isEmpty();
        }

        assertThat(found()).containsExactly("held", "later 0");
        assertThat(directory.resolve(Journal.DAMAGED)).doesNotExist();
    }

    @Test
    void aRefusalShouldBeKnownBeforeItsRecordFailsAndEndWhenATrialIsWritten() throws Exception {
        FaultyDisk disk = new FaultyDisk();
        Reader owner = new Reader();
        try (Journal journal = Journal.open(directory, owner, disk.use(DiskUse.DEFAULT))) {
            journal.start();
            disk.fail(FaultyDisk.Operation.WRITE, FaultyDisk.Operation.TRUNCATE);
            CompletableFuture<Boolean> known = journal.append(record("refused", (segment, offset) -> {}))
                    .handle((written, thrown) ->
                            thrown != null && journal.refusal().isPresent());
            assertThat(known).succeedsWithin(PATIENCE).isEqualTo(true);
            journal.retry();
            journal.retry();
            assertThat(journal.append(record("refused too", (segment, offset) -> {})))
                    .failsWithin(PATIENCE);
            assertThat(owner.wentOn).isFalse();

            disk.mend();
            journal.retry();
            await().atMost(PATIENCE).untilTrue(owner.wentOn);
            assertThat(journal.refusal()).isEmpty();
            append(journal, List.of("after"));
        }

        assertThat(found()).containsExactly("", "after");
        assertThat(directory.resolve(Journal.DAMAGED)).doesNotExist();
    }

    @Test
    void aDiskThatStaysBrokenShouldBeToldOfOnce() throws Exception {
        FaultyDisk disk = new FaultyDisk();
        ListAppender<ILoggingEvent> log = new ListAppender<>();
        Logger logger = (Logger) LoggerFactory.getLogger(Journal.class);
        log.start();
        logger.setLevel(Level.INFO);
        logger.addAppender(log);
        try (Journal journal = Journal.open(directory, new Reader(), disk.use(DiskUse.DEFAULT))) {
            journal.start();
            disk.fail(FaultyDisk.Operation.WRITE);
            for (int trial = 0; trial < 5; trial++) {
                assertThat(journal.append(record("refused", (segment, offset) -> {})))
                        .failsWithin(PATIENCE);
                journal.retry();
            }
            disk.mend();
            journal.retry();
            await().atMost(PATIENCE).until(() -> journal.refusal().isEmpty());
        } finally {
            logger.detachAppender(log);
            logger.setLevel(null);
        }

        assertThat(List.copyOf(log.list))
                .filteredOn(line -> line.getLevel().isGreaterOrEqual(Level.INFO))
                .extracting(line -> line.getMessage().replaceAll(" .*", ""))
                .containsExactly("event=queue-write-failed", "event=queue-stopped", "event=queue-goes-on");
    }

    @Test
    void nobodyShouldWaitForAThreadThatWasStopped() throws Exception {
        CompletableFuture<Thread> writer = new CompletableFuture<>();
        Journal journal = Journal.open(directory, new Reader(), DiskUse.DEFAULT);
        journal.start();
        journal.append(record("a", (segment, offset) -> writer.complete(Thread.currentThread())))
                .get();

        writer.get().interrupt();
        writer.get().join();

        assertThat(journal.append(record("b", (segment, offset) -> {}))).failsWithin(PATIENCE);
        assertThat(journal.failure()).isPresent();
        journal.close();
    }
}
