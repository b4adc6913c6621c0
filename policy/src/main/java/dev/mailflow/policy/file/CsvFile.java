/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

import dev.mailflow.policy.SourceLocation;

/**
 * Reads CSV (RFC 4180) in UTF-8, with or without a first line that names the columns. {@code #} at the beginning of a line
 * makes it a comment, blank lines are skipped. One pass; a field's line ends and quotes may be quoted, and a record with a
 * mistake costs only itself.
 */
final class CsvFile {
    private final String name;
    private final Problems problems;

    private byte[] content = new byte[0];
    private int position;
    private int line;
    private int bad;
    private final List<String> record = new ArrayList<>();

    /** @param name the file as the administrator knows it */
    CsvFile(String name, Problems problems) {
        this.name = name;
        this.problems = problems;
    }

    /** Takes one record. */
    @FunctionalInterface
    interface Reader {
        /**
         * @param columns without white space at their ends; at least one; valid only during this call
         * @param line the record's first line, 1-based
         * @throws IllegalArgumentException when the record makes no sense, saying what was found and expected
         */
        void read(List<String> columns, int line);
    }

    /**
     * Gives each good record to the reader; the bad ones are reported.
     *
     * @param heading the name of the first column
     */
    void read(byte[] csv, String heading, Reader reader) {
        content = csv;
        position = startsWithMark() ? 3 : 0;
        line = 1;
        boolean first = true;
        while (position < content.length) {
            int at = line;
            if (content[position] == '#') {
                skipLine();
                continue;
            }
            try {
                readRecord();
                boolean blank = record.size() == 1 && record.get(0).isBlank();
                if (!blank && !(first && isHeading(heading))) {
                    record.replaceAll(String::strip);
                    reader.read(record, at);
                }
                first &= blank;
            } catch (IllegalArgumentException e) {
                first = false;
                report(at, e.getMessage());
            }
        }
        if (bad > AddressListFile.LISTED) {
            problems.error(new SourceLocation(name, 0), "and " + (bad - AddressListFile.LISTED) + " more bad lines");
        }
    }

    private boolean startsWithMark() {
        return content.length > 2
                && content[0] == (byte) 0xEF
                && content[1] == (byte) 0xBB
                && content[2] == (byte) 0xBF;
    }

    private void report(int at, String message) {
        bad++;
        if (bad <= AddressListFile.LISTED) {
            problems.error(new SourceLocation(name, at), message);
        }
    }

    private boolean isHeading(String first) {
        return record.get(0).strip().equalsIgnoreCase(first);
    }

    private void skipLine() {
        while (position < content.length && content[position] != '\n') {
            position++;
        }
        endLine();
    }

    private void endLine() {
        if (position < content.length) {
            position++;
            line++;
        }
    }

    /** Reads to the end of the record; after a mistake, to the end of the line. */
    private void readRecord() {
        record.clear();
        while (true) {
            record.add(position < content.length && content[position] == '"' ? quotedField() : plainField());
            if (position >= content.length || content[position] == '\n') {
                endLine();
                return;
            }
            position++;
        }
    }

    private String plainField() {
        int start = position;
        while (position < content.length && content[position] != ',' && content[position] != '\n') {
            position++;
        }
        int end = position > start && content[position - 1] == '\r' && !isComma() ? position - 1 : position;
        return new String(content, start, end - start, StandardCharsets.UTF_8);
    }

    private boolean isComma() {
        return position < content.length && content[position] == ',';
    }

    private String quotedField() {
        int begun = position;
        int begunLine = line;
        StringBuilder field = new StringBuilder();
        int start = position + 1;
        position++;
        while (position < content.length) {
            if (content[position] == '"') {
                field.append(new String(content, start, position - start, StandardCharsets.UTF_8));
                position++;
                if (position >= content.length || content[position] != '"') {
                    return closed(field);
                }
                field.append('"');
                start = position + 1;
            } else if (content[position] == '\n') {
                line++;
            }
            position++;
        }
        // The next quote is nowhere: only this line is lost, not the rest of the file.
        position = begun;
        line = begunLine;
        skipLine();
        throw new IllegalArgumentException(
                "found a field that begins with '\"' and does not end, expected '\"' at its end");
    }

    private String closed(StringBuilder field) {
        if (position < content.length && content[position] == '\r') {
            position++;
        }
        if (position < content.length && content[position] != ',' && content[position] != '\n') {
            skipLine();
            throw new IllegalArgumentException(
                    "found something between '\"' and the next comma, expected a quoted field"
                            + " to end at a comma or the end of the line, and quotes within it to be doubled");
        }
        return field.toString();
    }
}
