/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.util.List;
import java.util.Optional;

/** Guesses what somebody meant who misspelt a word. */
final class Similar {
    private Similar() {}

    /** {@code , did you mean 'x'?}, or nothing when no known word is near. */
    static String to(String word, List<String> known) {
        int nearest = 3;
        Optional<String> best = Optional.empty();
        for (String one : known) {
            int distance = Math.abs(one.length() - word.length()) < nearest ? distance(word, one) : nearest;
            if (distance < nearest) {
                nearest = distance;
                best = Optional.of(one);
            }
        }
        return best.map(one -> ", did you mean '" + one + "'?").orElse("");
    }

    /** Of Levenshtein. */
    private static int distance(String left, String right) {
        int[] row = new int[right.length() + 1];
        for (int j = 0; j < row.length; j++) {
            row[j] = j;
        }
        for (int i = 1; i <= left.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j < row.length; j++) {
                int above = row[j];
                int change = left.charAt(i - 1) == right.charAt(j - 1) ? 0 : 1;
                row[j] = Math.min(Math.min(row[j] + 1, row[j - 1] + 1), diagonal + change);
                diagonal = above;
            }
        }
        return row[right.length()];
    }
}
