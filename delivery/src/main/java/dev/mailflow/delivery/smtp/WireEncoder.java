/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import io.netty.buffer.ByteBuf;

/**
 * Turns message bytes into what goes over the wire after DATA: every line ends in CRLF, lines that begin with a dot
 * get another (RFC 5321 section 4.5.2). A bare LF or CR becomes CRLF, so that no next hop can be made to see an end of
 * message that we did not write ("SMTP smuggling").
 */
final class WireEncoder {
    private boolean lineStart = true;
    private boolean afterCr;

    /** Longest output for {@code length} bytes of input. */
    static int bound(int length) {
        return 2 * length + 8;
    }

    void encode(byte[] bytes, int length, ByteBuf out) {
        int from = 0;
        for (int i = 0; i < length; i++) {
            byte next = bytes[i];
            if (afterCr) {
                afterCr = false;
                lineStart = true;
                if (next == '\n') {
                    continue;
                }
                // a bare CR, already written
                out.writeBytes(bytes, from, i - from);
                out.writeByte('\n');
                from = i;
            }
            if (next == '\r') {
                afterCr = true;
            } else if (next == '\n') {
                out.writeBytes(bytes, from, i - from);
                out.writeByte('\r').writeByte('\n');
                from = i + 1;
                lineStart = true;
            } else {
                if (lineStart && next == '.') {
                    out.writeBytes(bytes, from, i - from);
                    out.writeByte('.');
                    from = i;
                }
                lineStart = false;
            }
        }
        out.writeBytes(bytes, from, length - from);
    }

    /** Ends the last line if need be and writes the final dot. */
    void end(ByteBuf out) {
        if (afterCr) {
            out.writeByte('\n');
        } else if (!lineStart) {
            out.writeByte('\r').writeByte('\n');
        }
        out.writeByte('.').writeByte('\r').writeByte('\n');
    }
}
