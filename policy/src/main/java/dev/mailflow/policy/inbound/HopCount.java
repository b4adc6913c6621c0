/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.inbound;

import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The loop detector of RFC 5321 section 6.3: counts the Received headers of a mail, and among them those that this very
 * server wrote. The client of a mail in a loop sees {@code 554 5.4.6 Hop count exceeded - possible mail loop}.
 *
 * @param received most Received headers a mail may have, ours of this passage not counted: one with as many is refused
 * @param own most passages through this server, this one counted
 */
public record HopCount(int received, int own) {

    /** The limits of the mail-flow behaviour, section 7. */
    public static final HopCount DEFAULT = new HopCount(30, 8);

    /** The first "by" outside a comment; the clause may be folded. */
    private static final Pattern BY = Pattern.compile("(?:^|\\s)by\\s+(?<host>[^\\s;()]+)", Pattern.CASE_INSENSITIVE);

    private static final Pattern COMMENT = Pattern.compile("\\([^()]*\\)");

    /** @throws IllegalArgumentException when a limit is not positive */
    public HopCount {
        if (received < 1 || own < 1) {
            throw new IllegalArgumentException(
                    "found hop limits " + received + " and " + own + ", expected positive numbers");
        }
    }

    /**
     * Why the mail goes no further; empty when it may.
     *
     * @param values the values of its Received headers, with the one this server just added
     * @param ownName the host name this server writes after "by"
     */
    public Optional<String> objectionTo(List<String> values, String ownName) {
        if (values.size() > received) {
            return Optional.of("it has " + (values.size() - 1) + " Received headers, the limit is " + received);
        }
        long passages = values.stream().filter(value -> isBy(value, ownName)).count();
        return passages > own
                ? Optional.of("it comes through " + ownName + " for the " + passages + "th time, the limit is " + own)
                : Optional.empty();
    }

    private static boolean isBy(String value, String ownName) {
        Matcher by = BY.matcher(COMMENT.matcher(value).replaceAll(" "));
        return by.find() && by.group("host").equalsIgnoreCase(ownName);
    }
}
