/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.util.List;
import java.util.Optional;

/**
 * What an element may hold: text of one type, or other elements in any order, or nothing.
 *
 * @param <T> type of the text; {@link Void} for none
 */
record ElementRule<T>(String name, Optional<ValueType<T>> text, List<Attribute<?>> attributes, List<Child> children) {

    /**
     * An element inside another.
     *
     * @param required at least one must be there
     * @param repeatable more than one may be there
     */
    record Child(ElementRule<?> rule, boolean required, boolean repeatable) {}

    static ElementRule<Void> of(String name, Attribute<?>... attributes) {
        return new ElementRule<>(name, Optional.empty(), List.of(attributes), List.of());
    }

    static <T> ElementRule<T> of(String name, ValueType<T> text, Attribute<?>... attributes) {
        return new ElementRule<>(name, Optional.of(text), List.of(attributes), List.of());
    }

    ElementRule<T> holding(Child... inner) {
        return new ElementRule<>(name, text, attributes, List.of(inner));
    }

    static Child one(ElementRule<?> rule) {
        return new Child(rule, true, false);
    }

    static Child maybe(ElementRule<?> rule) {
        return new Child(rule, false, false);
    }

    static Child any(ElementRule<?> rule) {
        return new Child(rule, false, true);
    }

    static Child some(ElementRule<?> rule) {
        return new Child(rule, true, true);
    }
}
