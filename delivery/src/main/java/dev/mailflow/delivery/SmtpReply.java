/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * A reply of a next hop.
 *
 * @param code three digits
 * @param lines the text of each line, without the code; never empty
 */
public record SmtpReply(int code, List<String> lines) {

    private static final Pattern ENHANCED = Pattern.compile("([245]\\.\\d{1,3}\\.\\d{1,3})(?:\\s.*)?");

    public SmtpReply {
        lines = List.copyOf(lines);
    }

    public boolean isPositive() {
        return code >= 200 && code < 300;
    }

    public boolean isTransient() {
        return code >= 400 && code < 500;
    }

    public boolean isPermanent() {
        return code >= 500 && code < 600;
    }

    /** The enhanced status (RFC 2034) that the text begins with, if its class is that of the code. */
    public Optional<String> enhancedStatus() {
        var matcher = ENHANCED.matcher(lines.get(0));
        return matcher.matches() && matcher.group(1).charAt(0) - '0' == code / 100
                ? Optional.of(matcher.group(1))
                : Optional.empty();
    }

    /** The reply on one line. */
    @Override
    public String toString() {
        return code + " " + String.join(" / ", lines);
    }
}
