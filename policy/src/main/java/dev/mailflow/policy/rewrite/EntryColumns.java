/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.domain.DomainPattern;

/**
 * Entries as flat columns: the text of both sides in one array of bytes, and 17 bytes of numbers an entry. A million
 * entries are a handful of objects. Filled once, then only read.
 */
final class EntryColumns {
    private static final byte OUTBOUND_ONLY = 1;
    private static final byte EXCEPTIONS = 2;

    private byte[] text = new byte[1024];
    private int used;
    /** Where the text of an entry's internal side begins; one more than there are entries. */
    private int[] internalAt = new int[17];

    private int[] externalAt = new int[16];
    private byte[] flags = new byte[16];
    private int[] lines = new int[16];
    private int[] fileOf = new int[16];
    private int size;
    private final List<String> files = new ArrayList<>();
    private final Map<Integer, List<DomainPattern>> exceptions = new HashMap<>();

    /**
     * Adds an entry.
     *
     * @param internal its internal side as text
     * @param external its external side as text
     * @return the entry's number
     */
    int add(AddressRewriteEntry entry, String internal, String external) {
        int index = size;
        if (index == externalAt.length) {
            int capacity = index + (index >> 1);
            internalAt = Arrays.copyOf(internalAt, capacity + 1);
            externalAt = Arrays.copyOf(externalAt, capacity);
            flags = Arrays.copyOf(flags, capacity);
            lines = Arrays.copyOf(lines, capacity);
            fileOf = Arrays.copyOf(fileOf, capacity);
        }
        append(internal);
        externalAt[index] = used;
        append(external);
        size = index + 1;
        internalAt[size] = used;
        flags[index] = (byte) ((entry.outboundOnly() ? OUTBOUND_ONLY : 0)
                | (entry.exceptions().isEmpty() ? 0 : EXCEPTIONS));
        lines[index] = entry.location().line();
        fileOf[index] = file(entry.location().file());
        if (!entry.exceptions().isEmpty()) {
            exceptions.put(index, entry.exceptions());
        }
        return index;
    }

    private int file(String name) {
        int last = files.size() - 1;
        if (last >= 0 && files.get(last).equals(name)) {
            return last;
        }
        int known = files.indexOf(name);
        if (known < 0) {
            files.add(name);
            return last + 1;
        }
        return known;
    }

    private void append(String side) {
        byte[] bytes = side.getBytes(StandardCharsets.UTF_8);
        if (used + bytes.length > text.length) {
            text = Arrays.copyOf(text, Math.max(used + bytes.length, text.length + (text.length >> 1)));
        }
        System.arraycopy(bytes, 0, text, used, bytes.length);
        used += bytes.length;
    }

    int size() {
        return size;
    }

    String internal(int index) {
        return new String(text, internalAt[index], externalAt[index] - internalAt[index], StandardCharsets.UTF_8);
    }

    String external(int index) {
        return new String(text, externalAt[index], internalAt[index + 1] - externalAt[index], StandardCharsets.UTF_8);
    }

    boolean outboundOnly(int index) {
        return (flags[index] & OUTBOUND_ONLY) != 0;
    }

    List<DomainPattern> exceptions(int index) {
        return (flags[index] & EXCEPTIONS) == 0 ? List.of() : exceptions.get(index);
    }

    AddressRewriteEntry entry(int index) {
        return new AddressRewriteEntry(
                side(internal(index)),
                side(external(index)),
                outboundOnly(index),
                exceptions(index),
                new SourceLocation(files.get(fileOf[index]), lines[index]));
    }

    private static RewriteSide side(String text) {
        int at = text.lastIndexOf('@');
        String domain = text.substring(at + 1);
        boolean subdomains = domain.startsWith("*.");
        return new RewriteSide(
                at < 0 ? Optional.empty() : Optional.of(text.substring(0, at)),
                subdomains
                        ? new DomainPattern(DomainPattern.Kind.SUFFIX, domain.substring(2))
                        : new DomainPattern(DomainPattern.Kind.EXACT, domain));
    }

    /** Whether a side of an entry is the given folded text. */
    boolean matches(int index, boolean internalSide, String folded) {
        int from = internalSide ? internalAt[index] : externalAt[index];
        int to = internalSide ? externalAt[index] : internalAt[index + 1];
        if (to - from == folded.length()) {
            int i = from;
            while (i < to && text[i] >= 0 && lower(text[i]) == folded.charAt(i - from)) {
                i++;
            }
            if (i == to) {
                return true;
            }
            if (text[i] >= 0) {
                return false;
            }
        }
        return hasHighBit(from, to)
                && LocalPart.fold(internalSide ? internal(index) : external(index))
                        .equals(folded);
    }

    private boolean hasHighBit(int from, int to) {
        for (int i = from; i < to; i++) {
            if (text[i] < 0) {
                return true;
            }
        }
        return false;
    }

    private static int lower(byte c) {
        return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
    }

    /** Gives back what was reserved for more entries. */
    EntryColumns trimmed() {
        text = Arrays.copyOf(text, used);
        internalAt = Arrays.copyOf(internalAt, size + 1);
        externalAt = Arrays.copyOf(externalAt, size);
        flags = Arrays.copyOf(flags, size);
        lines = Arrays.copyOf(lines, size);
        fileOf = Arrays.copyOf(fileOf, size);
        return this;
    }
}
