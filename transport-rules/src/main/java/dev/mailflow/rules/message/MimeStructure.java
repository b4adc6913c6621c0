/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.message;

import java.io.BufferedInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.Charset;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Predicate;
import java.util.function.Supplier;

import org.apache.james.mime4j.codec.Base64InputStream;
import org.apache.james.mime4j.codec.DecodeMonitor;
import org.apache.james.mime4j.codec.QuotedPrintableInputStream;
import org.apache.james.mime4j.util.CharsetUtil;

import dev.mailflow.policy.rule.RuleMessage;
import dev.mailflow.rules.match.StreamMatch;

/**
 * The entities of a message, in the order of the message, the message itself first. Found in one pass over the body that
 * keeps nothing of the content; the content is read again, as a stream, by the tests that want it.
 */
public final class MimeStructure {
    private static final int PIECE = 16_384;

    private final List<MimePart> parts;

    private MimeStructure(List<MimePart> parts) {
        this.parts = List.copyOf(parts);
    }

    /**
     * The structure of a message, found once.
     *
     * @throws UncheckedIOException when the body cannot be read, or is built to wear us out
     */
    public static MimeStructure of(RuleMessage message) {
        return message.ofBody(MimeStructure.class, one -> {
            try (InputStream body = one.body().open()) {
                return new MimeStructure(MimeScan.scan(one.header(), body));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
    }

    public List<MimePart> parts() {
        return parts;
    }

    /** The entities inside one, itself first. */
    public List<MimePart> from(MimePart part) {
        int index = parts.indexOf(part);
        return parts.subList(index, index + 1 + part.descendants());
    }

    /** Whether the message has a body at all (RFC 5173 section 4). */
    public static boolean hasBody(RuleMessage message) {
        return !message.header().end().isEmpty();
    }

    /** Whether the body as it came matches, as one text (RFC 5173 section 5.1). */
    public static boolean rawMatches(RuleMessage message, Supplier<StreamMatch> match) throws IOException {
        try (InputStream body = message.body().open()) {
            return matches(reader(body, StandardCharsets.UTF_8), match.get());
        }
    }

    /**
     * Whether some content matches: of a leaf as text, its encodings removed, of a multipart its prologue or epilogue, of an
     * embedded message its header (RFC 5173 section 5.2). Reads the body once, from the start to the last part that is
     * wanted.
     */
    public boolean contentMatches(RuleMessage message, Predicate<MimePart> wanted, Supplier<StreamMatch> match)
            throws IOException {
        record Piece(MimePart part, MimePart.Span span) {}
        List<Piece> pieces = new ArrayList<>();
        for (MimePart part : parts) {
            if (wanted.test(part)) {
                part.spans().forEach(span -> pieces.add(new Piece(part, span)));
            }
        }
        if (pieces.isEmpty()) {
            return false;
        }
        pieces.sort(Comparator.comparingLong(piece -> piece.span().start()));
        try (InputStream body = new BufferedInputStream(message.body().open(), PIECE)) {
            long at = 0;
            for (Piece piece : pieces) {
                body.skipNBytes(piece.span().start() - at);
                Bounded content =
                        new Bounded(body, piece.span().end() - piece.span().start());
                if (matches(reader(piece.part(), content), match.get())) {
                    return true;
                }
                content.skipRest();
                at = piece.span().end();
            }
        }
        return false;
    }

    private static boolean matches(Reader reader, StreamMatch match) throws IOException {
        char[] piece = new char[PIECE];
        for (int read = reader.read(piece); read >= 0; read = reader.read(piece)) {
            if (match.add(java.nio.CharBuffer.wrap(piece, 0, read))) {
                return true;
            }
        }
        return match.end();
    }

    private static Reader reader(MimePart part, InputStream content) {
        if (part.isMultipart() || part.isMessage()) {
            return reader(content, StandardCharsets.UTF_8);
        }
        InputStream decoded =
                switch (part.encoding()) {
                    case IDENTITY -> content;
                    case BASE64 -> new Base64InputStream(content, DecodeMonitor.SILENT);
                    case QUOTED_PRINTABLE -> new QuotedPrintableInputStream(content, DecodeMonitor.SILENT);
                };
        Charset charset = part.charset().map(CharsetUtil::lookup).orElse(StandardCharsets.UTF_8);
        return reader(
                new Unpausing(decoded), charset == null || !charset.canEncode() ? StandardCharsets.UTF_8 : charset);
    }

    private static Reader reader(InputStream in, Charset charset) {
        return new InputStreamReader(
                in,
                charset.newDecoder()
                        .onMalformedInput(CodingErrorAction.REPLACE)
                        .onUnmappableCharacter(CodingErrorAction.REPLACE));
    }

    /** The decoders may read no byte where there are more to come, which readers of text do not bear. */
    private static final class Unpausing extends FilterInputStream {
        Unpausing(InputStream in) {
            super(in);
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            int read = in.read(bytes, offset, length);
            if (read != 0 || length == 0) {
                return read;
            }
            int c = in.read();
            if (c < 0) {
                return -1;
            }
            bytes[offset] = (byte) c;
            return 1;
        }
    }

    /** Ends after a number of bytes. */
    private static final class Bounded extends InputStream {
        private final InputStream in;
        private long left;

        Bounded(InputStream in, long left) {
            this.in = in;
            this.left = left;
        }

        @Override
        public int read() throws IOException {
            if (left <= 0) {
                return -1;
            }
            int c = in.read();
            left = c < 0 ? 0 : left - 1;
            return c;
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            if (left <= 0) {
                return length == 0 ? 0 : -1;
            }
            int read = in.read(bytes, offset, (int) Math.min(length, left));
            left = read < 0 ? 0 : left - read;
            return read;
        }

        void skipRest() throws IOException {
            in.skipNBytes(left);
            left = 0;
        }
    }
}
