/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.match;

import java.util.Locale;
import java.util.Optional;

/** The relational operators (RFC 5231 section 4). */
public enum Relation {
    GT,
    GE,
    LT,
    LE,
    EQ,
    NE;

    /** Case does not count. */
    public static Optional<Relation> named(String name) {
        for (Relation one : values()) {
            if (one.name().equals(name.toUpperCase(Locale.ROOT))) {
                return Optional.of(one);
            }
        }
        return Optional.empty();
    }

    /** @param comparison negative, zero or positive */
    boolean holds(int comparison) {
        return switch (this) {
            case GT -> comparison > 0;
            case GE -> comparison >= 0;
            case LT -> comparison < 0;
            case LE -> comparison <= 0;
            case EQ -> comparison == 0;
            case NE -> comparison != 0;
        };
    }
}
