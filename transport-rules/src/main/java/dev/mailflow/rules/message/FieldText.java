/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.message;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

import org.apache.james.mime4j.codec.DecodeMonitor;
import org.apache.james.mime4j.codec.DecoderUtil;

import dev.mailflow.policy.header.HeaderField;

/** Reads the values of raw header fields for people and for comparison. */
public final class FieldText {

    private FieldText() {}

    /** The value without folds and without white space at its ends (RFC 5228 section 2.4.2.2), each byte a character. */
    public static String unfolded(HeaderField field) {
        String raw = field.raw();
        int start = raw.indexOf(':') + 1;
        int end = raw.length();
        while (start < end && isSpace(raw.charAt(start))) {
            start++;
        }
        while (end > start && isSpace(raw.charAt(end - 1))) {
            end--;
        }
        if (raw.indexOf('\n', start) < 0 && raw.indexOf('\r', start) < 0) {
            return raw.substring(start, end);
        }
        StringBuilder value = new StringBuilder(end - start);
        for (int i = start; i < end; i++) {
            char c = raw.charAt(i);
            if (c != '\r' && c != '\n') {
                value.append(c);
            }
        }
        return value.toString();
    }

    /** The unfolded value, its encoded words (RFC 2047) and its UTF-8 (RFC 6532) read. What cannot be read stays. */
    public static String decoded(HeaderField field) {
        return decoded(unfolded(field));
    }

    /** @param bytes each as a character */
    static String decoded(String bytes) {
        String text = utf8(bytes);
        if (!text.contains("=?")) {
            return text;
        }
        try {
            return DecoderUtil.decodeEncodedWords(text, DecodeMonitor.SILENT);
        } catch (IllegalArgumentException e) {
            // a charset that nobody knows
            return text;
        }
    }

    /** 8-bit text that is no UTF-8 stays bytes. */
    static String utf8(String bytes) {
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

    private static boolean isSpace(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
    }
}
