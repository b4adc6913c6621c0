/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.match;

import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;

/**
 * Compiles regular expressions with RE2/J, which matches in time linear in the text. What could still grow is the
 * expression: repetitions inside repetitions multiply its size, so that product is bounded.
 */
final class RegularExpression {
    /** Characters of one expression. */
    static final int MAX_LENGTH = 4_096;

    /** States that counted repetitions may unfold to. */
    static final int MAX_SIZE = 20_000;

    private RegularExpression() {}

    /** @throws IllegalArgumentException saying what is wrong */
    static Pattern compile(String expression, boolean caseless) {
        if (expression.length() > MAX_LENGTH) {
            throw new IllegalArgumentException(
                    "the expression has " + expression.length() + " characters, expected " + MAX_LENGTH + " at most");
        }
        if (unfolded(expression) > MAX_SIZE) {
            throw new IllegalArgumentException(
                    "the repetitions of '" + shortened(expression) + "' multiply to more than " + MAX_SIZE + " states");
        }
        try {
            return Pattern.compile(expression, caseless ? Pattern.CASE_INSENSITIVE : 0);
        } catch (PatternSyntaxException e) {
            throw new IllegalArgumentException(
                    "found '" + shortened(expression) + "', expected a regular expression (" + e.getDescription() + ")",
                    e);
        } catch (StackOverflowError e) {
            throw new IllegalArgumentException("the expression '" + shortened(expression) + "' nests too deeply", e);
        }
    }

    private static String shortened(String text) {
        return text.length() <= 80 ? text : text.substring(0, 79) + "\u2026";
    }

    /** An upper bound of the states: each item counts once, a repeated one as often as it may be repeated. */
    private static long unfolded(String expression) {
        long[] sums = new long[expression.length() + 2];
        int depth = 0;
        long last = 0;
        for (int i = 0; i < expression.length(); i++) {
            char c = expression.charAt(i);
            switch (c) {
                case '(' -> {
                    sums[depth] += last;
                    last = 0;
                    depth++;
                    sums[depth] = 1;
                }
                case ')' -> {
                    long group = sums[depth] + last;
                    depth = Math.max(0, depth - 1);
                    last = group;
                }
                case '{' -> last = Math.min(MAX_SIZE + 1L, Math.max(last, 1) * repetitions(expression, i));
                case '\\' -> {
                    sums[depth] += last;
                    last = 1;
                    i++;
                }
                default -> {
                    sums[depth] += last;
                    last = 1;
                }
            }
        }
        long all = last;
        for (int i = 0; i <= depth; i++) {
            all += sums[i];
        }
        return all;
    }

    /** The greatest number in braces. */
    private static long repetitions(String expression, int brace) {
        long greatest = 1;
        long number = 0;
        for (int i = brace + 1; i < expression.length() && expression.charAt(i) != '}'; i++) {
            char c = expression.charAt(i);
            number = c >= '0' && c <= '9' ? Math.min(number * 10 + (c - '0'), MAX_SIZE + 1L) : 0;
            greatest = Math.max(greatest, number);
        }
        return greatest;
    }
}
