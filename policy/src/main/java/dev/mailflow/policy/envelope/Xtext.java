/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.envelope;

import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The encoding of ENVID and ORCPT values (RFC 3461 section 4): ASCII without "+" and "=", which are "+2B" and "+3D". */
public final class Xtext {
    private static final Pattern VALID = Pattern.compile("(?:[\\x21-\\x2A\\x2C-\\x3C\\x3E-\\x7E]|\\+[0-9A-F]{2})*");
    private static final Pattern HEX = Pattern.compile("\\+([0-9A-F]{2})");

    private Xtext() {}

    public static boolean isValid(String text) {
        return VALID.matcher(text).matches();
    }

    /** What the text stands for; bytes beyond ASCII are taken one by one. */
    public static String decode(String text) {
        return HEX.matcher(text)
                .replaceAll(hex -> Matcher.quoteReplacement(String.valueOf((char) Integer.parseInt(hex.group(1), 16))));
    }

    /** The inverse of {@link #decode} for ASCII; other characters are encoded as UTF-8. */
    public static String encode(String text) {
        StringBuilder encoded = new StringBuilder(text.length() + 8);
        for (byte octet : text.getBytes(StandardCharsets.UTF_8)) {
            if (octet > ' ' && octet < 127 && octet != '+' && octet != '=') {
                encoded.append((char) octet);
            } else {
                encoded.append(String.format("+%02X", octet & 0xFF));
            }
        }
        return encoded.toString();
    }
}
