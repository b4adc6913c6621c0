/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks.limit;

import java.time.Duration;

import com.google.common.base.Ticker;
import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;

/**
 * One token bucket per key: a minute's worth may come at once, then as much as a minute allows, evenly. A bucket nobody
 * drew from for a minute is full again, so forgetting it changes nothing and memory is bounded by who was active.
 * Thread-safe.
 */
public final class TokenBuckets<K> {
    private static final double NANOS_PER_MINUTE = Duration.ofMinutes(1).toNanos();
    private static final int MOST_BUCKETS = 1_000_000;

    private final int perMinute;
    private final Ticker ticker;
    private final Cache<K, Bucket> buckets;

    /** @param perMinute above 0 */
    public TokenBuckets(int perMinute, Ticker ticker) {
        this.perMinute = perMinute;
        this.ticker = ticker;
        this.buckets = CacheBuilder.newBuilder()
                .expireAfterAccess(Duration.ofMinutes(1))
                .maximumSize(MOST_BUCKETS)
                .ticker(ticker)
                .build();
    }

    /** Takes one token; false: there is none, and nothing was taken. */
    public boolean tryTake(K key) {
        Bucket known = buckets.getIfPresent(key);
        if (known == null) {
            Bucket fresh = new Bucket(perMinute, ticker.read());
            Bucket other = buckets.asMap().putIfAbsent(key, fresh);
            known = other == null ? fresh : other;
        }
        return known.tryTake();
    }

    private final class Bucket {
        private double tokens;
        private long filledAt;

        Bucket(double tokens, long filledAt) {
            this.tokens = tokens;
            this.filledAt = filledAt;
        }

        synchronized boolean tryTake() {
            long now = ticker.read();
            tokens = Math.min(perMinute, tokens + (now - filledAt) / NANOS_PER_MINUTE * perMinute);
            filledAt = now;
            if (tokens < 1) {
                return false;
            }
            tokens -= 1;
            return true;
        }
    }
}
