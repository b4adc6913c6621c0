/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks.limit;

import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicBoolean;

/** A bounded number of slots per key. Keys without a slot taken cost nothing. Thread-safe. */
public final class ConnectionSlots<K> {
    private final int perKey;
    private final ConcurrentMap<K, Integer> taken = new ConcurrentHashMap<>();

    /** @param perKey above 0 */
    public ConnectionSlots(int perKey) {
        this.perKey = perKey;
    }

    /** Takes a slot; false: all are taken. */
    public boolean tryTake(K key) {
        AtomicBoolean got = new AtomicBoolean();
        taken.compute(key, (unused, count) -> {
            int now = count == null ? 0 : count;
            got.set(now < perKey);
            return now < perKey ? now + 1 : count;
        });
        return got.get();
    }

    /** Gives one slot back. */
    public void release(K key) {
        taken.computeIfPresent(key, (unused, count) -> count > 1 ? count - 1 : null);
    }
}
