/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.header;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * The header section of a message as bytes. A carriage return alone ends a line here as it does for lenient readers
 * (javax.mail among them), so that a field cannot be hidden from us behind one; the section itself ends only at a truly
 * empty line. Writing the fields again gives the same bytes.
 *
 * @param fields in order, each with its own line end
 * @param end the empty line that ends the section; empty when the message ends before
 */
public record HeaderSection(List<HeaderField> fields, String end) {

    public HeaderSection {
        fields = List.copyOf(fields);
    }

    /**
     * Reads to the end of the section and leaves the stream at the first byte of the body.
     *
     * @param in buffered: it must support marks
     */
    public static HeaderSection read(InputStream in) throws IOException {
        List<HeaderField> fields = new ArrayList<>();
        StringBuilder field = new StringBuilder();
        while (true) {
            String line = line(in);
            boolean afterLineFeed = field.isEmpty()
                    ? fields.isEmpty() || fields.get(fields.size() - 1).raw().endsWith("\n")
                    : field.charAt(field.length() - 1) == '\n';
            boolean blank = afterLineFeed && line.endsWith("\n") && line.chars().allMatch(c -> c == '\r' || c == '\n');
            if (line.isEmpty() || blank) {
                if (!field.isEmpty()) {
                    fields.add(new HeaderField(field.toString()));
                }
                return new HeaderSection(fields, line);
            }
            if (!startsFolded(line) && !field.isEmpty()) {
                fields.add(new HeaderField(field.toString()));
                field.setLength(0);
            }
            field.append(line);
        }
    }

    private static boolean startsFolded(String line) {
        return line.startsWith(" ") || line.startsWith("\t");
    }

    /** One line with its end: line feed, any carriage returns and a line feed, or carriage returns alone. */
    private static String line(InputStream in) throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream(120);
        int c = in.read();
        while (c >= 0) {
            line.write(c);
            if (c == '\n') {
                break;
            }
            if (c == '\r') {
                in.mark(1);
                int next = in.read();
                if (next != '\r' && next != '\n') {
                    in.reset();
                    break;
                }
                c = next;
            } else {
                c = in.read();
            }
        }
        return line.toString(StandardCharsets.ISO_8859_1);
    }

    /** This section with other fields. */
    public HeaderSection with(List<HeaderField> others) {
        return new HeaderSection(others, end);
    }

    /** The bytes of the section, empty line included. */
    public byte[] bytes() {
        StringBuilder text = new StringBuilder();
        fields.forEach(field -> text.append(field.raw()));
        return text.append(end).toString().getBytes(StandardCharsets.ISO_8859_1);
    }
}
