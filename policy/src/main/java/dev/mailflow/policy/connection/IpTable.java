/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Values by address range; the narrowest range that covers an address wins, then the first added. Immutable, with the
 * costs of {@link IpRangeSet}.
 *
 * @param <V> what is stored for a range
 */
public final class IpTable<V> {
    private final IpRangeSet ranges;
    private final List<V> values;

    private IpTable(IpRangeSet ranges, List<V> values) {
        this.ranges = ranges;
        this.values = List.copyOf(values);
    }

    public static <V> Builder<V> builder() {
        return new Builder<>();
    }

    public Optional<V> find(IpAddress address) {
        int index = ranges.find(address);
        return index == IpRangeSet.NONE ? Optional.empty() : Optional.of(values.get(index));
    }

    /**
     * Collects ranges with their values. Not thread-safe; used once.
     *
     * @param <V> what is stored for a range
     */
    public static final class Builder<V> {
        private final IpRangeSet.Builder ranges = IpRangeSet.builder();
        private final List<V> values = new ArrayList<>();

        private Builder() {}

        public Builder<V> add(IpRange range, V value) {
            ranges.add(range);
            values.add(value);
            return this;
        }

        public IpTable<V> build() {
            return new IpTable<>(ranges.build(), values);
        }
    }
}
