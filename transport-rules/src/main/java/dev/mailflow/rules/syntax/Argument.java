/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.syntax;

import java.util.List;

/** An argument of a command or test (RFC 5228 section 2.6). */
public sealed interface Argument {

    Position at();

    /** @param name in lower case, with its colon */
    record Tag(String name, Position at) implements Argument {}

    /** A number, its quantifier applied. */
    record Amount(long value, Position at) implements Argument {}

    /** @param bracketed whether it was written as a list */
    record Strings(List<Item> items, boolean bracketed, Position at) implements Argument {
        public Strings {
            items = List.copyOf(items);
        }

        public List<String> texts() {
            return items.stream().map(Item::text).toList();
        }
    }

    /** One string, its quotes and escapes resolved. */
    record Item(String text, Position at) {}
}
