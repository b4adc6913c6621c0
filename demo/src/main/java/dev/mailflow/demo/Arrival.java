/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.demo;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A message where its way ended, or passed.
 *
 * @param at the host it is at
 * @param from envelope sender
 * @param to envelope recipients
 * @param mailParameters what followed the address in MAIL, in upper case
 * @param content with the Received field of {@code at} on top
 * @param tls protocol of the session it came by; empty: plaintext
 * @param client what the certificate of the client was called; empty: it showed none
 */
@SuppressWarnings("ArrayRecordComponent") // never compared, never changed
record Arrival(
        String at,
        String from,
        List<String> to,
        String mailParameters,
        byte[] content,
        Optional<String> tls,
        Optional<String> client) {

    private static final Pattern BY = Pattern.compile("(?i)\\bby\\s+([^\\s;]+)");

    Arrival {
        to = List.copyOf(to);
    }

    private String header() {
        String text = new String(content, StandardCharsets.UTF_8).replace("\r\n", "\n");
        int end = text.indexOf("\n\n");
        return (end < 0 ? text : text.substring(0, end + 1)).replaceAll("\n[ \t]+", " ");
    }

    /** Unfolded values of a field, in order. */
    List<String> fields(String name) {
        List<String> values = new ArrayList<>();
        for (String line : header().split("\n")) {
            if (line.toLowerCase(Locale.ROOT).startsWith(name.toLowerCase(Locale.ROOT) + ":")) {
                values.add(line.substring(name.length() + 1).strip());
            }
        }
        return values;
    }

    /** Names of header fields that begin so. */
    List<String> fieldsBeginning(String prefix) {
        List<String> names = new ArrayList<>();
        for (String line : header().split("\n")) {
            int colon = line.indexOf(':');
            if (colon > 0 && line.toLowerCase(Locale.ROOT).startsWith(prefix.toLowerCase(Locale.ROOT))) {
                names.add(line.substring(0, colon));
            }
        }
        return names;
    }

    /** The hosts that wrote a Received field, in the order of the way. */
    List<String> hops() {
        List<String> hops = new ArrayList<>();
        for (String received : fields("Received")) {
            Matcher by = BY.matcher(received);
            if (by.find()) {
                hops.add(by.group(1));
            }
        }
        Collections.reverse(hops);
        return hops;
    }

    String subject() {
        return fields("Subject").stream().findFirst().orElse("");
    }
}
