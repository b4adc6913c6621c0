/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import org.apache.james.core.MailAddress;

import dev.mailflow.delivery.DeliveryReport;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.RecipientOutcome.Deferred;
import dev.mailflow.delivery.RecipientOutcome.Delivered;
import dev.mailflow.delivery.RecipientOutcome.Failed;
import dev.mailflow.policy.connector.RetrySchedule;

/**
 * What follows from one attempt: who is done, who waits and until when, who has failed, and whether the sender is to be
 * warned. Pure: the same report, state, schedule and time give the same conclusion.
 *
 * @param delivered recipients a next hop took responsibility for
 * @param waiting recipients to try again at {@code nextAttempt}
 * @param failed recipients that are given up, by a next hop's word or because the mail is too old
 * @param warn whether the sender is told now that the waiting ones are late
 * @param nextAttempt when {@code waiting} are tried again; the time of the attempt when nobody waits
 */
record DeliveryAttempt(
        Map<MailAddress, Delivered> delivered,
        Map<MailAddress, Deferred> waiting,
        Map<MailAddress, Failed> failed,
        boolean warn,
        Instant nextAttempt) {

    static final String EXPIRED_STATUS = "5.4.7";

    private static final Duration SHORTEST_POSTPONEMENT = Duration.ofSeconds(5);
    private static final Duration LONGEST_POSTPONEMENT = Duration.ofMinutes(1);

    /**
     * Concludes an attempt.
     *
     * @param state as it was before the attempt
     * @param spread in 0..1: where in the jitter of ±10 % around the scheduled wait the next attempt falls, so that
     *     mail deferred together does not come back together
     */
    static DeliveryAttempt conclude(
            DeliveryReport report, DeliveryState state, RetrySchedule schedule, Instant now, double spread) {
        Instant expiry = state.queued().plus(schedule.expireAfter());
        Map<MailAddress, Delivered> delivered = new LinkedHashMap<>();
        Map<MailAddress, Deferred> waiting = new LinkedHashMap<>();
        Map<MailAddress, Failed> failed = new LinkedHashMap<>();
        report.outcomes().forEach((address, outcome) -> {
            if (outcome instanceof Delivered done) {
                delivered.put(address, done);
            } else if (outcome instanceof Failed permanent) {
                failed.put(address, permanent);
            } else if (outcome instanceof Deferred deferred) {
                if (now.isBefore(expiry)) {
                    waiting.put(address, deferred);
                } else {
                    failed.put(address, expired(deferred, schedule));
                }
            }
        });
        boolean late = !now.isBefore(state.queued().plus(schedule.warnAfter()));
        return new DeliveryAttempt(
                delivered,
                waiting,
                failed,
                late && !state.warned() && !waiting.isEmpty(),
                waiting.isEmpty()
                        ? now
                        : next(wait(state, schedule, now, isPostponement(waiting.values())), now, expiry, spread));
    }

    private static boolean isPostponement(Collection<Deferred> waiting) {
        return !waiting.isEmpty() && waiting.stream().allMatch(Deferred::turnedAway);
    }

    /** Mail for which there was no connection comes back soon; the older it is the less often it looks. */
    private static Duration wait(DeliveryState state, RetrySchedule schedule, Instant now, boolean postponement) {
        Duration scheduled = schedule.waitAfter(state.attempts() + 1);
        if (!postponement) {
            return scheduled;
        }
        Duration grown = Duration.between(state.queued(), now).dividedBy(4);
        return min(scheduled, max(SHORTEST_POSTPONEMENT, min(grown, LONGEST_POSTPONEMENT)));
    }

    private static Duration min(Duration a, Duration b) {
        return a.compareTo(b) <= 0 ? a : b;
    }

    private static Duration max(Duration a, Duration b) {
        return a.compareTo(b) >= 0 ? a : b;
    }

    private static Instant next(Duration wait, Instant now, Instant expiry, double spread) {
        Instant next = now.plusMillis(Math.round(wait.toMillis() * (0.9 + 0.2 * spread)));
        // The last attempt is made at expiry, not up to a whole wait later.
        return next.isAfter(expiry) ? expiry : next;
    }

    private static Failed expired(Deferred deferred, RetrySchedule schedule) {
        return new Failed(
                EXPIRED_STATUS,
                "not delivered within " + days(schedule) + ", last reason: " + deferred.reason(),
                deferred.reply(),
                deferred.hop());
    }

    private static String days(RetrySchedule schedule) {
        long seconds = schedule.expireAfter().toSeconds();
        return seconds % 86_400 == 0
                ? seconds / 86_400 + "d"
                : seconds % 3_600 == 0 ? seconds / 3_600 + "h" : seconds + "s";
    }

    /** Recipients with the same outcome together, so that each outcome is told once. */
    static <O extends RecipientOutcome> Map<O, List<MailAddress>> byOutcome(Map<MailAddress, O> outcomes) {
        Map<O, List<MailAddress>> groups = new LinkedHashMap<>();
        outcomes.forEach((address, outcome) ->
                groups.computeIfAbsent(outcome, key -> new ArrayList<>()).add(address));
        return groups;
    }

    /** Whether it was no attempt for those who wait: there was no connection for them. It takes no step of the schedule. */
    boolean isPostponement() {
        return isPostponement(waiting.values());
    }

    /** Why the waiting recipients wait; empty when nobody does. */
    Optional<String> waitingReason() {
        return waiting.values().stream().map(Deferred::reason).findFirst();
    }
}
