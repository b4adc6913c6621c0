/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import dev.mailflow.rules.match.Collation;

/** What is done to a value before it is stored (RFC 5229 section 4.1), in the order in which it is done; case is ASCII's. */
enum Modifier {
    LOWER(40),
    UPPER(40),
    LOWERFIRST(30),
    UPPERFIRST(30),
    QUOTEWILDCARD(20),
    QUOTEREGEX(20),
    LENGTH(10);

    private static final String WILD = "*?\\";
    private static final String SPECIAL = "\\.+*?()[]{}|^$-";

    private final int precedence;

    Modifier(int precedence) {
        this.precedence = precedence;
    }

    String tag() {
        return ":" + Collation.lower(name());
    }

    int precedence() {
        return precedence;
    }

    String apply(String value) {
        return switch (this) {
            case LOWER -> Collation.lower(value);
            case UPPER -> Collation.upper(value);
            case LOWERFIRST -> Collation.lower(first(value))
                    + value.substring(first(value).length());
            case UPPERFIRST -> Collation.upper(first(value))
                    + value.substring(first(value).length());
            case QUOTEWILDCARD -> quoted(value, WILD);
            case QUOTEREGEX -> quoted(value, SPECIAL);
            case LENGTH -> String.valueOf(value.codePointCount(0, value.length()));
        };
    }

    private static String first(String value) {
        return value.isEmpty() ? "" : value.substring(0, 1);
    }

    private static String quoted(String value, String characters) {
        StringBuilder quoted = new StringBuilder(value.length() + 16);
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (characters.indexOf(c) >= 0) {
                quoted.append('\\');
            }
            quoted.append(c);
        }
        return quoted.toString();
    }
}
