/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import javax.mail.internet.ContentType;
import javax.mail.internet.ParseException;

/**
 * Walks through a message (RFC 2045 and 2046) line by line, into multiparts and embedded messages, and tells what it meets.
 * Memory is bounded by one header and one piece of a line, whatever the message: it is for large ones too. Not thread-safe.
 */
final class MimeWalk {
    /** Longer headers are not understood. */
    static final int LONGEST_HEADER = 256 * 1024;
    /** Longer lines come in pieces. */
    static final int LONGEST_PIECE = 16 * 1024;

    private static final Pattern FIELD =
            Pattern.compile("(?im)^(content-type|content-transfer-encoding)[ \\t]*:(.*+(?:\\R[ \\t].*+)*+)");

    private final InputStream in;
    private final Sink sink;
    private final Deque<Entity> open = new ArrayDeque<>();
    private final byte[] buffer = new byte[64 * 1024];
    private int from;
    private int to;
    private int entities;
    private boolean lineStart = true;

    MimeWalk(InputStream in, Sink sink) {
        this.in = in;
        this.sink = sink;
    }

    /** What an entity is made of. */
    enum Kind {
        LEAF,
        MULTIPART,
        MESSAGE
    }

    /**
     * A message, a part or an embedded message.
     *
     * @param index in the order in which they begin, from 0
     * @param type lower case, e.g. {@code text/plain}
     * @param encoding lower case; {@code 7bit} when none is given
     * @param boundary of a multipart, with its dashes
     */
    record Entity(int index, Kind kind, String type, String encoding, Optional<String> boundary) {}

    /** Told what the walk meets, in the order of the message. */
    interface Sink {
        /** A header with its empty line, as it stands; the entity is what it says of itself. */
        void header(Entity entity, String latin1) throws IOException, NotUnderstoodException;

        /** A piece of a leaf's body; {@code ends}: a line break followed it, which is not in the piece. */
        void body(Entity leaf, byte[] piece, boolean ends) throws IOException, NotUnderstoodException;

        /** The body of a leaf is over. */
        void endOfBody(Entity leaf) throws IOException;

        /** A boundary, or what stands before the first and after the last. */
        void between(byte[] piece, boolean ends) throws IOException;
    }

    /** The message is built in a way that must not be touched; says how, for people. */
    static final class NotUnderstoodException extends Exception {
        private static final long serialVersionUID = 1;

        NotUnderstoodException(String message) {
            super(message, null, false, false);
        }
    }

    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Piece(byte[] bytes, boolean startsLine, boolean endsLine) {}

    private Optional<Entity> leaf = Optional.empty();

    /** Walks to the end. */
    @SuppressWarnings("ReferenceEquality") // the very entity on the stack
    void run() throws IOException, NotUnderstoodException {
        begin("text/plain");
        for (Optional<Piece> next = piece(); next.isPresent(); next = piece()) {
            Piece piece = next.get();
            Optional<Entity> delimited = piece.startsLine() ? delimited(piece.bytes()) : Optional.empty();
            if (delimited.isPresent()) {
                endLeaf();
                while (open.element() != delimited.get()) {
                    open.pop();
                }
                sink.between(piece.bytes(), piece.endsLine());
                if (isLast(piece.bytes(), delimited.get())) {
                    open.pop();
                } else {
                    begin(delimited.get().type().equals("multipart/digest") ? "message/rfc822" : "text/plain");
                }
            } else if (leaf.isPresent()) {
                sink.body(leaf.get(), piece.bytes(), piece.endsLine());
            } else {
                sink.between(piece.bytes(), piece.endsLine());
            }
        }
        endLeaf();
    }

    private void endLeaf() throws IOException {
        if (leaf.isPresent()) {
            sink.endOfBody(leaf.get());
            leaf = Optional.empty();
        }
    }

    /** Reads headers until there is a body that is not an entity itself. */
    private void begin(String defaultType) throws IOException, NotUnderstoodException {
        String type = defaultType;
        while (true) {
            Entity entity = header(type);
            switch (entity.kind()) {
                case LEAF -> leaf = Optional.of(entity);
                case MULTIPART -> open.push(entity);
                case MESSAGE -> {
                    type = "text/plain";
                    continue;
                }
            }
            return;
        }
    }

    private Entity header(String defaultType) throws IOException, NotUnderstoodException {
        ByteArrayOutputStream header = new ByteArrayOutputStream();
        boolean atEnd = false;
        while (!atEnd) {
            Optional<Piece> piece = piece();
            if (piece.isEmpty()) {
                break;
            }
            header.write(piece.get().bytes());
            if (piece.get().endsLine()) {
                header.write('\r');
                header.write('\n');
            }
            atEnd = piece.get().startsLine() && piece.get().bytes().length == 0;
            if (header.size() > LONGEST_HEADER) {
                throw new NotUnderstoodException("a header of more than " + LONGEST_HEADER + " bytes");
            }
        }
        String text = header.toString(StandardCharsets.ISO_8859_1);
        Entity entity = entity(text, defaultType);
        entities++;
        sink.header(entity, text);
        return entity;
    }

    private Entity entity(String header, String defaultType) throws NotUnderstoodException {
        String type = defaultType;
        String encoding = "7bit";
        Optional<String> boundary = Optional.empty();
        Matcher field = FIELD.matcher(header);
        while (field.find()) {
            String value = field.group(2).replaceAll("\\R", "").trim();
            if (field.group(1).equalsIgnoreCase("content-transfer-encoding")) {
                encoding = value.replaceFirst("[;(\\s].*", "").toLowerCase(Locale.ROOT);
            } else {
                try {
                    ContentType parsed = new ContentType(value);
                    type = parsed.getBaseType().toLowerCase(Locale.ROOT);
                    boundary = Optional.ofNullable(parsed.getParameter("boundary"));
                } catch (ParseException e) {
                    throw new NotUnderstoodException("a Content-Type that cannot be read");
                }
            }
        }
        if (type.startsWith("multipart/")) {
            return new Entity(
                    entities,
                    Kind.MULTIPART,
                    type,
                    encoding,
                    Optional.of("--"
                            + boundary.filter(given -> !given.isBlank())
                                    .orElseThrow(() -> new NotUnderstoodException("a multipart without a boundary"))));
        }
        boolean embedded =
                type.equals("message/rfc822") && !encoding.equals("base64") && !encoding.equals("quoted-printable");
        return new Entity(entities, embedded ? Kind.MESSAGE : Kind.LEAF, type, encoding, Optional.empty());
    }

    private Optional<Entity> delimited(byte[] line) {
        if (line.length < 3 || line[0] != '-' || line[1] != '-' || open.isEmpty()) {
            return Optional.empty();
        }
        String text = new String(line, StandardCharsets.ISO_8859_1).stripTrailing();
        return open.stream()
                .filter(entity -> {
                    String boundary = entity.boundary().orElseThrow();
                    return text.equals(boundary) || text.equals(boundary + "--");
                })
                .findFirst();
    }

    private static boolean isLast(byte[] line, Entity multipart) {
        return new String(line, StandardCharsets.ISO_8859_1)
                .stripTrailing()
                .equals(multipart.boundary().orElseThrow() + "--");
    }

    private Optional<Piece> piece() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(128);
        boolean starts = lineStart;
        while (bytes.size() < LONGEST_PIECE) {
            if (from == to) {
                to = Math.max(0, in.read(buffer));
                from = 0;
                if (to == 0) {
                    break;
                }
            }
            int i = from;
            while (i < to && buffer[i] != '\n' && bytes.size() + i - from < LONGEST_PIECE) {
                i++;
            }
            bytes.write(buffer, from, i - from);
            boolean found = i < to && buffer[i] == '\n';
            from = found ? i + 1 : i;
            if (found) {
                lineStart = true;
                byte[] line = bytes.toByteArray();
                boolean crLf = line.length > 0 && line[line.length - 1] == '\r';
                return Optional.of(new Piece(crLf ? Arrays.copyOf(line, line.length - 1) : line, starts, true));
            }
        }
        lineStart = false;
        return bytes.size() == 0 ? Optional.empty() : Optional.of(new Piece(bytes.toByteArray(), starts, false));
    }
}
