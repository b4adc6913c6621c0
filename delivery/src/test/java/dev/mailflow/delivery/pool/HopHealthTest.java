/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.pool;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.Optional;

import org.junit.jupiter.api.Test;

import dev.mailflow.delivery.smtp.HopAddress;
import dev.mailflow.delivery.smtp.HopFailure;

class HopHealthTest {
    private static final HopAddress HOP = new HopAddress("mx.test", InetAddress.getLoopbackAddress(), 25);
    private static final HopFailure FAILURE =
            new HopFailure(HopFailure.Kind.UNREACHABLE, "4.4.1", "cannot connect", Optional.empty(), Optional.empty());

    private final SteppedClock clock = new SteppedClock();
    private final HopHealth health = new HopHealth(clock);

    private void fail(int times) {
        for (int i = 0; i < times; i++) {
            health.failed(HOP, FAILURE);
        }
    }

    @Test
    void hopShouldBeTriedBelowTheThreshold() {
        fail(HopHealth.THRESHOLD - 1);

        assertThat(health.leaveAlone(HOP)).isEmpty();
    }

    @Test
    void hopShouldBeLeftAloneWithTheReasonFromTheThresholdOn() {
        fail(HopHealth.THRESHOLD);

        assertThat(health.leaveAlone(HOP).orElseThrow().reason())
                .isEqualTo("cannot connect (failed 3 times in a row; not tried now)");
    }

    @Test
    void oneProbeShouldBeLetThroughAfterTheWait() {
        fail(HopHealth.THRESHOLD);
        clock.step(HopHealth.FIRST_WAIT);

        assertThat(health.leaveAlone(HOP)).isEmpty();
        assertThat(health.leaveAlone(HOP)).isPresent();
    }

    @Test
    void waitShouldDoubleWithEachFailureUpToALimit() {
        fail(HopHealth.THRESHOLD + 1);
        clock.step(HopHealth.FIRST_WAIT);
        assertThat(health.leaveAlone(HOP)).isPresent();
        clock.step(HopHealth.FIRST_WAIT);
        assertThat(health.leaveAlone(HOP)).isEmpty();

        fail(30);
        clock.step(HopHealth.LONGEST_WAIT);
        assertThat(health.leaveAlone(HOP)).isEmpty();
    }

    @Test
    void successShouldEndIt() {
        fail(10);
        health.succeeded(HOP);

        assertThat(health.leaveAlone(HOP)).isEmpty();
    }

    @Test
    void oldFailuresShouldBeForgotten() {
        fail(10);
        clock.step(Duration.ofHours(2));
        health.forgetOld();
        fail(1);

        assertThat(health.leaveAlone(HOP)).isEmpty();
    }

    private static final class SteppedClock extends Clock {
        private Instant now = Instant.parse("2026-01-01T00:00:00Z");

        void step(Duration by) {
            now = now.plus(by);
        }

        @Override
        public Instant instant() {
            return now;
        }

        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            return this;
        }
    }
}
