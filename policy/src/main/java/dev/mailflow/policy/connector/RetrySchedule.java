/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

import java.time.Duration;
import java.util.List;

/**
 * When deferred mail is tried again.
 *
 * @param schedule waits before the second, third, … attempt; the last one repeats; never empty
 * @param warnAfter age at which the sender is told of the delay
 * @param expireAfter age at which mail is bounced
 */
public record RetrySchedule(List<Duration> schedule, Duration warnAfter, Duration expireAfter) {

    public static final RetrySchedule DEFAULT = new RetrySchedule(
            List.of(
                    Duration.ofMinutes(1),
                    Duration.ofMinutes(5),
                    Duration.ofMinutes(15),
                    Duration.ofMinutes(30),
                    Duration.ofHours(1)),
            Duration.ofHours(4),
            Duration.ofDays(2));

    public RetrySchedule {
        schedule = List.copyOf(schedule);
    }

    /** The wait after the {@code attempts}-th failed attempt, 1-based. */
    public Duration waitAfter(int attempts) {
        return schedule.get(Math.min(Math.max(attempts, 1), schedule.size()) - 1);
    }
}
