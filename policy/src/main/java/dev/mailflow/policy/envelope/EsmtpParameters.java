/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.envelope;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * The parameters that follow the address of MAIL and RCPT (RFC 5321 section 4.1.2).
 *
 * @param values by keyword in upper case, in their order; the empty string for a keyword alone
 */
public record EsmtpParameters(Map<String, String> values) {

    /** The parameters are not to be understood; the message is fit for the reply. */
    public static final class SyntaxException extends Exception {
        private static final long serialVersionUID = 1;

        SyntaxException(String message) {
            super(message);
        }
    }

    /**
     * Reads what follows the command word, such as {@code FROM:<joe@contoso.com> SIZE=7}.
     *
     * @throws SyntaxException when a keyword is repeated: which one counts would be a guess
     */
    public static EsmtpParameters of(String argument) throws SyntaxException {
        Map<String, String> values = new LinkedHashMap<>();
        for (String word : argument.substring(endOfPath(argument)).trim().split(" +")) {
            int equals = word.indexOf('=');
            String keyword = (equals < 0 ? word : word.substring(0, equals)).toUpperCase(Locale.ROOT);
            if (!keyword.isEmpty() && values.put(keyword, equals < 0 ? "" : word.substring(equals + 1)) != null) {
                throw new SyntaxException("parameter " + keyword + " given twice");
            }
        }
        return new EsmtpParameters(values);
    }

    public Optional<String> get(String keyword) {
        return Optional.ofNullable(values.get(keyword));
    }

    /** Quoted local parts may hold blanks and angle brackets. */
    private static int endOfPath(String argument) {
        int start = argument.indexOf('<');
        if (start < 0) {
            int blank = argument.indexOf(' ', argument.indexOf(':') + 2);
            return blank < 0 ? argument.length() : blank;
        }
        boolean quoted = false;
        for (int i = start + 1; i < argument.length(); i++) {
            char next = argument.charAt(i);
            if (quoted && next == '\\') {
                i++;
            } else if (next == '"') {
                quoted = !quoted;
            } else if (next == '>' && !quoted) {
                return i + 1;
            }
        }
        return argument.length();
    }
}
