/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.match;

/** A text that is compared, with the form in which case does not count; that form is made once. Immutable. */
public final class Value {
    private static final Value EMPTY = new Value("");

    private final String text;
    private String folded;

    private Value(String text) {
        this.text = text;
    }

    public static Value of(String text) {
        return text.isEmpty() ? EMPTY : new Value(text);
    }

    public String text() {
        return text;
    }

    /** RFC 4790 section 9.2: without the case of ASCII letters. */
    String folded() {
        String known = folded;
        if (known == null) {
            known = Collation.lower(text);
            folded = known;
        }
        return known;
    }

    @Override
    public String toString() {
        return text;
    }
}
