/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What an attribute or a text may say.
 *
 * @param expected completes the sentence "expected …"
 * @param parser reads the text
 */
record ValueType<T>(String expected, Parser<T> parser, Handling handling) {

    /** How the characters are treated before they are read. */
    enum Handling {
        /** References are resolved, white space at the ends is dropped. */
        PLAIN,
        /** References are resolved, white space counts, the value is never shown. */
        SECRET,
        /** Taken as it stands: a script has its own {@code ${…}}. */
        SCRIPT
    }

    /** Reads a value. */
    @FunctionalInterface
    interface Parser<T> {
        /** @throws IllegalArgumentException when the text is not such a value; a {@link Hint} says more */
        T parse(String text);
    }

    /** Tells the administrator what to mend; the message never repeats the value. */
    static final class Hint extends IllegalArgumentException {
        private static final long serialVersionUID = 1L;

        Hint(String message) {
            super(message);
        }
    }

    static <T> ValueType<T> of(String expected, Parser<T> parser) {
        return new ValueType<>(expected, parser, Handling.PLAIN);
    }

    /** A value that is one of a few words. */
    static <T> ValueType<T> words(Map<String, T> words) {
        List<String> names = List.copyOf(words.keySet());
        String expected = names.size() == 1
                ? names.get(0)
                : names.subList(0, names.size() - 1).stream().collect(Collectors.joining(", "))
                        + " or "
                        + names.get(names.size() - 1);
        return of(expected, text -> {
            T value = words.get(text);
            if (value == null) {
                throw new IllegalArgumentException();
            }
            return value;
        });
    }

    /** A value that is one of an enumeration's constants, written as they print. */
    @SafeVarargs
    static <E extends Enum<E>> ValueType<E> words(E... constants) {
        Map<String, E> words = new LinkedHashMap<>();
        for (E constant : constants) {
            words.put(constant.toString(), constant);
        }
        return words(words);
    }

    /** A value that is one of a few words which this version only checks. */
    static ValueType<String> words(String... names) {
        Map<String, String> words = new LinkedHashMap<>();
        Arrays.stream(names).forEach(name -> words.put(name, name));
        return words(words);
    }

    /** One or more such values, separated by white space or commas. */
    ValueType<List<T>> list() {
        return of("one or several, separated by spaces or commas, of: " + expected, text -> {
            List<T> values = Arrays.stream(text.split("[\\s,]+"))
                    .filter(word -> !word.isEmpty())
                    .map(parser::parse)
                    .toList();
            if (values.isEmpty()) {
                throw new IllegalArgumentException();
            }
            return values;
        });
    }
}
