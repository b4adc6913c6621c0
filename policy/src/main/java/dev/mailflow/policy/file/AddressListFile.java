/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.nio.charset.StandardCharsets;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.connection.IpRange;
import dev.mailflow.policy.connection.IpRangeList;

/**
 * Reads a list of address ranges: one per line, {@code #} begins a comment, blank lines are skipped. A million lines
 * take well under a second: one pass, no pattern matching.
 */
final class AddressListFile {
    /** Bad lines beyond these are counted only. */
    static final int LISTED = 100;

    private final String name;
    private final Problems problems;

    /** @param name the file as the administrator knows it */
    AddressListFile(String name, Problems problems) {
        this.name = name;
        this.problems = problems;
    }

    /** The good lines; the bad ones are reported. */
    IpRangeList read(byte[] content) {
        // Only ASCII has a meaning here; a comment in any encoding cannot break a line.
        String text = new String(content, StandardCharsets.ISO_8859_1);
        IpRangeList.Builder ranges = IpRangeList.builder(name);
        int position = text.startsWith("\u00EF\u00BB\u00BF") ? 3 : 0;
        int line = 0;
        int bad = 0;
        while (position < text.length()) {
            line++;
            int next = text.indexOf('\n', position);
            int end = next < 0 ? text.length() : next;
            String entry =
                    text.substring(position, commentOrEnd(text, position, end)).trim();
            position = end + 1;
            if (entry.isEmpty()) {
                continue;
            }
            try {
                ranges.add(IpRange.parse(entry), line);
            } catch (IllegalArgumentException e) {
                bad++;
                if (bad <= LISTED) {
                    problems.error(
                            new SourceLocation(name, line),
                            "found " + Quoted.of(entry) + ", expected " + Values.IP_RANGE.expected());
                }
            }
        }
        if (bad > LISTED) {
            problems.error(new SourceLocation(name, 0), "and " + (bad - LISTED) + " more bad lines");
        }
        return ranges.build();
    }

    /** Looks no further than the line: to the end of the file for each line would take a million lines for ever. */
    private static int commentOrEnd(String text, int position, int end) {
        int at = position;
        while (at < end && text.charAt(at) != '#') {
            at++;
        }
        return at;
    }
}
