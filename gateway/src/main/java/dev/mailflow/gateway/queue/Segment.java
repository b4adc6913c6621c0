/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.EOFException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
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

    /** Records in it that are needed; guarded by the {@link MailStore}. */
    int live;

    private Segment(long number, Path path) throws IOException {
        this.number = number;
        this.path = path;
        this.writing = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        this.reading = new RandomAccessFile(path.toFile(), "r");
        this.end = writing.size();
    }

    /** Opens the file, or makes it; the directory is forced by the caller. */
    static Segment open(Path directory, long number) throws IOException {
        return new Segment(number, directory.resolve(String.format(Locale.ROOT, "journal-%012d.log", number)));
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

    /** Appends all of it, or throws and leaves the end where it was; on disk only after {@link #force}. */
    void append(ByteBuffer[] frames) throws IOException {
        long position = end;
        try {
            writing.position(position);
            long left = 0;
            for (ByteBuffer frame : frames) {
                left += frame.remaining();
            }
            long size = left;
            while (left > 0) {
                left -= writing.write(frames);
            }
            end = position + size;
        } catch (IOException e) {
            writing.truncate(position);
            throw e;
        }
    }

    void force(DiskUse.Forcing forcing) throws IOException {
        forcing.force(writing);
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
