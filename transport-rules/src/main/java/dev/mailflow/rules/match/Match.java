/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.match;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

import com.google.re2j.Matcher;
import com.google.re2j.Pattern;

/**
 * A list of keys, made ready to be compared with many values: equal keys are found by hash, expressions are compiled.
 * Immutable.
 */
public abstract class Match {

    /**
     * How keys are compared with values.
     *
     * @param relation only with {@link Type#VALUE} and {@link Type#COUNT}
     */
    public record Kind(Type type, Collation collation, Optional<Relation> relation) {
        public static final Kind DEFAULT = new Kind(Type.IS, Collation.CASEMAP, Optional.empty());
    }

    /** The match types (RFC 5228 section 2.7.1, RFC 5231, the regex draft, RFC 6134). */
    public enum Type {
        IS,
        CONTAINS,
        MATCHES,
        REGEX,
        VALUE,
        COUNT,
        LIST
    }

    /** Told what the wildcards or groups of a key stood for (RFC 5229 section 3.2), the whole first. */
    @FunctionalInterface
    public interface Captured {
        void groups(List<String> groups);
    }

    /** Nobody wants to know. */
    public static final Captured UNHEARD = groups -> {};

    /** Whether some key matches. */
    public abstract boolean matches(Value value, Captured captured);

    /** The same for a text that comes in pieces and may not fit into memory. */
    public abstract StreamMatch stream();

    /**
     * Makes keys ready.
     *
     * @throws IllegalArgumentException saying which expression is wrong and why
     */
    public static Match of(Kind kind, List<String> keys) {
        Collation collation = kind.collation();
        return switch (kind.type()) {
            case IS, LIST -> new Equal(collation, keys);
            case CONTAINS -> new Containing(collation, keys);
            case MATCHES -> new Wild(keys.stream()
                    .map(key -> new Glob(key, collation == Collation.CASEMAP))
                    .toList());
            case REGEX -> new Expressions(keys.stream()
                    .map(key -> RegularExpression.compile(key, collation == Collation.CASEMAP))
                    .toList());
            case VALUE, COUNT -> new Related(collation, kind.relation().orElseThrow(), keys);
        };
    }

    private static final class Equal extends Match {
        private final Collation collation;
        private final Set<String> keys;

        Equal(Collation collation, List<String> keys) {
            this.collation = collation;
            Set<String> all = new HashSet<>(keys.size() * 2);
            keys.forEach(key -> all.add(collation.key(Value.of(key))));
            this.keys = Set.copyOf(all);
        }

        @Override
        public boolean matches(Value value, Captured captured) {
            return keys.contains(collation.key(value));
        }

        @Override
        public StreamMatch stream() {
            return new StreamMatch.OfPrefix(
                    this, keys.stream().mapToInt(String::length).max().orElse(0) + 1);
        }
    }

    private static final class Containing extends Match {
        private final boolean caseless;
        private final String[] keys;

        Containing(Collation collation, List<String> keys) {
            this.caseless = collation == Collation.CASEMAP;
            this.keys = keys.stream()
                    .map(key -> caseless ? Collation.lower(key) : key)
                    .distinct()
                    .toArray(String[]::new);
        }

        @Override
        public boolean matches(Value value, Captured captured) {
            String text = caseless ? value.folded() : value.text();
            for (String key : keys) {
                if (text.contains(key)) {
                    return true;
                }
            }
            return false;
        }

        @Override
        public StreamMatch stream() {
            int longest = 0;
            for (String key : keys) {
                longest = Math.max(longest, key.length());
            }
            return new StreamMatch.OfWindows(this, Math.max(0, longest - 1));
        }
    }

    private static final class Wild extends Match {
        private final List<Glob> globs;

        Wild(List<Glob> globs) {
            this.globs = globs;
        }

        @Override
        @SuppressWarnings("ReferenceEquality") // the one constant that says so
        public boolean matches(Value value, Captured captured) {
            for (Glob glob : globs) {
                if (captured == UNHEARD ? glob.matches(value) : glob.matches(value, captured)) {
                    return true;
                }
            }
            return false;
        }

        @Override
        public StreamMatch stream() {
            return new StreamMatch.OfAny(globs.stream().map(Glob::stream).toList());
        }
    }

    private static final class Expressions extends Match {
        private final List<Pattern> patterns;

        Expressions(List<Pattern> patterns) {
            this.patterns = patterns;
        }

        @Override
        @SuppressWarnings("ReferenceEquality") // the one constant that says so
        public boolean matches(Value value, Captured captured) {
            for (Pattern pattern : patterns) {
                Matcher matcher = pattern.matcher(value.text());
                if (matcher.find()) {
                    if (captured != UNHEARD) {
                        captured.groups(groups(matcher));
                    }
                    return true;
                }
            }
            return false;
        }

        private static List<String> groups(Matcher matcher) {
            List<String> groups = new ArrayList<>();
            for (int i = 0; i <= matcher.groupCount(); i++) {
                String group = matcher.group(i);
                groups.add(group == null ? "" : group);
            }
            return groups;
        }

        @Override
        public StreamMatch stream() {
            return new StreamMatch.OfWindows(this, StreamMatch.REGEX_OVERLAP);
        }
    }

    private static final class Related extends Match {
        private final Collation collation;
        private final Relation relation;
        private final List<String> keys;

        Related(Collation collation, Relation relation, List<String> keys) {
            this.collation = collation;
            this.relation = relation;
            this.keys = List.copyOf(keys);
        }

        @Override
        public boolean matches(Value value, Captured captured) {
            for (String key : keys) {
                if (relation.holds(collation.compare(value.text(), key))) {
                    return true;
                }
            }
            return false;
        }

        @Override
        public StreamMatch stream() {
            int longest = keys.stream().mapToInt(String::length).max().orElse(0);
            return new StreamMatch.OfPrefix(this, Math.max(longest + 1, 64));
        }
    }
}
