/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.pool;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;

import dev.mailflow.delivery.smtp.HopAddress;
import dev.mailflow.delivery.smtp.HopFailure;

/**
 * Remembers which next hops cannot be connected to, so that mail goes to others at once. After {@link #THRESHOLD}
 * failures in a row a next hop is left alone for a while that doubles each time; then one attempt is let through, and a
 * success ends it.
 */
public final class HopHealth {
    static final int THRESHOLD = 3;
    static final Duration FIRST_WAIT = Duration.ofSeconds(2);
    static final Duration LONGEST_WAIT = Duration.ofMinutes(1);
    static final Duration OUTRUN = Duration.ofMinutes(10);
    private static final Duration FORGOTTEN_AFTER = Duration.ofHours(1);
    private static final int MOST_REMEMBERED = 50_000;

    private final ConcurrentHashMap<HopAddress, History> records = new ConcurrentHashMap<>();
    private final Cache<HopAddress, Instant> outrunUntil =
            CacheBuilder.newBuilder().maximumSize(MOST_REMEMBERED).build();
    private final Cache<HopAddress, Instant> tookMailAt =
            CacheBuilder.newBuilder().maximumSize(MOST_REMEMBERED).build();
    private final Clock clock;

    public HopHealth(Clock clock) {
        this.clock = clock;
    }

    private record History(int failures, Instant last, Instant nextProbe, HopFailure failure) {}

    /** Why the next hop is to be left alone now; empty: try it. At most one caller per wait is told to try. */
    public Optional<HopFailure> leaveAlone(HopAddress hop) {
        History known = records.get(hop);
        if (known == null || known.failures() < THRESHOLD) {
            return Optional.empty();
        }
        Instant now = clock.instant();
        if (!now.isBefore(known.nextProbe())) {
            History probing =
                    new History(known.failures(), known.last(), now.plus(waitAfter(known.failures())), known.failure());
            if (records.replace(hop, known, probing)) {
                return Optional.empty();
            }
        }
        HopFailure failure = known.failure();
        return Optional.of(new HopFailure(
                failure.kind(),
                failure.enhancedStatus(),
                failure.reason() + " (failed " + known.failures() + " times in a row; not tried now)",
                failure.reply(),
                failure.hop()));
    }

    void failed(HopAddress hop, HopFailure failure) {
        Instant now = clock.instant();
        records.compute(hop, (key, known) -> {
            int failures = known == null ? 1 : known.failures() + 1;
            return new History(failures, now, now.plus(waitAfter(failures)), failure);
        });
    }

    void succeeded(HopAddress hop) {
        records.remove(hop);
    }

    void tookMail(HopAddress hop) {
        tookMailAt.put(hop, clock.instant());
    }

    /** Whether it has taken mail in the last hour. */
    boolean hasTakenMail(HopAddress hop) {
        Instant last = tookMailAt.getIfPresent(hop);
        return last != null && clock.instant().isBefore(last.plus(FORGOTTEN_AFTER));
    }

    /** Another address of the same host has answered sooner, although it was asked later (RFC 8305 section 7.1). */
    public void outrun(HopAddress hop) {
        outrunUntil.put(hop, clock.instant().plus(OUTRUN));
    }

    /** Whether other addresses of the host are to be tried before this one. */
    public boolean isOutrun(HopAddress hop) {
        Instant until = outrunUntil.getIfPresent(hop);
        return until != null && clock.instant().isBefore(until);
    }

    void forgetOld() {
        Instant limit = clock.instant().minus(FORGOTTEN_AFTER);
        records.values().removeIf(known -> known.last().isBefore(limit));
    }

    private static Duration waitAfter(int failures) {
        Duration wait = FIRST_WAIT.multipliedBy(1L << Math.min(10, Math.max(0, failures - THRESHOLD)));
        return wait.compareTo(LONGEST_WAIT) < 0 ? wait : LONGEST_WAIT;
    }
}
