/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.match;

import java.util.ArrayList;
import java.util.List;

/**
 * A pattern with the wildcards {@code *} and {@code ?} (RFC 5228 section 2.7.1), cut at its stars into segments that are
 * searched for one after the other. That finds the shortest text for each star (RFC 5229 section 3.2) and needs no
 * backtracking: time is bounded by the length of the text times that of the longest segment. Immutable.
 */
final class Glob {
    /** Any one character, within a segment. */
    private static final int ANY = -1;

    private final boolean caseless;
    /** Code points, or {@link #ANY}; the first is anchored at the start, the last at the end. */
    private final int[][] segments;
    /** For each segment, its text when it has no {@link #ANY}; else empty. */
    private final String[] texts;

    Glob(String pattern, boolean caseless) {
        this.caseless = caseless;
        List<int[]> all = new ArrayList<>();
        List<Integer> segment = new ArrayList<>();
        for (int i = 0; i < pattern.length(); ) {
            int c = pattern.codePointAt(i);
            i += Character.charCount(c);
            if (c == '*') {
                all.add(segment.stream().mapToInt(Integer::intValue).toArray());
                segment.clear();
            } else if (c == '?') {
                segment.add(ANY);
            } else {
                if (c == '\\' && i < pattern.length()) {
                    c = pattern.codePointAt(i);
                    i += Character.charCount(c);
                }
                segment.add(caseless && c < 128 ? Collation.fold((char) c) : c);
            }
        }
        all.add(segment.stream().mapToInt(Integer::intValue).toArray());
        this.segments = all.toArray(int[][]::new);
        this.texts = new String[segments.length];
        for (int i = 0; i < segments.length; i++) {
            boolean plain = true;
            for (int c : segments[i]) {
                plain &= c != ANY;
            }
            texts[i] = plain ? new String(segments[i], 0, segments[i].length) : "";
        }
    }

    boolean matches(Value value) {
        return match(caseless ? value.folded() : value.text(), new int[2 * segments.length]);
    }

    boolean matches(Value value, Match.Captured captured) {
        int[] ends = new int[2 * segments.length];
        if (!match(caseless ? value.folded() : value.text(), ends)) {
            return false;
        }
        captured.groups(groups(value.text(), ends));
        return true;
    }

    /** @param places told where each segment begins and ends */
    private boolean match(String text, int[] places) {
        int last = segments.length - 1;
        int at = matchAt(text, 0, segments[0]);
        if (at < 0) {
            return false;
        }
        places[1] = at;
        if (last == 0) {
            return at == text.length();
        }
        for (int i = 1; i < last; i++) {
            int from = find(text, at, i);
            if (from < 0) {
                return false;
            }
            places[2 * i] = from;
            at = matchAt(text, from, segments[i]);
            places[2 * i + 1] = at;
        }
        int tail = text.offsetByCodePoints(
                text.length(), -Math.min(segments[last].length, text.codePointCount(at, text.length())));
        if (tail < at || matchAt(text, tail, segments[last]) != text.length()) {
            return false;
        }
        places[2 * last] = tail;
        places[2 * last + 1] = text.length();
        return true;
    }

    private int find(String text, int from, int segment) {
        int[] wanted = segments[segment];
        if (wanted.length == 0) {
            return from;
        }
        if (!texts[segment].isEmpty()) {
            return text.indexOf(texts[segment], from);
        }
        for (int at = from; at < text.length(); at += Character.charCount(text.codePointAt(at))) {
            if (matchAt(text, at, wanted) >= 0) {
                return at;
            }
        }
        return -1;
    }

    /** Where the segment ends when it stands here; -1 when it does not. */
    private static int matchAt(String text, int from, int[] segment) {
        int at = from;
        for (int wanted : segment) {
            if (at >= text.length()) {
                return -1;
            }
            int c = text.codePointAt(at);
            if (wanted != ANY && wanted != c) {
                return -1;
            }
            at += Character.charCount(c);
        }
        return at;
    }

    /** The whole, then what each wildcard stands for, in the order of the pattern. */
    private List<String> groups(String text, int[] places) {
        List<String> groups = new ArrayList<>();
        groups.add(text);
        for (int i = 0; i < segments.length; i++) {
            if (i > 0) {
                groups.add(text.substring(places[2 * i - 1], places[2 * i]));
            }
            int at = places[2 * i];
            for (int wanted : segments[i]) {
                int c = text.codePointAt(at);
                if (wanted == ANY) {
                    groups.add(Character.toString(c));
                }
                at += Character.charCount(c);
            }
        }
        return groups;
    }

    StreamMatch stream() {
        return new Streamed();
    }

    /** Keeps no more of the text than the segment that is looked for is long. */
    private final class Streamed implements StreamMatch {
        private final StringBuilder held = new StringBuilder();
        private int segment;
        private boolean failed;

        @Override
        public boolean add(CharSequence piece) {
            if (failed) {
                return false;
            }
            for (int i = 0; i < piece.length(); i++) {
                held.append(caseless ? Collation.fold(piece.charAt(i)) : piece.charAt(i));
            }
            advance();
            return false;
        }

        private void advance() {
            int last = segments.length - 1;
            if (segment == 0) {
                if (last == 0) {
                    failed = held.length() > 2 * segments[0].length;
                    return;
                }
                if (held.length() < 2 * segments[0].length) {
                    return;
                }
                takeFirst();
            }
            while (!failed && segment < last) {
                String text = held.toString();
                int from = find(text, 0, segment);
                if (from < 0) {
                    keep(2 * segments[segment].length);
                    return;
                }
                held.delete(0, matchAt(text, from, segments[segment]));
                segment++;
            }
            keep(2 * segments[last].length);
        }

        private void takeFirst() {
            int end = matchAt(held.toString(), 0, segments[0]);
            failed = end < 0;
            if (!failed) {
                held.delete(0, end);
                segment = 1;
            }
        }

        /** Two characters for each code point that may be one of a pair; pairs are not torn. */
        private void keep(int characters) {
            int drop = held.length() - characters - 1;
            if (drop > 0) {
                held.delete(0, Character.isLowSurrogate(held.charAt(drop)) ? drop - 1 : drop);
            }
        }

        @Override
        public boolean end() {
            if (failed) {
                return false;
            }
            int last = segments.length - 1;
            if (segment == 0) {
                if (last == 0) {
                    return matchAt(held.toString(), 0, segments[0]) == held.length();
                }
                takeFirst();
                if (failed) {
                    return false;
                }
            }
            String text = held.toString();
            int at = 0;
            for (; segment < last; segment++) {
                int from = find(text, at, segment);
                if (from < 0) {
                    return false;
                }
                at = matchAt(text, from, segments[segment]);
            }
            int count = text.codePointCount(at, text.length());
            if (count < segments[last].length) {
                return false;
            }
            int tail = text.offsetByCodePoints(text.length(), -segments[last].length);
            return matchAt(text, tail, segments[last]) == text.length();
        }
    }
}
