/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;

/**
 * What an SPF record lets send, together with the records that it includes or redirects to (RFC 7208): mechanisms that
 * pass, each with the domain whose record has it. Names with macros are not followed. An evaluation may ask DNS ten times
 * (section 4.6.4); a record that needs more is an error for everybody, as is one that leads to a domain without a record.
 */
final class SpfTerms {
    private static final int MOST_LOOKUPS = 10;
    private static final Set<String> ASKING = Set.of("include", "a", "mx", "ptr", "exists");
    private static final String INCLUDE = "include:";
    private static final String REDIRECT = "redirect=";

    private final Function<String, List<String>> texts;
    private final List<Term> terms = new ArrayList<>();
    private Optional<String> error = Optional.empty();
    private int lookups;

    /** A mechanism without its qualifier, lower case. */
    record Term(String domain, String mechanism) {}

    private SpfTerms(Function<String, List<String>> texts) {
        this.texts = texts;
    }

    /** @param texts the TXT records of a name, each joined */
    static SpfTerms of(String domain, String record, Function<String, List<String>> texts) {
        SpfTerms read = new SpfTerms(texts);
        read.read(domain, record);
        return read;
    }

    static List<String> records(List<String> texts) {
        return texts.stream()
                .filter(text -> text.equalsIgnoreCase("v=spf1")
                        || text.toLowerCase(Locale.ROOT).startsWith("v=spf1 "))
                .toList();
    }

    private void read(String domain, String record) {
        boolean all = false;
        Optional<String> redirect = Optional.empty();
        String[] words = record.toLowerCase(Locale.ROOT).trim().split("\\s+");
        for (int i = 1; i < words.length && error.isEmpty(); i++) {
            if (words[i].startsWith(REDIRECT)) {
                redirect = Optional.of(words[i].substring(REDIRECT.length()));
            } else if (!words[i].matches("[a-z][a-z0-9_.-]*=.*")) {
                boolean passes = !words[i].matches("[-~?].*");
                String mechanism = words[i].replaceFirst("^[-+~?]", "");
                all |= mechanism.equals("all");
                if (ASKING.contains(mechanism.replaceFirst("[:/].*", ""))) {
                    countLookup();
                }
                if (passes) {
                    terms.add(new Term(domain, mechanism));
                    if (mechanism.startsWith(INCLUDE)) {
                        follow(domain, mechanism.substring(INCLUDE.length()), mechanism);
                    }
                }
            }
        }
        if (!all && redirect.isPresent() && error.isEmpty()) {
            countLookup();
            follow(domain, redirect.get(), REDIRECT + redirect.get());
        }
    }

    private void countLookup() {
        lookups++;
        if (lookups > MOST_LOOKUPS && error.isEmpty()) {
            error = Optional.of("needs more than " + MOST_LOOKUPS
                    + " look-ups with all that it includes, which receivers take for an error");
        }
    }

    private void follow(String domain, String target, String word) {
        if (error.isPresent() || target.indexOf('%') >= 0) {
            return;
        }
        List<String> found = records(texts.apply(target));
        if (found.size() == 1) {
            read(target, found.get(0));
        } else {
            error = Optional.of("leads by '" + word + "' of " + domain + " to " + found.size()
                    + " SPF records, expected one: receivers take that for an error");
        }
    }

    /** What passes, in order. */
    List<Term> terms() {
        return List.copyOf(terms);
    }

    /** Whether a mechanism stands somewhere. */
    boolean has(String mechanism) {
        return terms.stream().anyMatch(term -> term.mechanism().equalsIgnoreCase(mechanism));
    }

    /** Why receivers do not evaluate the record; the terms are not all then. */
    Optional<String> error() {
        return error;
    }
}
