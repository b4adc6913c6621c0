/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.zip.CRC32C;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An append-only log of records in files of bounded size, with group commit. Its one promise: when the future of an
 * {@link #append} completes, the record survives the death of the process and of the machine, whole; when it fails, the
 * record may be there or not, and never in part.
 *
 * <p>One thread writes. It takes every record that waits, writes them together and forces the file once; records that
 * arrive meanwhile wait for the next turn. So twenty senders cost little more than one, and the order of records is the
 * order in which their effects are {@link Effect#applied}, by that same thread. Between two turns it lets the {@link
 * Owner} move old live records to the end, so that the oldest file can be deleted. Files are deleted from the oldest on,
 * never in the middle: a record that cancels another one is always younger, and so outlives it.
 *
 * <p>A record is framed by a mark, its length and a CRC-32C. What a crash left of an unfinished write at the end of the
 * last file is cut off at the next start. Damage anywhere else is copied aside, reported and skipped, and reading goes on
 * at the next whole record.
 *
 * <p>If the disk is full, what does not fit fails and everything before stands: what came onto the disk of it is cut off.
 * While that cannot be cut off, every record fails, for one that failed must not come after those that are written later.
 * If the disk fails a force, nobody knows what it holds: the journal takes nothing more until it is opened again.
 */
final class Journal implements AutoCloseable {
    private static final Logger LOGGER = LoggerFactory.getLogger(Journal.class);

    /** Of mark, length and checksum. */
    static final int FRAME = 12;

    static final String DAMAGED = "damaged";

    private static final int MARK = 0x4d46_4a31;
    private static final int MOST_TOGETHER = 500;
    private static final long MOST_BYTES_TOGETHER = 8L * 1024 * 1024;
    private static final String CLOSED = "the queue is closed";
    /** Says that there may be something to do besides writing. */
    private static final Appended WAKE_UP = new Appended(new byte[0], (segment, offset) -> {});

    private final Path directory;
    private final Owner owner;
    private final DiskUse disk;
    private final Deque<Segment> segments = new ArrayDeque<>();
    private final BlockingQueue<Appended> waiting = new LinkedBlockingQueue<>();
    private final Thread writer = new Thread(this::run, "queue-journal");

    private volatile Optional<String> failure = Optional.empty();
    private volatile Optional<String> refusal = Optional.empty();
    private volatile boolean closed;

    /** What follows from a record once it is on disk; runs on the journal's thread, in the order of records. */
    interface Effect {
        /** @param offset of the record's first byte in the file */
        void applied(Segment segment, long offset);
    }

    /** Whose records these are. */
    interface Owner {
        /** Called in order for every record found when the journal is opened. */
        void replay(byte[] content, Segment segment, long offset);

        /** Whether nothing in this file is needed any more. */
        boolean isDead(Segment segment);

        /**
         * Records to write again because they are live and in the oldest file, which takes too much room; empty when
         * there is nothing to move.
         *
         * @param bytes of all files together
         */
        Optional<Appended> moveFrom(Segment oldest, long bytes);

        /** Called when the disk takes records again after it had refused one. */
        void wentOn();
    }

    /** To be written, with what follows from it. */
    static final class Appended {
        private final byte[] content;
        private final Effect effect;
        private final CompletableFuture<Void> done = new CompletableFuture<>();

        /** @param content not to be changed afterwards */
        Appended(byte[] content, Effect effect) {
            this.content = content;
            this.effect = effect;
        }
    }

    private Journal(Path directory, Owner owner, DiskUse disk) {
        this.directory = directory;
        this.owner = owner;
        this.disk = disk;
    }

    /**
     * Reads everything in the directory, and is ready to append.
     *
     * @throws IOException when a file cannot be read at all
     */
    static Journal open(Path directory, Owner owner, DiskUse disk) throws IOException {
        Files.createDirectories(directory);
        Journal journal = new Journal(directory, owner, disk);
        TreeMap<Long, Path> files = new TreeMap<>();
        try (DirectoryStream<Path> found = Files.newDirectoryStream(directory)) {
            for (Path file : found) {
                Segment.numberOf(file).ifPresent(number -> files.put(number, file));
            }
        }
        try {
            for (long number : files.keySet()) {
                journal.replay(Segment.open(directory, number, disk), number == files.lastKey());
            }
            journal.addSegment(files.isEmpty() ? 1 : files.lastKey() + 1);
        } catch (IOException | RuntimeException e) {
            journal.closeFiles();
            throw e;
        }
        journal.writer.setDaemon(true);
        return journal;
    }

    /** Begins to write; before, what {@link #open} read can be looked at in peace. */
    void start() {
        writer.start();
    }

    private void replay(Segment segment, boolean last) throws IOException {
        segments.add(segment);
        byte[] file = Files.readAllBytes(segment.path());
        int position = 0;
        while (position < file.length) {
            if (isWhole(file, position)) {
                int length = ByteBuffer.wrap(file).getInt(position + Integer.BYTES);
                byte[] content = Arrays.copyOfRange(file, position + FRAME, position + FRAME + length);
                owner.replay(content, segment, position + (long) FRAME);
                position += FRAME + length;
            } else {
                int next = nextWhole(file, position);
                if (next == file.length && last) {
                    LOGGER.info(
                            "event=queue-journal-cut file={} bytes={} reason=\"the last write did not end, and was not"
                                    + " acknowledged\"",
                            segment.path(),
                            file.length - position);
                    segment.truncate(position);
                    return;
                }
                keepDamaged(segment, file, position, next);
                position = next;
            }
        }
    }

    private static boolean isWhole(byte[] file, int position) {
        int left = file.length - position - FRAME;
        ByteBuffer bytes = ByteBuffer.wrap(file);
        if (left < 0 || bytes.getInt(position) != MARK) {
            return false;
        }
        int length = bytes.getInt(position + Integer.BYTES);
        return length >= 0
                && length <= left
                && checksum(file, position + FRAME, length) == bytes.getInt(position + 2 * Integer.BYTES);
    }

    /** The place of the next whole record, or the end. */
    private static int nextWhole(byte[] file, int damage) {
        int position = damage + 1;
        while (position < file.length && !isWhole(file, position)) {
            position++;
        }
        return position;
    }

    private void keepDamaged(Segment segment, byte[] file, int from, int to) throws IOException {
        Path kept = Files.createDirectories(directory.resolve(DAMAGED))
                .resolve(segment.path().getFileName() + "-" + from);
        Files.write(kept, Arrays.copyOfRange(file, from, to));
        LOGGER.error(
                "event=queue-journal-damaged file={} from={} to={} kept={} effect=\"mail in these bytes is not"
                        + " delivered, all other mail is\"",
                segment.path(),
                from,
                to,
                kept);
    }

    private static int checksum(byte[] bytes, int offset, int length) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, offset, length);
        return (int) crc.getValue();
    }

    /** The checksum of the bytes, as in a frame. */
    static int checksum(byte[] bytes) {
        return checksum(bytes, 0, bytes.length);
    }

    /** Writes the record in its turn. */
    CompletableFuture<Void> append(Appended record) {
        synchronized (waiting) {
            if (closed) {
                record.done.completeExceptionally(new IOException(CLOSED));
            } else {
                waiting.add(record);
            }
        }
        return record.done;
    }

    /** Why it takes nothing any more; empty while it does. */
    Optional<String> failure() {
        return failure;
    }

    /**
     * Why the disk took nothing when it was last asked; empty while all is well. It is there before anybody learns that
     * a record failed.
     */
    Optional<String> refusal() {
        return refusal;
    }

    /** After a refusal, tries whether the disk takes a record that says nothing. To be called now and then. */
    void retry() {
        if (refusal.isPresent() && !closed) {
            waiting.add(new Appended(new byte[0], (segment, offset) -> {}));
        }
    }

    private void run() {
        List<Appended> turn = new ArrayList<>();
        try {
            while (!closed || !waiting.isEmpty()) {
                turn.clear();
                turn.add(waiting.take());
                waiting.drainTo(turn, MOST_TOGETHER - 1);
                turn.removeIf(WAKE_UP::equals);
                writeAll(turn);
                reclaim();
            }
        } catch (InterruptedException e) {
            broke(turn, e);
            Thread.currentThread().interrupt();
        } catch (RuntimeException | Error e) {
            broke(turn, e);
            throw e;
        }
    }

    /** Nobody may wait for a thread that is gone. */
    private void broke(List<Appended> turn, Throwable cause) {
        fail("an error of the gateway: " + cause, cause);
        turn.forEach(write -> write.done.completeExceptionally(new IOException("The journal broke", cause)));
        synchronized (waiting) {
            closed = true;
        }
        refuseWaiting();
    }

    private void refuseWaiting() {
        for (Appended write = waiting.poll(); write != null; write = waiting.poll()) {
            write.done.completeExceptionally(new IOException(CLOSED));
        }
    }

    /** In groups that fit into memory and into a file. */
    private void writeAll(List<Appended> writes) {
        int from = 0;
        while (from < writes.size()) {
            int to = from;
            long bytes = 0;
            while (to < writes.size() && (to == from || bytes < MOST_BYTES_TOGETHER)) {
                bytes += FRAME + writes.get(to).content.length;
                to++;
            }
            write(writes.subList(from, to));
            from = to;
        }
    }

    private void write(List<Appended> group) {
        Optional<String> ended = failure;
        if (ended.isPresent()) {
            group.forEach(write -> write.done.completeExceptionally(new IOException(ended.get())));
            return;
        }
        Segment segment;
        long offset;
        try {
            segment = current();
            offset = segment.end();
            segment.append(frames(group));
        } catch (IOException e) {
            refused(e, group.size());
            group.forEach(write -> write.done.completeExceptionally(e));
            return;
        }
        try {
            segment.force();
        } catch (IOException e) {
            fail("the disk did not keep what was written: " + e.getMessage(), e);
            group.forEach(write -> write.done.completeExceptionally(e));
            return;
        }
        boolean wentOn = refusal.isPresent();
        refusal = Optional.empty();
        for (Appended write : group) {
            write.effect.applied(segment, offset + FRAME);
            offset += FRAME + write.content.length;
        }
        // not one by one: whoever is woken wants a processor, and there may be two
        group.forEach(write -> write.done.complete(null));
        if (wentOn) {
            LOGGER.info("event=queue-goes-on");
            owner.wentOn();
        }
    }

    private void refused(IOException cause, int records) {
        try {
            segments.getLast().cutRemains();
        } catch (IOException e) {
            // the next record tries again before it is written
            cause.addSuppressed(e);
        }
        if (refusal.isEmpty()) {
            LOGGER.error("event=queue-write-failed directory={} records={}", directory, records, cause);
            LOGGER.error(
                    "event=queue-stopped reason=\"the disk refused a record: {}\" effect=\"no mail is taken or delivered until"
                            + " it takes one; none is lost\"",
                    cause.getMessage());
        } else {
            // it is tried again every two seconds, for as long as a disk may be broken
            LOGGER.debug("event=queue-write-failed directory={} records={}", directory, records, cause);
        }
        refusal = Optional.of(
                "The mail queue takes and gives no mail until its disk takes a record again: " + cause.getMessage());
    }

    private static ByteBuffer[] frames(List<Appended> group) {
        ByteBuffer[] frames = new ByteBuffer[2 * group.size()];
        for (int i = 0; i < group.size(); i++) {
            byte[] content = group.get(i).content;
            frames[2 * i] = ByteBuffer.allocate(FRAME)
                    .putInt(MARK)
                    .putInt(content.length)
                    .putInt(checksum(content))
                    .flip();
            frames[2 * i + 1] = ByteBuffer.wrap(content);
        }
        return frames;
    }

    private Segment current() throws IOException {
        Segment last = segments.getLast();
        return last.end() < disk.segmentBytes() ? last : addSegment(last.number() + 1);
    }

    private Segment addSegment(long number) throws IOException {
        Segment added = Segment.open(directory, number, disk);
        forceDirectory(directory);
        segments.add(added);
        return added;
    }

    /** Makes what was created in a directory, renamed or deleted survive a loss of power. */
    static void forceDirectory(Path directory) throws IOException {
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    private void reclaim() {
        try {
            deleteDead();
            if (failure.isPresent() || refusal.isPresent() || segments.size() == 1) {
                return;
            }
            long bytes = segments.stream().mapToLong(Segment::end).sum();
            owner.moveFrom(segments.getFirst(), bytes).ifPresent(record -> {
                write(List.of(record));
                waiting.add(WAKE_UP);
            });
            deleteDead();
        } catch (IOException e) {
            LOGGER.warn("event=queue-room-not-reclaimed directory={}", directory, e);
        }
    }

    private void deleteDead() throws IOException {
        while (segments.size() > 1 && owner.isDead(segments.getFirst())) {
            segments.removeFirst().delete();
        }
    }

    private void fail(String reason, Throwable cause) {
        failure = Optional.of("The mail queue takes and gives no mail until the gateway is started again: " + reason);
        LOGGER.error(
                "event=queue-failed directory={} reason=\"{}\" effect=\"no mail is taken or delivered until the gateway is"
                        + " started again; none is lost\"",
                directory,
                reason,
                cause);
    }

    /** Writes what waits, then closes the files. */
    @Override
    public void close() throws IOException {
        synchronized (waiting) {
            closed = true;
            waiting.add(WAKE_UP);
        }
        boolean interrupted = false;
        while (writer.isAlive()) {
            try {
                writer.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        refuseWaiting();
        closeFiles();
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void closeFiles() throws IOException {
        for (Segment segment : segments) {
            try {
                segment.cutRemains();
            } catch (IOException e) {
                LOGGER.error(
                        "event=queue-write-not-undone file={} effect=\"mail that was refused may be delivered all the"
                                + " same\"",
                        segment.path(),
                        e);
            }
            segment.close();
        }
    }
}
