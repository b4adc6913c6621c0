/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * The header fields that are rewritten. The defaults are those of the mail-flow behaviour, section 5. No other field can
 * be named: Return-Path, Received and Message-ID are evidence, and the rest holds no addresses.
 *
 * @param names as the standards spell them
 */
public record RewrittenFields(Set<String> names) {
    private static final List<String> ORIGINATORS = List.of(
            "From",
            "Sender",
            "Reply-To",
            "Return-Receipt-To",
            "Disposition-Notification-To",
            "Resent-From",
            "Resent-Sender");
    private static final List<String> COPIES = List.of("Cc", "Resent-Cc");
    private static final List<String> DESTINATIONS = List.of("To", "Resent-To");

    private static final Map<String, String> KNOWN = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);

    static {
        List.of(ORIGINATORS, COPIES, DESTINATIONS).forEach(list -> list.forEach(name -> KNOWN.put(name, name)));
    }

    public RewrittenFields {
        Set<String> caseless = new java.util.TreeSet<>(String.CASE_INSENSITIVE_ORDER);
        caseless.addAll(names);
        names = java.util.Collections.unmodifiableSet(caseless);
    }

    /** Outbound originators and copies, inbound destinations and copies. */
    public static RewrittenFields defaults(Direction direction) {
        Set<String> names = new LinkedHashSet<>(COPIES);
        names.addAll(direction == Direction.OUTBOUND ? ORIGINATORS : DESTINATIONS);
        return new RewrittenFields(names);
    }

    /**
     * Reads an administrator's choice: the fields to rewrite, separated by commas or spaces, in the place of the defaults
     * ({@code From, Sender, To}), or changes to the defaults ({@code +To, -Cc}).
     *
     * @throws IllegalArgumentException saying what was found and what is valid
     */
    public static RewrittenFields parse(String text, Direction direction) {
        List<String> words = Arrays.stream(text.trim().split("[\\s,]+"))
                .filter(word -> !word.isEmpty())
                .toList();
        long changes = words.stream()
                .filter(word -> word.startsWith("+") || word.startsWith("-"))
                .count();
        if (words.isEmpty() || (changes != 0 && changes != words.size())) {
            throw new IllegalArgumentException(
                    "found '" + text + "', expected either the names of the fields to rewrite"
                            + " ('From, Sender, To') or changes to the defaults ('+To, -Cc')");
        }
        Set<String> names = new LinkedHashSet<>(
                changes == 0 ? Set.of() : defaults(direction).names());
        for (String word : words) {
            String name = known(changes == 0 ? word : word.substring(1));
            if (word.startsWith("-")) {
                names.remove(name);
            } else {
                names.add(name);
            }
        }
        return new RewrittenFields(names);
    }

    private static String known(String word) {
        String name = KNOWN.get(word);
        if (name == null) {
            throw new IllegalArgumentException("found '" + word + "', expected fields among "
                    + KNOWN.values().stream().collect(Collectors.joining(", ")));
        }
        return name;
    }

    boolean contains(String name) {
        return names.contains(name);
    }

    @Override
    public String toString() {
        return String.join(", ", names).toLowerCase(Locale.ROOT);
    }
}
