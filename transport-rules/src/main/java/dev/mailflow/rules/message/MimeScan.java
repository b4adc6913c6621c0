/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.message;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import dev.mailflow.policy.header.HeaderSection;

/**
 * Finds the entities of a message in one pass over its body.
 *
 * <p>The boundaries of all open multiparts are in one hash table, so that a line is looked up once however deep it is: the
 * time is linear in the size of the body, where a reader that stacks one stream upon another for each level pays for every
 * byte on every level. What is kept is the header of each entity, bounded in sum; no recursion.
 *
 * <p>Lenient as mail readers are: a multipart ends where the one around it goes on, or with the message; a boundary may be
 * followed by white space; a line ends with a line feed, with a carriage return before it or not.
 */
final class MimeScan {
    /** Entities of one message. */
    static final int MAX_PARTS = 20_000;

    /** Bytes of the headers of all entities together, the message's own not counted. */
    static final int MAX_HEADERS = 8 << 20;

    /** Characters of a line that can be a boundary; RFC 2046 section 5.1.1 allows 70. */
    private static final int MAX_BOUNDARY_LINE = 1_024;

    private static final int BUFFER = 65_536;

    private final InputStream in;
    private final List<MimePart> parts = new ArrayList<>();
    private final Deque<Open> open = new ArrayDeque<>();
    private final Map<String, Deque<Open>> boundaries = new HashMap<>();

    private final byte[] header = new byte[BUFFER];
    private int headerLength;
    private boolean headerIsLong;
    private java.io.ByteArrayOutputStream longHeader = new java.io.ByteArrayOutputStream(0);
    private int headersInSum;

    private boolean inHeader;
    private String defaultType = "text/plain";

    private final byte[] line = new byte[MAX_BOUNDARY_LINE];
    private int lineLength;

    private long offset;
    private long lineStart;
    private int lastLineEnd;

    /** An entity that has begun and not ended. */
    private static final class Open {
        final MimePart part;
        final int index;
        final List<MimePart.Span> spans = new ArrayList<>(2);
        long spanStart;
        boolean inSpan = true;
        long base64;
        long quotedAway;

        Open(MimePart part, int index, long start) {
            this.part = part;
            this.index = index;
            this.spanStart = start;
        }
    }

    private MimeScan(InputStream in) {
        this.in = in;
    }

    /**
     * The entities, the message itself first.
     *
     * @param body from the first byte after the header
     * @throws IOException also when the message has more entities or more bytes in their headers than is sane
     */
    static List<MimePart> scan(HeaderSection header, InputStream body) throws IOException {
        MimeScan scan = new MimeScan(body);
        scan.begin(new MimePart(0, header, "text/plain"));
        scan.run();
        return scan.parts;
    }

    private void run() throws IOException {
        byte[] buffer = new byte[BUFFER];
        int last = 0;
        for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
            for (int i = 0; i < read; i++) {
                byte c = buffer[i];
                offset++;
                if (c == '\n') {
                    endOfLine(last == '\r' && offset - lineStart > 1 ? 2 : 1);
                } else {
                    if (lineLength < MAX_BOUNDARY_LINE) {
                        line[lineLength++] = c;
                    }
                    if (inHeader) {
                        keep(c);
                    } else {
                        count(c);
                    }
                }
                last = c;
            }
        }
        if (offset > lineStart) {
            endOfLine(0);
        }
        if (inHeader) {
            endOfHeader(offset);
        }
        lastLineEnd = 0;
        while (!open.isEmpty()) {
            close(offset);
        }
    }

    private void count(byte c) {
        Open leaf = open.peek();
        if (leaf != null && leaf.inSpan) {
            switch (leaf.part.encoding()) {
                case BASE64 -> {
                    if ((c >= 'A' && c <= 'Z')
                            || (c >= 'a' && c <= 'z')
                            || (c >= '0' && c <= '9')
                            || c == '+'
                            || c == '/') {
                        leaf.base64++;
                    }
                }
                case QUOTED_PRINTABLE -> {
                    if (c == '=') {
                        leaf.quotedAway += 2;
                    }
                }
                case IDENTITY -> {}
            }
        }
    }

    private void keep(byte c) throws IOException {
        headersInSum++;
        if (headersInSum > MAX_HEADERS) {
            throw new IOException("the headers of the message's parts have more than " + MAX_HEADERS + " bytes");
        }
        if (headerLength == header.length) {
            longHeader.write(header, 0, headerLength);
            headerIsLong = true;
            headerLength = 0;
        }
        header[headerLength++] = c;
    }

    /** @param end how many bytes of the line are its end */
    private void endOfLine(int end) throws IOException {
        boolean boundary =
                lineLength > 2 && lineLength < MAX_BOUNDARY_LINE && line[0] == '-' && line[1] == '-' && atBoundary();
        if (inHeader && !boundary) {
            if (end > 0) {
                keep((byte) '\n');
            }
            if (offset - lineStart == end) {
                endOfHeader(offset);
            }
        }
        lastLineEnd = end;
        lineStart = offset;
        lineLength = 0;
    }

    /** Whether the line is the boundary of an open multipart; then acts on it. */
    private boolean atBoundary() throws IOException {
        int length = lineLength;
        while (length > 2 && (line[length - 1] == ' ' || line[length - 1] == '\t' || line[length - 1] == '\r')) {
            length--;
        }
        String text = new String(line, 2, length - 2, StandardCharsets.ISO_8859_1);
        Deque<Open> owners = boundaries.get(text);
        boolean closing = owners == null && text.endsWith("--");
        if (closing) {
            owners = boundaries.get(text.substring(0, text.length() - 2));
        }
        if (owners == null) {
            return false;
        }
        Open owner = owners.peek();
        if (inHeader) {
            // the line itself is no part of the header
            headerLength = Math.max(0, headerLength - lineLength);
            endOfHeader(lineStart);
        }
        long contentEnd = Math.max(0, lineStart - lastLineEnd);
        while (open.peek() != owner) {
            close(contentEnd);
        }
        endSpan(owner, contentEnd);
        if (closing) {
            forget(owner);
            owner.inSpan = true;
            owner.spanStart = offset;
        } else {
            beginHeader(owner.part.subtype().equals("digest") ? "message/rfc822" : "text/plain");
        }
        return true;
    }

    private void beginHeader(String type) {
        inHeader = true;
        headerLength = 0;
        headerIsLong = false;
        longHeader = new java.io.ByteArrayOutputStream(0);
        defaultType = type;
    }

    private void endOfHeader(long contentStart) throws IOException {
        inHeader = false;
        byte[] bytes;
        if (headerIsLong) {
            longHeader.write(header, 0, headerLength);
            bytes = longHeader.toByteArray();
        } else {
            bytes = java.util.Arrays.copyOf(header, headerLength);
        }
        HeaderSection section = HeaderSection.read(new ByteArrayInputStream(bytes));
        Open parent = open.peek();
        if (parent != null && parent.part.isMessage()) {
            endSpan(parent, contentStart);
        }
        begin(new MimePart(open.size(), section, defaultType), contentStart);
    }

    private void begin(MimePart part) throws IOException {
        begin(part, 0);
    }

    private void begin(MimePart part, long contentStart) throws IOException {
        if (parts.size() == MAX_PARTS) {
            throw new IOException("the message has more than " + MAX_PARTS + " parts");
        }
        Open entity = new Open(part, parts.size(), contentStart);
        parts.add(part);
        open.push(entity);
        if (part.isMultipart()) {
            boundaries
                    .computeIfAbsent(boundary(part), unused -> new ArrayDeque<>(1))
                    .push(entity);
        } else if (part.isMessage()) {
            beginHeader("text/plain");
        }
    }

    private static String boundary(MimePart part) {
        return part.contentTypeField().parameter("boundary").orElse("").stripTrailing();
    }

    private void forget(Open multipart) {
        String boundary = boundary(multipart.part);
        Deque<Open> owners = boundaries.get(boundary);
        if (owners != null) {
            owners.remove(multipart);
            if (owners.isEmpty()) {
                boundaries.remove(boundary);
            }
        }
    }

    private static void endSpan(Open entity, long end) {
        if (entity.inSpan) {
            entity.spans.add(new MimePart.Span(entity.spanStart, Math.max(entity.spanStart, end)));
            entity.inSpan = false;
        }
    }

    private void close(long end) {
        Open entity = open.pop();
        endSpan(entity, end);
        if (entity.part.isMultipart()) {
            forget(entity);
        }
        MimePart part = entity.part;
        part.spans(entity.spans);
        part.descendants(parts.size() - entity.index - 1);
        MimePart.Span span = entity.spans.get(entity.spans.size() - 1);
        long size = span.end() - span.start();
        part.decodedSize(
                switch (part.encoding()) {
                    case BASE64 -> entity.base64 * 3 / 4;
                    case QUOTED_PRINTABLE -> Math.max(0, size - entity.quotedAway);
                    case IDENTITY -> part.isMessage()
                            ? Math.max(0, end - entity.spans.get(0).start())
                            : size;
                });
    }
}
