/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.match;

import java.util.ArrayList;
import java.util.List;

/** Compares keys with one text that comes in pieces. Bounded memory; used once, by one thread. */
public interface StreamMatch {

    /** Characters of a window within which a regular expression is looked for. */
    int WINDOW = 1 << 18;

    /** Characters that two windows share; a longer match may be missed where two windows meet. */
    int REGEX_OVERLAP = 1 << 14;

    /** @return true when the text matches whatever comes after */
    boolean add(CharSequence piece);

    /** No more comes; whether the text matches. */
    boolean end();

    /** Decides by the first characters alone; a longer text is compared as if it ended after them. */
    final class OfPrefix implements StreamMatch {
        private final Match match;
        private final int length;
        private final StringBuilder prefix = new StringBuilder();

        OfPrefix(Match match, int length) {
            this.match = match;
            this.length = length;
        }

        @Override
        public boolean add(CharSequence piece) {
            prefix.append(piece, 0, Math.min(piece.length(), length - prefix.length()));
            return false;
        }

        @Override
        public boolean end() {
            return match.matches(Value.of(prefix.toString()), Match.UNHEARD);
        }
    }

    /** Looks into one window after the other. */
    final class OfWindows implements StreamMatch {
        private final Match match;
        private final int overlap;
        private final StringBuilder window = new StringBuilder();
        private boolean found;

        OfWindows(Match match, int overlap) {
            this.match = match;
            this.overlap = overlap;
        }

        @Override
        public boolean add(CharSequence piece) {
            if (!found) {
                window.append(piece);
                if (window.length() >= WINDOW + overlap) {
                    look();
                    window.delete(0, window.length() - overlap);
                }
            }
            return found;
        }

        @Override
        public boolean end() {
            if (!found) {
                look();
            }
            return found;
        }

        private void look() {
            found = match.matches(Value.of(window.toString()), Match.UNHEARD);
        }
    }

    /** Whether one of them matches. */
    final class OfAny implements StreamMatch {
        private final List<StreamMatch> all;

        OfAny(List<StreamMatch> all) {
            this.all = new ArrayList<>(all);
        }

        @Override
        public boolean add(CharSequence piece) {
            boolean matched = false;
            for (StreamMatch one : all) {
                matched |= one.add(piece);
            }
            return matched;
        }

        @Override
        public boolean end() {
            boolean matched = false;
            for (StreamMatch one : all) {
                matched |= one.end();
            }
            return matched;
        }
    }
}
