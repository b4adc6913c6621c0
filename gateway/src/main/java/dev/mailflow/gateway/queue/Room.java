/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The room on the disk of the queues, and what may still be done with it. New mail is refused while less than {@link
 * #RESERVE_BYTES} would stay free, for the reserve is for taking mail out. When even that is used up, nothing is handed
 * out: an attempt whose outcome cannot be written down would be made again, and its recipients get the mail twice.
 *
 * <p>What an administrator sees: {@code event=queue-short-of-room} when it begins, {@code event=queue-at-standstill} if it
 * gets that far, {@code event=queue-has-room} when it is over, which needs no restart.
 */
final class Room {
    private static final Logger LOGGER = LoggerFactory.getLogger(Room.class);
    private static final long MEBIBYTE = 1024 * 1024;

    static final long RESERVE_BYTES = 64 * MEBIBYTE;
    static final long STANDSTILL_BYTES = 8 * MEBIBYTE;

    /** So much more than where it began must be free for the end, lest it begin again with the next mail. */
    private static final long RELIEF_BYTES = 4 * MEBIBYTE;

    private final Path directory;
    /** Of mails that are being written. */
    private final AtomicLong claimed = new AtomicLong();

    private volatile long usable;
    private volatile Level level = Level.AMPLE;

    private enum Level {
        AMPLE,
        SHORT,
        STANDSTILL
    }

    /** Room for a mail that is being written. */
    interface Claim {
        /** It is written, or will not be. */
        void close();
    }

    /** There is too little room on the disk for new mail. */
    static final class NoRoomException extends IOException {
        private static final long serialVersionUID = 1L;

        private NoRoomException(String message) {
            super(message);
        }
    }

    Room(Path directory) {
        this.directory = directory;
        this.usable = directory.toFile().getUsableSpace();
        look();
    }

    /**
     * Looks how much there is; to be called often.
     *
     * @return whether mail may be handed out that could not be before
     */
    synchronized boolean look() {
        usable = directory.toFile().getUsableSpace();
        Level before = level;
        long relief = before == Level.AMPLE ? 0 : RELIEF_BYTES;
        long reliefFromStandstill = before == Level.STANDSTILL ? RELIEF_BYTES : 0;
        level = usable < STANDSTILL_BYTES + reliefFromStandstill
                ? Level.STANDSTILL
                : usable < RESERVE_BYTES + relief ? Level.SHORT : Level.AMPLE;
        if (level != before) {
            tell();
        }
        return before == Level.STANDSTILL && level != Level.STANDSTILL;
    }

    private void tell() {
        switch (level) {
            case AMPLE -> LOGGER.info(
                    "event=queue-has-room directory={} left={}: mail is taken again", directory, usable);
            case SHORT -> LOGGER.error(
                    "event=queue-short-of-room directory={} left={} effect=\"new mail is refused with 452 4.3.1 until {}"
                            + " bytes are free; mail in the queues is delivered\"",
                    directory,
                    usable,
                    RESERVE_BYTES + RELIEF_BYTES);
            case STANDSTILL -> LOGGER.error(
                    "event=queue-at-standstill directory={} left={} effect=\"no mail is taken or delivered until {} bytes"
                            + " are free; none is lost\"",
                    directory,
                    usable,
                    STANDSTILL_BYTES + RELIEF_BYTES);
        }
    }

    /** Bytes, as of the last look. */
    long usable() {
        return usable;
    }

    /** Whether new mail is being refused. */
    boolean isShort() {
        return level != Level.AMPLE;
    }

    boolean isAtStandstill() {
        return level == Level.STANDSTILL;
    }

    /**
     * Why a mail of so many bytes is not taken now, as of the last look; empty when it is.
     *
     * @param bytes 0 or more
     */
    Optional<String> objectionTo(long bytes) {
        long left = usable;
        return isShort() || left - claimed.get() - bytes < RESERVE_BYTES
                ? Optional.of("There are " + left / 1024 + " KiB left for " + directory + ", and "
                        + RESERVE_BYTES / 1024 + " KiB must stay free")
                : Optional.empty();
    }

    /**
     * Keeps room for a mail from outside until it is written.
     *
     * @param bytes about
     */
    Claim claim(long bytes) throws NoRoomException {
        usable = directory.toFile().getUsableSpace();
        Optional<String> objection = objectionTo(bytes);
        if (objection.isPresent()) {
            throw new NoRoomException(objection.get());
        }
        claimed.addAndGet(bytes);
        return () -> claimed.addAndGet(-bytes);
    }
}
