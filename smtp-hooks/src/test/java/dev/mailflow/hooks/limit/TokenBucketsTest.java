/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks.limit;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;

import org.junit.jupiter.api.Test;

import com.google.common.base.Ticker;

class TokenBucketsTest {
    private final AtomicLong now = new AtomicLong();
    private final TokenBuckets<String> buckets = new TokenBuckets<>(60, new Ticker() {
        @Override
        public long read() {
            return now.get();
        }
    });

    private long takenOf(int wanted) {
        return IntStream.range(0, wanted).filter(i -> buckets.tryTake("a")).count();
    }

    private void pass(Duration time) {
        now.addAndGet(time.toNanos());
    }

    @Test
    void aMinutesWorthShouldBeTakenAtOnceAndThenEvenly() {
        assertThat(takenOf(100)).isEqualTo(60);
        pass(Duration.ofMillis(999));
        assertThat(takenOf(1)).isZero();
        pass(Duration.ofMillis(1));
        assertThat(takenOf(10)).isEqualTo(1);
        pass(Duration.ofSeconds(10));
        assertThat(takenOf(100)).isEqualTo(10);
    }

    @Test
    void bucketShouldNeverHoldMoreThanAMinutesWorth() {
        takenOf(60);
        pass(Duration.ofHours(5));

        assertThat(takenOf(100)).isEqualTo(60);
    }

    @Test
    void keysShouldNotShareABucket() {
        takenOf(60);

        assertThat(buckets.tryTake("b")).isTrue();
        assertThat(buckets.tryTake("a")).isFalse();
    }
}
