/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.match;

import java.util.Arrays;
import java.util.Optional;

/** The comparators (RFC 5228 section 2.7.3, RFC 4790 section 9). */
public enum Collation {
    OCTET("i;octet"),
    CASEMAP("i;ascii-casemap"),
    NUMERIC("i;ascii-numeric");

    /** Sorts after all digits: what is no number is greater than every number. */
    private static final String INFINITE = "infinite";

    private final String id;

    Collation(String id) {
        this.id = id;
    }

    public String id() {
        return id;
    }

    public static Optional<Collation> named(String id) {
        return Arrays.stream(values()).filter(one -> one.id.equals(id)).findFirst();
    }

    /** Two texts are equal when these are. */
    String key(Value value) {
        return switch (this) {
            case OCTET -> value.text();
            case CASEMAP -> value.folded();
            case NUMERIC -> number(value.text());
        };
    }

    public int compare(String left, String right) {
        return switch (this) {
            case OCTET -> compareCodePoints(left, right);
            case CASEMAP -> compareCodePoints(upper(left), upper(right));
            case NUMERIC -> compareNumbers(number(left), number(right));
        };
    }

    private static int compareNumbers(String left, String right) {
        int byLength = Integer.compare(
                left.equals(INFINITE) ? Integer.MAX_VALUE : left.length(),
                right.equals(INFINITE) ? Integer.MAX_VALUE : right.length());
        return byLength != 0 ? byLength : left.compareTo(right);
    }

    /** The digits at the start, without leading zeros. */
    private static String number(String text) {
        int end = 0;
        while (end < text.length() && text.charAt(end) >= '0' && text.charAt(end) <= '9') {
            end++;
        }
        if (end == 0) {
            return INFINITE;
        }
        int start = 0;
        while (start < end - 1 && text.charAt(start) == '0') {
            start++;
        }
        return text.substring(start, end);
    }

    /** UTF-8 octets sort as code points do, UTF-16 units do not. */
    private static int compareCodePoints(String left, String right) {
        int common = Math.min(left.length(), right.length());
        for (int i = 0; i < common; i++) {
            char a = left.charAt(i);
            char b = right.charAt(i);
            if (a != b) {
                return Character.isSurrogate(a) != Character.isSurrogate(b)
                        ? (Character.isSurrogate(a) ? 1 : -1)
                        : Character.compare(a, b);
            }
        }
        return Integer.compare(left.length(), right.length());
    }

    /** Lower case for ASCII letters only. */
    public static String lower(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c >= 'A' && c <= 'Z') {
                char[] folded = text.toCharArray();
                for (int at = i; at < folded.length; at++) {
                    folded[at] = fold(folded[at]);
                }
                return String.valueOf(folded);
            }
        }
        return text;
    }

    static char fold(char c) {
        return c >= 'A' && c <= 'Z' ? (char) (c + 32) : c;
    }

    /** Upper case for ASCII letters only. */
    public static String upper(String text) {
        char[] upper = text.toCharArray();
        for (int i = 0; i < upper.length; i++) {
            if (upper[i] >= 'a' && upper[i] <= 'z') {
                upper[i] = (char) (upper[i] - 32);
            }
        }
        return String.valueOf(upper);
    }
}
