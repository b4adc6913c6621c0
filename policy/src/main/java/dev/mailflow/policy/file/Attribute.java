/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

/**
 * An attribute that an element may have.
 *
 * @param required whether the element is incomplete without it
 */
record Attribute<T>(String name, ValueType<T> type, boolean required) {

    static <T> Attribute<T> required(String name, ValueType<T> type) {
        return new Attribute<>(name, type, true);
    }

    static <T> Attribute<T> optional(String name, ValueType<T> type) {
        return new Attribute<>(name, type, false);
    }
}
