/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.header;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;

import dev.mailflow.policy.connector.InternalHeaders;

/**
 * The header firewall of section 3 of the mail-flow behaviour, as functions of a header section. Headers that speak for
 * the inside of an organization (spam verdicts, authentication, "do not journal again") are believed by what reads them
 * later, so a stranger must not be able to write one.
 *
 * <p>The threat is a name that we do not recognise and the next reader does: folded, with white space before its colon,
 * with bytes that some parsers drop (NUL, other controls, 8-bit). A name that no standard allows is therefore judged by
 * its ASCII letters alone, and removed when they spell one of ours anywhere. A name that is well-formed is judged by
 * its prefix and nothing else: {@code X-Mailflower} is none of our business.
 */
public final class InternalHeaderScreen {
    private static final String ORGANIZATION = "X-MS-Exchange-Organization-";
    private static final String CROSS_PREMISES = "X-MS-Exchange-CrossPremises-";
    private static final String FOREST = "X-MS-Exchange-Forest-";
    private static final String MAILFLOW = "X-Mailflow-";

    private static final List<String> ALL = List.of(ORGANIZATION, CROSS_PREMISES, FOREST, MAILFLOW);
    /** What Mailflow itself says about a mail may leave: it names nothing that Received headers do not. */
    private static final List<String> OF_EXCHANGE = List.of(ORGANIZATION, CROSS_PREMISES, FOREST);

    private static final List<String> ALL_BY_LETTERS =
            ALL.stream().map(InternalHeaderScreen::letters).toList();

    private InternalHeaderScreen() {}

    /**
     * A section after screening.
     *
     * @param removed the names of the removed fields, printable, each once
     * @param renamed {@code old->new}, each once
     */
    public record Screened(HeaderSection section, List<String> removed, List<String> renamed) {
        public boolean isChanged() {
            return !removed.isEmpty() || !renamed.isEmpty();
        }
    }

    /**
     * On arrival: cross-premises headers are promoted to organization headers, replacing what is there, when the peer is
     * one whose internal headers count; otherwise every header of the four families is removed.
     *
     * @param preserved see {@link dev.mailflow.policy.inbound.InboundFacts#internalHeadersPreserved()}
     */
    public static Screened onArrival(HeaderSection section, boolean preserved) {
        return preserved ? translate(section, CROSS_PREMISES, ORGANIZATION) : remove(section, ALL);
    }

    /**
     * On the way out: organization headers are demoted to cross-premises headers for a connector that preserves them,
     * and removed, with what else is internal to Exchange, for everybody else.
     */
    public static Screened onDeparture(HeaderSection section, InternalHeaders treatment) {
        return switch (treatment) {
            case PRESERVE -> translate(section, ORGANIZATION, CROSS_PREMISES);
            case STRIP -> remove(section, OF_EXCHANGE);
        };
    }

    private static Screened remove(HeaderSection section, List<String> families) {
        return screen(
                section,
                field -> isSuspicious(field) || families.stream().anyMatch(family -> isOf(field, family))
                        ? Optional.empty()
                        : Optional.of(field));
    }

    private static Screened translate(HeaderSection section, String from, String to) {
        Set<String> arriving = section.fields().stream()
                .filter(field -> field.isWellFormed() && isOf(field, from))
                .map(field -> field.name().substring(from.length()).toLowerCase(Locale.ROOT))
                .collect(Collectors.toSet());
        return screen(section, field -> {
            if (isSuspicious(field)) {
                return Optional.empty();
            }
            if (isOf(field, from)) {
                return Optional.of(field.renamed(to + field.name().substring(from.length())));
            }
            boolean replaced = isOf(field, to)
                    && arriving.contains(field.name().substring(to.length()).toLowerCase(Locale.ROOT));
            return replaced ? Optional.empty() : Optional.of(field);
        });
    }

    private static Screened screen(HeaderSection section, Function<HeaderField, Optional<HeaderField>> fate) {
        List<HeaderField> kept = new ArrayList<>(section.fields().size());
        Set<String> removed = new TreeSet<>();
        Set<String> renamed = new TreeSet<>();
        for (HeaderField field : section.fields()) {
            Optional<HeaderField> after = fate.apply(field);
            if (after.isEmpty()) {
                removed.add(printable(field.name()));
                endLastLine(kept);
            } else {
                after.filter(other -> !other.equals(field))
                        .ifPresent(other -> renamed.add(field.name() + "->" + other.name()));
                kept.add(after.get());
            }
        }
        return new Screened(section.with(kept), List.copyOf(removed), List.copyOf(renamed));
    }

    /** What stood before a removed field must not run into what stands after it. */
    private static void endLastLine(List<HeaderField> kept) {
        int last = kept.size() - 1;
        if (last >= 0 && !kept.get(last).raw().endsWith("\n")) {
            kept.set(last, new HeaderField(kept.get(last).raw() + "\n"));
        }
    }

    private static boolean isOf(HeaderField field, String family) {
        return field.isWellFormed() && field.raw().regionMatches(true, 0, family, 0, family.length());
    }

    private static boolean isSuspicious(HeaderField field) {
        if (field.isWellFormed()) {
            return false;
        }
        String spelled = letters(field.name());
        return ALL_BY_LETTERS.stream().anyMatch(spelled::contains);
    }

    private static String letters(String name) {
        StringBuilder letters = new StringBuilder(name.length());
        name.chars()
                .map(c -> c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c)
                .filter(c -> c >= 'a' && c <= 'z')
                .forEach(c -> letters.append((char) c));
        return letters.toString();
    }

    private static String printable(String name) {
        String bounded = name.length() > 100 ? name.substring(0, 100) + "..." : name;
        return bounded.chars()
                .mapToObj(c -> c > ' ' && c < 0x7f ? String.valueOf((char) c) : "?")
                .collect(Collectors.joining());
    }
}
