/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.EOFException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** One file of the {@link Journal}. Written by the journal's thread alone, read by any. */
final class Segment implements AutoCloseable {
    private static final Pattern NAME = Pattern.compile("journal-(\\d{12})\\.log");

    private final long number;
    private final Path path;
    private final FileChannel writing;
    /** Not a channel: an interrupted reader would close that for everybody. */
    private final RandomAccessFile reading;

    private long end;
    /** Whether there may be bytes behind the end, of a write that failed. */
    private boolean remains;

    /** Records in it that are needed; guarded by the {@link MailStore}. */
    int live;

    private Segment(long number, Path path, DiskUse disk) throws IOException {
        this.number = number;
        this.path = path;
        this.writing = disk.opening().open(path);
        this.reading = new RandomAccessFile(path.toFile(), "r");
        this.end = writing.size();
    }

    /** Opens the file, or makes it; the directory is forced by the caller. */
    static Segment open(Path directory, long number, DiskUse disk) throws IOException {
        return new Segment(number, directory.resolve(String.format(Locale.ROOT, "journal-%012d.log", number)), disk);
    }

    /** The number of a file of this kind, by its name. */
    static Optional<Long> numberOf(Path file) {
        Matcher name = NAME.matcher(file.getFileName().toString());
        return name.matches() ? Optional.of(Long.valueOf(name.group(1))) : Optional.empty();
    }

    long number() {
        return number;
    }

    Path path() {
        return path;
    }

    /** How far it is written, bytes. */
    long end() {
        return end;
    }

    /**
     * Appends all of it, or throws and leaves the end where it was; on disk only after {@link #force}. When it throws,
     * bytes may be behind the end that a reader of the file would take for records, until they are {@link #cutRemains cut
     * off}.
     */
    void append(ByteBuffer[] frames) throws IOException {
        cutRemains();
        long left = 0;
        for (ByteBuffer frame : frames) {
            left += frame.remaining();
        }
        long size = left;
        remains = true;
        writing.position(end);
        while (left > 0) {
            left -= writing.write(frames);
        }
        end += size;
        remains = false;
    }

    /** Cuts off what a failed write left. It need not be forced: the next {@link #force} keeps the size as well. */
    void cutRemains() throws IOException {
        if (remains) {
            writing.truncate(end);
            remains = false;
        }
    }

    void force() throws IOException {
        writing.force(false);
    }

    /** Cuts off what is behind. */
    void truncate(long newEnd) throws IOException {
        writing.truncate(newEnd);
        writing.force(true);
        end = newEnd;
    }

    /** @throws IOException also when the file has been deleted since, for its live records were moved */
    byte[] read(long offset, int length) throws IOException {
        byte[] bytes = new byte[length];
        synchronized (reading) {
            if (offset + length > reading.length()) {
                throw new EOFException(path + " ends before " + (offset + length));
            }
            reading.seek(offset);
            reading.readFully(bytes);
        }
        return bytes;
    }

    @Override
    public void close() throws IOException {
        writing.close();
        synchronized (reading) {
            reading.close();
        }
    }

    void delete() throws IOException {
        close();
        Files.deleteIfExists(path);
    }
}
