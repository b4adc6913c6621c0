/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.domain;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;

/**
 * Values by domain pattern; the most specific pattern wins: exact, then the longest {@code *.} suffix, then {@code *}.
 * Immutable. A look-up costs one hash probe per label of the domain, whatever the size of the table.
 *
 * @param <V> what is stored for a pattern
 */
public final class DomainTable<V> {
    private final Map<String, V> exact;
    private final Map<String, V> suffixes;
    private final Optional<V> any;

    private DomainTable(Map<String, V> exact, Map<String, V> suffixes, Optional<V> any) {
        this.exact = exact;
        this.suffixes = suffixes;
        this.any = any;
    }

    /** A table of the given values. */
    public static <V> DomainTable<V> of(Map<DomainPattern, V> values) {
        Map<String, V> exact = new HashMap<>();
        Map<String, V> suffixes = new HashMap<>();
        values.forEach((pattern, value) -> {
            switch (pattern.kind()) {
                case EXACT -> exact.put(pattern.name(), value);
                case SUFFIX -> suffixes.put(pattern.name(), value);
                case ANY -> {}
            }
        });
        return new DomainTable<>(
                Map.copyOf(exact), Map.copyOf(suffixes), Optional.ofNullable(values.get(DomainPattern.ANY)));
    }

    /** The value of the most specific pattern that names the domain. */
    public Optional<V> find(String domain) {
        Cursor<V> cursor = new Cursor<>();
        visit(domain, cursor);
        return Optional.ofNullable(cursor.value);
    }

    /** Calls {@code visitor} for every pattern that names the domain, most specific first, until it returns true. */
    public void visit(String domain, Visitor<V> visitor) {
        String name = DomainPattern.normalize(domain);
        V found = exact.get(name);
        if (found != null && visitor.visit(new DomainPattern(DomainPattern.Kind.EXACT, name), found)) {
            return;
        }
        if (!suffixes.isEmpty()) {
            String rest = name;
            while (true) {
                V suffix = suffixes.get(rest);
                if (suffix != null && visitor.visit(new DomainPattern(DomainPattern.Kind.SUFFIX, rest), suffix)) {
                    return;
                }
                int dot = rest.indexOf('.');
                if (dot < 0) {
                    break;
                }
                rest = rest.substring(dot + 1);
            }
        }
        any.ifPresent(value -> visitor.visit(DomainPattern.ANY, value));
    }

    /** Every pattern with its value, in no order. */
    public void forEach(BiConsumer<DomainPattern, V> action) {
        exact.forEach((name, value) -> action.accept(new DomainPattern(DomainPattern.Kind.EXACT, name), value));
        suffixes.forEach((name, value) -> action.accept(new DomainPattern(DomainPattern.Kind.SUFFIX, name), value));
        any.ifPresent(value -> action.accept(DomainPattern.ANY, value));
    }

    public boolean isEmpty() {
        return exact.isEmpty() && suffixes.isEmpty() && any.isEmpty();
    }

    /** Told each match; returns true to end the visit. */
    @FunctionalInterface
    public interface Visitor<V> {
        boolean visit(DomainPattern pattern, V value);
    }

    private static final class Cursor<V> implements Visitor<V> {
        private V value;

        @Override
        public boolean visit(DomainPattern pattern, V found) {
            value = found;
            return true;
        }
    }
}
