/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SinkCounterTest {
    private final SinkCounter counter = new SinkCounter();

    @Test
    void messagesShouldBeThoseOfTheLastRecord() {
        counter.read("sess=1 quit=0 mesg=0\rsess=1 quit=0 mesg=1\rsess=1 quit=1 mesg=1\rsess=2 quit=1 mesg=12\r");

        assertThat(counter.messages()).isEqualTo(12);
    }

    @ParameterizedTest
    @CsvSource({"5", "14", "18", "19", "20"})
    void messagesShouldBeRightWhereverAReadEnds(int end) {
        String output = "sess=1 quit=0 mesg=123\r";

        counter.read(output.substring(0, end));
        assertThat(counter.messages()).as("an unfinished number is none").isZero();
        counter.read(output.substring(end));

        assertThat(counter.messages()).isEqualTo(123);
    }

    @Test
    void awaitShouldReturnWhenTheNumberIsReached() throws Exception {
        CompletableFuture<Boolean> reached = CompletableFuture.supplyAsync(() -> awaits(3, Duration.ofSeconds(30)));

        counter.read("sess=1 quit=0 mesg=2\r");
        assertThat(reached).isNotDone();
        counter.read("sess=1 quit=0 mesg=3\r");

        assertThat(reached.get(30, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void awaitShouldGiveUpWhenTheDeadlinePasses() {
        counter.read("sess=1 quit=0 mesg=2\r");

        assertThat(awaits(3, Duration.ofMillis(50))).isFalse();
    }

    @Test
    void awaitShouldFailWhenTheSinkEnds() {
        counter.end();

        assertThatThrownBy(() -> awaits(1, Duration.ofSeconds(30)))
                .isInstanceOf(BenchmarkFailure.class)
                .hasMessageContaining("smtp-sink ended");
    }

    @Test
    void awaitShouldFailWhenTheCheckDoes() {
        assertThatThrownBy(() -> counter.await(
                        1, System.nanoTime() + Duration.ofSeconds(30).toNanos(), () -> {
                            throw new BenchmarkFailure("smtp-source exited with 1");
                        }))
                .hasMessage("smtp-source exited with 1");
    }

    private boolean awaits(long total, Duration time) {
        try {
            return counter.await(total, System.nanoTime() + time.toNanos(), () -> {});
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
