/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks.limit;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.junit.jupiter.api.Test;

class ConnectionSlotsTest {

    @Test
    void slotShouldBeFreeAgainAfterRelease() {
        ConnectionSlots<String> slots = new ConnectionSlots<>(2);

        assertThat(slots.tryTake("a")).isTrue();
        assertThat(slots.tryTake("a")).isTrue();
        assertThat(slots.tryTake("a")).isFalse();
        assertThat(slots.tryTake("b")).isTrue();
        slots.release("a");
        assertThat(slots.tryTake("a")).isTrue();
        assertThat(slots.tryTake("a")).isFalse();
    }

    @Test
    void noMoreThanAllowedShouldBeHeldAtOnceUnderContention() throws Exception {
        ConnectionSlots<String> slots = new ConnectionSlots<>(3);
        AtomicInteger held = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        ExecutorService threads = Executors.newFixedThreadPool(8);
        for (int i = 0; i < 8; i++) {
            threads.execute(() -> {
                for (int n = 0; n < 5_000; n++) {
                    if (slots.tryTake("a")) {
                        most.accumulateAndGet(held.incrementAndGet(), Math::max);
                        held.decrementAndGet();
                        slots.release("a");
                    }
                }
            });
        }
        threads.shutdown();
        assertThat(threads.awaitTermination(60, TimeUnit.SECONDS)).isTrue();

        assertThat(most.get()).isBetween(1, 3);
        assertThat(slots.tryTake("a")).isTrue();
    }
}
