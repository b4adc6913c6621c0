/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

import dev.mailflow.delivery.SmtpReply;
import io.netty.buffer.ByteBuf;

/**
 * Reads replies (RFC 5321 section 4.2) from what a next hop sends, and refuses to remember more than a bounded amount
 * of it: a peer that sends without end costs its connection, not our memory.
 */
final class ReplyReader {

    static final int MAX_LINE = 2048;
    static final int MAX_REPLY = 32 * 1024;

    private final byte[] line = new byte[MAX_LINE];
    private int length;
    private int total;
    private int code;
    private final List<String> lines = new ArrayList<>();

    /** Told each reply. */
    @FunctionalInterface
    interface Sink {
        /** Takes a reply; {@code more}: the peer has already sent bytes beyond it. */
        void reply(SmtpReply reply, boolean more);
    }

    /** Takes all bytes, or throws at the first that cannot be part of a reply. */
    void read(ByteBuf bytes, Sink sink) throws ReplySyntaxException {
        while (bytes.isReadable()) {
            byte next = bytes.readByte();
            if (next == '\n') {
                endOfLine(bytes.isReadable(), sink);
            } else if (length == MAX_LINE) {
                throw new ReplySyntaxException("a reply line of more than " + MAX_LINE + " bytes");
            } else if (++total > MAX_REPLY) {
                throw new ReplySyntaxException("a reply of more than " + MAX_REPLY + " bytes");
            } else {
                line[length++] = next;
            }
        }
    }

    private void endOfLine(boolean more, Sink sink) throws ReplySyntaxException {
        int end = length > 0 && line[length - 1] == '\r' ? length - 1 : length;
        String text = new String(line, 0, end, StandardCharsets.UTF_8);
        length = 0;
        int found = code(text);
        // characters, not bytes: a stranger's UTF-8 has fewer of them
        char separator = text.length() > 3 ? text.charAt(3) : ' ';
        if (found < 0 || (separator != ' ' && separator != '-') || (!lines.isEmpty() && found != code)) {
            throw new ReplySyntaxException(
                    "'" + printable(text.substring(0, Math.min(text.length(), 80))) + "', which is not an SMTP reply");
        }
        code = found;
        lines.add(text.length() > 4 ? printable(text.substring(4)) : "");
        if (separator == ' ') {
            SmtpReply reply = new SmtpReply(code, lines);
            lines.clear();
            total = 0;
            sink.reply(reply, more);
        }
    }

    private static int code(String text) {
        if (text.length() < 3 || text.charAt(0) < '1' || text.charAt(0) > '5') {
            return -1;
        }
        int value = 0;
        for (int i = 0; i < 3; i++) {
            char digit = text.charAt(i);
            if (digit < '0' || digit > '9') {
                return -1;
            }
            value = value * 10 + digit - '0';
        }
        return value;
    }

    // Replies end up in logs and bounces: what a stranger sends must not steer a terminal or forge a line.
    private static String printable(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (Character.isISOControl(text.charAt(i))) {
                return text.replaceAll("\\p{Cntrl}", "?");
            }
        }
        return text;
    }

    /** The peer sent something that is no reply. */
    static final class ReplySyntaxException extends Exception {
        private static final long serialVersionUID = 1;

        ReplySyntaxException(String message) {
            super(message, null, false, false);
        }
    }
}
