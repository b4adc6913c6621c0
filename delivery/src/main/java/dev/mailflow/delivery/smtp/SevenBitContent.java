/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.BitSet;
import java.util.Set;
import java.util.regex.Pattern;

import dev.mailflow.delivery.ContentBuffer;
import dev.mailflow.delivery.MessageContent;
import dev.mailflow.delivery.smtp.MimeWalk.Entity;
import dev.mailflow.delivery.smtp.MimeWalk.Kind;
import dev.mailflow.delivery.smtp.MimeWalk.NotUnderstoodException;

/**
 * A message made fit for a next hop without 8BITMIME (RFC 6152 section 3): text that has 8-bit characters becomes
 * quoted-printable, anything else base64. Nothing that anybody signed is touched: it would arrive as a forgery.
 */
final class SevenBitContent {
    private static final int QUOTED_LINE = 75;
    private static final int BASE64_LINE = 57;
    private static final Set<String> SIGNED = Set.of(
            "multipart/signed",
            "multipart/encrypted",
            "application/pkcs7-mime",
            "application/x-pkcs7-mime",
            "application/pkcs7-signature",
            "application/x-pkcs7-signature",
            "application/pgp-signature",
            "application/pgp-encrypted");
    private static final Pattern SIGNATURE =
            Pattern.compile("(?im)^(dkim-signature|arc-message-signature|domainkey-signature)[ \\t]*:");
    private static final Pattern ENCODING =
            Pattern.compile("(?im)^content-transfer-encoding[ \\t]*:.*+(?:\\R[ \\t].*+)*+\\R");
    private static final byte[] PGP = "-----BEGIN PGP ".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] CRLF = {'\r', '\n'};
    private static final byte[] HEX = "0123456789ABCDEF".getBytes(StandardCharsets.US_ASCII);

    private SevenBitContent() {}

    /**
     * Converts; blocks. What it needs for the converted bytes ends when nobody refers to them any more.
     *
     * @throws NotUnderstoodException when it must stay as it is; the message says why
     */
    static MessageContent of(MessageContent content) throws IOException, NotUnderstoodException {
        Survey survey = new Survey();
        try (InputStream in = content.open()) {
            new MimeWalk(in, survey).run();
        }
        ContentBuffer converted = new ContentBuffer();
        try (InputStream in = content.open()) {
            new MimeWalk(in, new Rewriting(survey.eightBit, converted)).run();
        } catch (IOException | NotUnderstoodException | RuntimeException e) {
            converted.close();
            throw e;
        }
        return converted.content();
    }

    private static boolean isEightBit(byte[] bytes) {
        for (byte each : bytes) {
            if (each < 0) {
                return true;
            }
        }
        return false;
    }

    private static boolean isEightBit(String latin1) {
        return latin1.chars().anyMatch(c -> c > 127);
    }

    /** Finds the leaves that have 8-bit characters, and what forbids to touch them. */
    private static final class Survey implements MimeWalk.Sink {
        private final BitSet eightBit = new BitSet();

        @Override
        public void header(Entity entity, String latin1) throws NotUnderstoodException {
            if (isEightBit(latin1)) {
                throw new NotUnderstoodException("8-bit characters in a header");
            }
            if (SIGNED.contains(entity.type())) {
                throw new NotUnderstoodException("signed or encrypted content (" + entity.type() + ")");
            }
            var signature = SIGNATURE.matcher(latin1);
            if (entity.index() == 0 && signature.find()) {
                throw new NotUnderstoodException("a signature (" + signature.group(1) + ")");
            }
        }

        @Override
        public void body(Entity leaf, byte[] piece, boolean ends) throws NotUnderstoodException {
            if (piece.length >= PGP.length && Arrays.equals(PGP, Arrays.copyOf(piece, PGP.length))) {
                throw new NotUnderstoodException("signed or encrypted content (PGP)");
            }
            if (isEightBit(piece)) {
                eightBit.set(leaf.index());
                if (leaf.encoding().equals("base64") || leaf.type().startsWith("message/")) {
                    throw new NotUnderstoodException(
                            "8-bit characters in a part of type " + leaf.type() + ", encoding " + leaf.encoding());
                }
            }
        }

        @Override
        public void endOfBody(Entity leaf) {}

        @Override
        public void between(byte[] piece, boolean ends) {}
    }

    private static final class Rewriting implements MimeWalk.Sink {
        private final BitSet eightBit;
        private final OutputStream out;
        private final ByteArrayOutputStream unencoded = new ByteArrayOutputStream();
        private int column;
        private boolean breakDue;

        Rewriting(BitSet eightBit, OutputStream out) {
            this.eightBit = eightBit;
            this.out = out;
        }

        @Override
        public void header(Entity entity, String latin1) throws IOException {
            boolean encode = entity.kind() == Kind.LEAF && eightBit.get(entity.index());
            boolean says8Bit =
                    entity.encoding().equals("8bit") || entity.encoding().equals("binary");
            if ((!encode && !says8Bit) || entity.encoding().equals("quoted-printable")) {
                write(latin1);
                return;
            }
            String encoding = !encode ? "7bit" : isText(entity) ? "quoted-printable" : "base64";
            String rest = ENCODING.matcher(latin1).replaceAll("");
            int end = rest.endsWith("\r\n\r\n") ? rest.length() - 2 : rest.equals("\r\n") ? 0 : rest.length();
            write(rest.substring(0, end));
            write("Content-Transfer-Encoding: " + encoding + "\r\n");
            write(rest.substring(end));
        }

        private static boolean isText(Entity entity) {
            return entity.type().startsWith("text/");
        }

        @Override
        public void body(Entity leaf, byte[] piece, boolean ends) throws IOException {
            if (!eightBit.get(leaf.index())) {
                out.write(piece);
                if (ends) {
                    out.write(CRLF);
                }
            } else if (isText(leaf) || leaf.encoding().equals("quoted-printable")) {
                quote(piece, ends, !leaf.encoding().equals("quoted-printable"));
            } else {
                if (breakDue) {
                    unencoded.write(CRLF);
                }
                unencoded.write(piece);
                breakDue = ends;
                encode(false);
            }
        }

        private void quote(byte[] piece, boolean ends, boolean all) throws IOException {
            for (int i = 0; i < piece.length; i++) {
                int octet = piece[i] & 0xFF;
                boolean atEnd = i == piece.length - 1 && ends;
                boolean plain = all
                        ? (octet > ' ' && octet < 127 && octet != '=') || ((octet == ' ' || octet == '\t') && !atEnd)
                        : octet < 128;
                int width = plain ? 1 : 3;
                if (all && column + width > QUOTED_LINE) {
                    out.write('=');
                    out.write(CRLF);
                    column = 0;
                }
                if (plain) {
                    out.write(octet);
                } else {
                    out.write('=');
                    out.write(HEX[octet >> 4]);
                    out.write(HEX[octet & 15]);
                }
                column += width;
            }
            if (ends) {
                out.write(CRLF);
                column = 0;
            }
        }

        private void encode(boolean last) throws IOException {
            byte[] bytes = unencoded.toByteArray();
            int done = 0;
            while (bytes.length - done >= BASE64_LINE || (last && done < bytes.length)) {
                int n = Math.min(BASE64_LINE, bytes.length - done);
                out.write(Base64.getEncoder().encode(Arrays.copyOfRange(bytes, done, done + n)));
                out.write(CRLF);
                done += n;
            }
            unencoded.reset();
            unencoded.write(bytes, done, bytes.length - done);
        }

        @Override
        public void endOfBody(Entity leaf) throws IOException {
            if (eightBit.get(leaf.index()) && !isText(leaf) && !leaf.encoding().equals("quoted-printable")) {
                // the last line break belongs to the boundary that follows
                encode(true);
            }
            breakDue = false;
            column = 0;
        }

        /** What stands outside the parts is for nobody's eyes. */
        @Override
        public void between(byte[] piece, boolean ends) throws IOException {
            for (byte each : piece) {
                out.write(each < 0 ? '?' : each);
            }
            if (ends) {
                out.write(CRLF);
            }
        }

        private void write(String latin1) throws IOException {
            out.write(latin1.getBytes(StandardCharsets.ISO_8859_1));
        }
    }
}
