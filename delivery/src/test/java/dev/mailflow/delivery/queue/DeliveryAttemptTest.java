/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import org.apache.james.core.MailAddress;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.delivery.DeliveryReport;
import dev.mailflow.delivery.HopUsed;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.SmtpReply;
import dev.mailflow.policy.connector.RetrySchedule;

class DeliveryAttemptTest {
    private static final Instant QUEUED = Instant.parse("2026-11-23T12:00:00Z");
    private static final RetrySchedule SCHEDULE = new RetrySchedule(
            List.of(Duration.ofMinutes(1), Duration.ofMinutes(10)), Duration.ofHours(4), Duration.ofDays(2));
    private static final double MIDDLE = 0.5;
    private static final RecipientOutcome LATER =
            new RecipientOutcome.Deferred("4.4.1", "connection refused", Optional.empty(), Optional.empty());

    private static final RecipientOutcome TURNED_AWAY =
            new RecipientOutcome.Deferred("4.4.5", "enough mail waits", Optional.empty(), Optional.empty(), true);

    private MailAddress joe;
    private MailAddress jim;
    private MailAddress jane;

    @BeforeEach
    void recipients() throws Exception {
        joe = new MailAddress("joe@fabrikam.com");
        jim = new MailAddress("jim@fabrikam.com");
        jane = new MailAddress("jane@fabrikam.com");
    }

    private static DeliveryReport report(Map<MailAddress, RecipientOutcome> outcomes) {
        return new DeliveryReport(new LinkedHashMap<>(outcomes));
    }

    @ParameterizedTest
    @CsvSource({
        // attempts before, place in the jitter, wait in seconds
        "0, 0.5, 60",
        "0, 0.0, 54",
        "0, 1.0, 66",
        "1, 0.5, 600",
        "7, 0.5, 600",
    })
    void nextAttemptShouldFollowTheScheduleWithJitter(int attempts, double spread, long seconds) {
        DeliveryState state = new DeliveryState(QUEUED.toEpochMilli(), attempts, false, "");

        DeliveryAttempt attempt = DeliveryAttempt.conclude(report(Map.of(joe, LATER)), state, SCHEDULE, QUEUED, spread);

        assertThat(attempt.nextAttempt()).isEqualTo(QUEUED.plusSeconds(seconds));
        assertThat(attempt.waiting()).containsOnlyKeys(joe);
    }

    @Test
    void oneRecipientsFateShouldNotBeTheOthers() {
        RecipientOutcome delivered = new RecipientOutcome.Delivered(
                new SmtpReply(250, List.of("ok")), new HopUsed("mx", "127.0.0.1", 25, Optional.empty()), true);
        RecipientOutcome failed =
                new RecipientOutcome.Failed("5.1.1", "no such user", Optional.empty(), Optional.empty());

        DeliveryAttempt attempt = DeliveryAttempt.conclude(
                report(Map.of(joe, delivered, jim, failed, jane, LATER)),
                DeliveryState.first(QUEUED),
                SCHEDULE,
                QUEUED,
                MIDDLE);

        assertThat(attempt.delivered()).containsOnlyKeys(joe);
        assertThat(attempt.failed()).containsOnlyKeys(jim);
        assertThat(attempt.waiting()).containsOnlyKeys(jane);
    }

    @Test
    void senderShouldBeWarnedOnceWhenMailIsLate() {
        Instant late = QUEUED.plus(SCHEDULE.warnAfter());
        DeliveryState unwarned = new DeliveryState(QUEUED.toEpochMilli(), 3, false, "");

        assertThat(DeliveryAttempt.conclude(report(Map.of(joe, LATER)), unwarned, SCHEDULE, late.minusMillis(1), MIDDLE)
                        .warn())
                .isFalse();
        assertThat(DeliveryAttempt.conclude(report(Map.of(joe, LATER)), unwarned, SCHEDULE, late, MIDDLE)
                        .warn())
                .isTrue();
        assertThat(DeliveryAttempt.conclude(
                                report(Map.of(joe, LATER)), unwarned.afterAttempt("", true), SCHEDULE, late, MIDDLE)
                        .warn())
                .isFalse();
    }

    @Test
    void mailShouldFailWithTheLastReasonWhenItExpires() {
        DeliveryAttempt attempt = DeliveryAttempt.conclude(
                report(Map.of(joe, LATER)),
                new DeliveryState(QUEUED.toEpochMilli(), 40, true, ""),
                SCHEDULE,
                QUEUED.plus(SCHEDULE.expireAfter()),
                MIDDLE);

        assertThat(attempt.waiting()).isEmpty();
        assertThat(attempt.failed().get(joe).enhancedStatus()).isEqualTo("5.4.7");
        assertThat(attempt.failed().get(joe).reason())
                .isEqualTo("not delivered within 2d, last reason: connection refused");
    }

    @ParameterizedTest
    @CsvSource({
        // age of the mail in seconds, wait in seconds
        "0, 5",
        "20, 5",
        "100, 25",
        "240, 60",
        "100000, 60",
    })
    void mailWithoutAConnectionShouldComeBackSoon(long age, long seconds) {
        Instant now = QUEUED.plusSeconds(age);
        DeliveryState state = new DeliveryState(QUEUED.toEpochMilli(), 1, false, "");

        DeliveryAttempt attempt =
                DeliveryAttempt.conclude(report(Map.of(joe, TURNED_AWAY)), state, SCHEDULE, now, MIDDLE);

        assertThat(attempt.isPostponement()).isTrue();
        assertThat(attempt.nextAttempt()).isEqualTo(now.plusSeconds(seconds));
        assertThat(attempt.warn()).isEqualTo(age >= SCHEDULE.warnAfter().toSeconds());
    }

    @Test
    void shorterWaitOfTheScheduleShouldHoldForMailWithoutAConnectionToo() {
        RetrySchedule quick =
                new RetrySchedule(List.of(Duration.ofSeconds(1)), Duration.ofHours(4), Duration.ofDays(2));

        DeliveryAttempt attempt = DeliveryAttempt.conclude(
                report(Map.of(joe, TURNED_AWAY)), DeliveryState.first(QUEUED), quick, QUEUED, MIDDLE);

        assertThat(attempt.nextAttempt()).isEqualTo(QUEUED.plusSeconds(1));
    }

    @Test
    void refusalOfOneRecipientShouldKeepTheScheduleForAll() {
        DeliveryAttempt attempt = DeliveryAttempt.conclude(
                report(Map.of(joe, TURNED_AWAY, jim, LATER)), DeliveryState.first(QUEUED), SCHEDULE, QUEUED, MIDDLE);

        assertThat(attempt.isPostponement()).isFalse();
        assertThat(attempt.nextAttempt()).isEqualTo(QUEUED.plusSeconds(60));
    }

    @Test
    void mailWithoutAConnectionShouldExpireLikeOther() {
        DeliveryAttempt attempt = DeliveryAttempt.conclude(
                report(Map.of(joe, TURNED_AWAY)),
                DeliveryState.first(QUEUED),
                SCHEDULE,
                QUEUED.plus(SCHEDULE.expireAfter()),
                MIDDLE);

        assertThat(attempt.failed().get(joe).enhancedStatus()).isEqualTo("5.4.7");
    }

    @Test
    void lastAttemptShouldBeAtExpiry() {
        Instant expiry = QUEUED.plus(SCHEDULE.expireAfter());
        DeliveryAttempt attempt = DeliveryAttempt.conclude(
                report(Map.of(joe, LATER)),
                new DeliveryState(QUEUED.toEpochMilli(), 40, true, ""),
                SCHEDULE,
                expiry.minusSeconds(5),
                MIDDLE);

        assertThat(attempt.nextAttempt()).isEqualTo(expiry);
    }
}
