/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The number of messages that {@code smtp-sink -c} says it received. It writes {@code sess=1 quit=0 mesg=1} and a
 * carriage return whenever one of them changes; a read may end anywhere in that.
 */
final class SinkCounter {
    private static final Pattern MESSAGES = Pattern.compile("mesg=(\\d+)[\\r\\n]");
    private static final long CHECK_MILLIS = 200;

    private final StringBuilder unread = new StringBuilder();
    private long messages;
    private boolean ended;

    /** Takes more of the output. */
    synchronized void read(CharSequence output) {
        unread.append(output);
        Matcher matcher = MESSAGES.matcher(unread);
        int end = 0;
        while (matcher.find()) {
            messages = Long.parseLong(matcher.group(1));
            end = matcher.end();
        }
        unread.delete(0, end);
        notifyAll();
    }

    /** There will be no more output. */
    synchronized void end() {
        ended = true;
        notifyAll();
    }

    synchronized long messages() {
        return messages;
    }

    /**
     * Waits for a number of messages in total, and says whether it was reached before the deadline.
     *
     * @param deadline in {@link System#nanoTime()}
     * @param check is run now and then, and throws when waiting has become pointless
     */
    synchronized boolean await(long total, long deadline, Runnable check) throws InterruptedException {
        while (messages < total) {
            if (ended) {
                throw new BenchmarkFailure("smtp-sink ended while it was counting");
            }
            long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
            if (left <= 0) {
                return false;
            }
            wait(Math.min(left, CHECK_MILLIS));
            check.run();
        }
        return true;
    }

    /** Waits until no message has come for some time, at most until the deadline; the number of messages then. */
    synchronized long awaitQuiet(long quietMillis, long deadline) throws InterruptedException {
        long quietSince = System.nanoTime();
        long seen = messages;
        while (true) {
            long now = System.nanoTime();
            if (messages != seen) {
                seen = messages;
                quietSince = now;
            }
            long left = quietMillis - TimeUnit.NANOSECONDS.toMillis(now - quietSince);
            if (left <= 0 || ended || now - deadline > 0) {
                return messages;
            }
            wait(left);
        }
    }
}
