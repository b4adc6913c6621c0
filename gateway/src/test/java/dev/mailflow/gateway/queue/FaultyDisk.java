/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** A disk that keeps what it is given, but for the operations that are made to fail. */
final class FaultyDisk {
    static final String ERROR = "Input/output error";

    private final Set<Operation> failing = ConcurrentHashMap.newKeySet();

    enum Operation {
        /** What is written comes onto the disk, but for its last byte. */
        WRITE,
        TRUNCATE,
        FORCE
    }

    /** As {@code like}, on this disk. */
    DiskUse use(DiskUse like) {
        return new DiskUse(
                like.segmentBytes(),
                like.toleratedBytes(),
                file -> new Faulty(like.opening().open(file)));
    }

    void fail(Operation... operations) {
        failing.addAll(Set.of(operations));
    }

    void mend() {
        failing.removeAll(EnumSet.allOf(Operation.class));
    }

    private void check(Operation operation) throws IOException {
        if (failing.contains(operation)) {
            throw new IOException(ERROR);
        }
    }

    private final class Faulty extends FileChannel {
        private final FileChannel disk;

        private Faulty(FileChannel disk) {
            this.disk = disk;
        }

        @Override
        public int write(ByteBuffer source) throws IOException {
            return (int) write(new ByteBuffer[] {source}, 0, 1);
        }

        @Override
        public long write(ByteBuffer[] sources, int offset, int length) throws IOException {
            if (failing.contains(Operation.WRITE)) {
                int written = length;
                while (!sources[offset + written - 1].hasRemaining()) {
                    written--;
                }
                ByteBuffer last = sources[offset + written - 1];
                last.limit(last.limit() - 1);
                disk.write(sources, offset, written);
            }
            check(Operation.WRITE);
            return disk.write(sources, offset, length);
        }

        @Override
        public int write(ByteBuffer source, long position) throws IOException {
            check(Operation.WRITE);
            return disk.write(source, position);
        }

        @Override
        public FileChannel truncate(long size) throws IOException {
            check(Operation.TRUNCATE);
            disk.truncate(size);
            return this;
        }

        @Override
        public void force(boolean metaData) throws IOException {
            check(Operation.FORCE);
            disk.force(metaData);
        }

        @Override
        public int read(ByteBuffer target) throws IOException {
            return disk.read(target);
        }

        @Override
        public long read(ByteBuffer[] targets, int offset, int length) throws IOException {
            return disk.read(targets, offset, length);
        }

        @Override
        public int read(ByteBuffer target, long position) throws IOException {
            return disk.read(target, position);
        }

        @Override
        public long position() throws IOException {
            return disk.position();
        }

        @Override
        public FileChannel position(long newPosition) throws IOException {
            disk.position(newPosition);
            return this;
        }

        @Override
        public long size() throws IOException {
            return disk.size();
        }

        @Override
        public long transferTo(long position, long count, WritableByteChannel target) throws IOException {
            return disk.transferTo(position, count, target);
        }

        @Override
        public long transferFrom(ReadableByteChannel source, long position, long count) throws IOException {
            return disk.transferFrom(source, position, count);
        }

        @Override
        public MappedByteBuffer map(MapMode mode, long position, long size) throws IOException {
            return disk.map(mode, position, size);
        }

        @Override
        public FileLock lock(long position, long size, boolean shared) throws IOException {
            return disk.lock(position, size, shared);
        }

        @Override
        public FileLock tryLock(long position, long size, boolean shared) throws IOException {
            return disk.tryLock(position, size, shared);
        }

        @Override
        protected void implCloseChannel() throws IOException {
            disk.close();
        }
    }
}
