/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.mtasts;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import org.junit.jupiter.api.Test;

/** How old policies get before they are fetched again. */
class RenewalAgeTest {
    private static final Instant FETCHED = Instant.parse("2026-11-02T06:00:00Z");
    private static final int DOMAINS = 6_000;

    private static List<Duration> ages(Duration maxAge) {
        StsPolicies.Kept kept = new StsPolicies.Kept(
                "1", "enforce", maxAge.toSeconds(), List.of("mx.d.test"), FETCHED.getEpochSecond(), true);
        return IntStream.range(0, DOMAINS)
                .mapToObj(i -> Duration.between(FETCHED, kept.due("d" + i + ".test")))
                .toList();
    }

    @Test
    void policiesThatWereFetchedTogetherShouldComeDueOverAQuarterOfADay() {
        Map<Long, Long> byHour = ages(Duration.ofDays(7)).stream()
                .collect(Collectors.groupingBy(Duration::toHours, Collectors.counting()));

        assertThat(byHour.keySet()).allMatch(hour -> hour >= 18 && hour <= 24);
        assertThat(byHour.values()).allMatch(count -> count < DOMAINS / 3);
    }

    @Test
    void policiesShouldComeDueBeforeHalfTheirLifeIsOver() {
        assertThat(ages(Duration.ofHours(10)))
                .allMatch(age -> age.compareTo(Duration.ofHours(5)) <= 0 && age.compareTo(Duration.ofHours(3)) > 0);
        assertThat(ages(Duration.ofSeconds(1))).containsOnly(Duration.ZERO);
    }
}
