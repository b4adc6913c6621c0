/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Finds the addresses in the value of an address field (RFC 5322 section 3.4 with the obsolete forms of section 4.4 and
 * UTF-8 as of RFC 6532) without changing or interpreting anything else. One pass, no recursion, bounded look-ahead: the
 * time is linear in the length of the field.
 *
 * <p>More lenient than the RFC in two things that every reader accepts: a display name may hold any unquoted words, dots
 * and {@code @}, as in {@code joe@contoso.com <joe@contoso.com>}, and an encoded word may hold commas. Whatever else
 * does not follow the grammar makes the whole field unreadable: half a list is never rewritten.
 */
public final class AddressList {

    /** What was found in a field. */
    public sealed interface Outcome {}

    /** Every address of the list, in order. */
    public record Addresses(List<Address> all) implements Outcome {}

    /** The field does not follow the grammar. */
    public record Unreadable(String reason) implements Outcome {}

    /**
     * Where an address stands. White space and comments between its parts lie inside these ranges.
     *
     * @param localPart without white space and comments
     * @param domain without white space and comments
     */
    public record Address(
            int localStart, int localEnd, int domainStart, int domainEnd, String localPart, String domain) {}

    /** Encoded words have at most 75 characters (RFC 2047 section 2); some writers are generous. */
    private static final int LONGEST_ENCODED_WORD = 250;

    private static final char END = 'E';
    private static final char ATOM = 'a';
    private static final char QUOTED = 'q';
    private static final char LITERAL = 'l';

    private final String raw;
    private int position;

    // The token just read: its kind, or the special character itself.
    private char kind;
    private int start;
    private int end;

    // The words of the list's current element, as tokens.
    private char[] kinds = new char[16];
    private int[] starts = new int[16];
    private int[] ends = new int[16];
    private int count;

    private final List<Address> addresses = new ArrayList<>();

    private AddressList(String raw, int from) {
        this.raw = raw;
        this.position = from;
    }

    /**
     * Reads a list.
     *
     * @param raw the whole field, each byte as one character
     * @param from where the value begins
     */
    public static Outcome read(String raw, int from) {
        AddressList list = new AddressList(raw, from);
        try {
            list.readAll();
        } catch (Malformed e) {
            return new Unreadable(e.getMessage());
        }
        return new Addresses(list.addresses);
    }

    private static final class Malformed extends Exception {
        private static final long serialVersionUID = 1L;

        Malformed(String message) {
            super(message, null, false, false);
        }
    }

    private Malformed malformed(String what) {
        return new Malformed(what + " at byte " + (start + 1) + " of the field");
    }

    private void readAll() throws Malformed {
        boolean inGroup = false;
        boolean afterGroup = false;
        while (true) {
            next();
            if (afterGroup && kind != ',' && kind != END) {
                throw malformed("found something directly after a group");
            }
            switch (kind) {
                case END -> {
                    if (inGroup) {
                        throw malformed("found a group without ';'");
                    }
                    bareAddress();
                    return;
                }
                case ',' -> {
                    bareAddress();
                    afterGroup = false;
                }
                case ':' -> {
                    if (inGroup || count == 0) {
                        throw malformed("found ':' without the name of a group");
                    }
                    inGroup = true;
                    count = 0;
                }
                case ';' -> {
                    if (!inGroup) {
                        throw malformed("found ';' outside a group");
                    }
                    bareAddress();
                    inGroup = false;
                    afterGroup = true;
                }
                case '<' -> angleAddress();
                case ATOM, QUOTED, LITERAL, '.', '@' -> keep();
                default -> throw malformed("found '" + printable(kind) + "'");
            }
        }
    }

    private static String printable(char c) {
        return c > ' ' && c < 0x7f ? String.valueOf(c) : String.format("\\x%02x", (int) c);
    }

    private void keep() {
        if (count == kinds.length) {
            kinds = java.util.Arrays.copyOf(kinds, count * 2);
            starts = java.util.Arrays.copyOf(starts, count * 2);
            ends = java.util.Arrays.copyOf(ends, count * 2);
        }
        kinds[count] = kind;
        starts[count] = start;
        ends[count] = end;
        count++;
    }

    /** Ends an element: an addr-spec, or nothing if it has been told already or was empty. */
    private void bareAddress() throws Malformed {
        if (count > 0) {
            address();
            count = 0;
        }
    }

    /** After the opening bracket: an optional route, an addr-spec or nothing, the closing bracket, and the next comma. */
    private void angleAddress() throws Malformed {
        count = 0;
        next();
        boolean route = kind == '@';
        if (route) {
            while (kind != ':') {
                if (kind != '@' && kind != ',' && kind != ATOM && kind != LITERAL && kind != '.') {
                    throw malformed("found a route without ':'");
                }
                next();
            }
            next();
        }
        while (kind == ATOM || kind == QUOTED || kind == LITERAL || kind == '.' || kind == '@') {
            keep();
            next();
        }
        if (kind != '>' || (route && count == 0)) {
            throw malformed("found no address and '>' after '<'");
        }
        bareAddress();
        int afterBracket = position;
        next();
        if (kind != ',' && kind != ';' && kind != END) {
            throw malformed("found something between '>' and the next ','");
        }
        position = kind == END ? position : afterBracket;
    }

    /** The kept tokens must be an addr-spec: words and dots, one at sign, and a domain or a literal. */
    private void address() throws Malformed {
        int at = count - 1;
        while (at >= 0 && kinds[at] != '@') {
            at--;
        }
        if (at <= 0 || at == count - 1) {
            throw malformed("found text that is no address");
        }
        boolean word = false;
        for (int i = 0; i < at; i++) {
            boolean isWord = kinds[i] == ATOM || kinds[i] == QUOTED;
            if (!isWord && kinds[i] != '.') {
                throw malformed("found text that is no address");
            }
            if (isWord && word) {
                throw malformed("found two words where an address should be");
            }
            word = isWord;
        }
        boolean literal = kinds[at + 1] == LITERAL;
        for (int i = at + 1; i < count; i++) {
            boolean label = (i - at) % 2 == 1;
            if (kinds[i] != (label ? (literal ? LITERAL : ATOM) : '.') || (literal && i > at + 1)) {
                throw malformed("found no domain after '@'");
            }
        }
        if (kinds[count - 1] == '.') {
            throw malformed("found a domain that ends with '.'");
        }
        addresses.add(new Address(
                starts[0], ends[at - 1], starts[at + 1], ends[count - 1], joined(0, at), joined(at + 1, count)));
    }

    private String joined(int from, int to) {
        if (to - from == 1) {
            return decoded(raw.substring(starts[from], ends[from]));
        }
        StringBuilder text = new StringBuilder();
        for (int i = from; i < to; i++) {
            text.append(raw, starts[i], ends[i]);
        }
        return decoded(text.toString());
    }

    /** 8-bit text is UTF-8 (RFC 6532); what is not stays bytes, which no entry names. */
    private static String decoded(String bytes) {
        for (int i = 0; i < bytes.length(); i++) {
            if (bytes.charAt(i) > 127) {
                try {
                    return StandardCharsets.UTF_8
                            .newDecoder()
                            .decode(ByteBuffer.wrap(bytes.getBytes(StandardCharsets.ISO_8859_1)))
                            .toString();
                } catch (CharacterCodingException e) {
                    return bytes;
                }
            }
        }
        return bytes;
    }

    private void next() throws Malformed {
        position = afterSpace(raw, position, raw.length());
        start = position;
        if (position < 0) {
            position = raw.length();
            start = position;
            throw malformed("found a comment without ')'");
        }
        if (position == raw.length()) {
            kind = END;
            end = position;
            return;
        }
        char c = raw.charAt(position);
        if (isAtomText(c)) {
            kind = ATOM;
            position = encodedWordEnd();
            while (position < raw.length() && isAtomText(raw.charAt(position))) {
                position++;
            }
        } else if (c == '"') {
            kind = QUOTED;
            position = closing('"', "a quoted string");
        } else if (c == '[') {
            kind = LITERAL;
            position = closing(']', "a domain literal");
        } else {
            kind = c;
            position++;
        }
        end = position;
    }

    /** Behind the closing character; a backslash quotes the next one. */
    private int closing(char close, String what) throws Malformed {
        int i = position + 1;
        while (i < raw.length() && raw.charAt(i) != close) {
            i += raw.charAt(i) == '\\' ? 2 : 1;
        }
        if (i >= raw.length()) {
            throw malformed("found " + what + " without end");
        }
        return i + 1;
    }

    /** Behind an encoded word that begins here, for it may hold specials; here when none does. */
    private int encodedWordEnd() {
        if (!raw.startsWith("=?", position)) {
            return position;
        }
        int limit = Math.min(raw.length() - 1, position + LONGEST_ENCODED_WORD);
        int marks = 0;
        for (int i = position + 2; i < limit; i++) {
            char c = raw.charAt(i);
            if (c <= ' ' || c > 0x7e) {
                return position;
            }
            if (c == '?') {
                marks++;
                if (marks == 3) {
                    return raw.charAt(i + 1) == '=' ? i + 2 : position;
                }
            }
        }
        return position;
    }

    private static boolean isAtomText(char c) {
        return c > ' ' && c != 0x7f && "()<>[]:;,@\\.\"".indexOf(c) < 0;
    }

    /** Behind the one word, quoted string, literal or special that begins at a position of a field that was read. */
    static int afterWord(String raw, int from, int to) {
        char close =
                switch (raw.charAt(from)) {
                    case '"' -> '"';
                    case '[' -> ']';
                    default -> 0;
                };
        int i = from + 1;
        if (close == 0) {
            while (i < to && isAtomText(raw.charAt(i))) {
                i++;
            }
            return i;
        }
        while (i < to && raw.charAt(i) != close) {
            i += raw.charAt(i) == '\\' ? 2 : 1;
        }
        return Math.min(i + 1, to);
    }

    /**
     * Behind the white space and comments that begin at a position.
     *
     * @return -1: a comment does not end
     */
    static int afterSpace(String raw, int from, int to) {
        int depth = 0;
        int i = from;
        while (i < to) {
            char c = raw.charAt(i);
            if (c == '(') {
                depth++;
            } else if (c == ')' && depth > 0) {
                depth--;
            } else if (c == '\\' && depth > 0) {
                i++;
            } else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n') {
                return i;
            }
            i++;
        }
        return depth > 0 ? -1 : to;
    }
}
