/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.rewrite.AddressRewriteEntry;
import dev.mailflow.policy.rewrite.AddressRewriteTable;
import dev.mailflow.policy.rewrite.RewriteSide;

/**
 * Reads rewriting entries as CSV (RFC 4180) in UTF-8: {@value #COLUMNS}, the last two optional, with or without a first
 * line that names the columns. {@code #} at the beginning of a line makes it a comment, blank lines are skipped; several
 * exceptions are separated by spaces, semicolons or, in a quoted field, commas. One pass; a field's line ends and quotes
 * may be quoted, and a record with a mistake costs only itself.
 */
final class RewriteEntriesFile {
    static final String COLUMNS = "internal,external,outboundOnly,exceptions";

    private static final int MOST_COLUMNS = 4;

    private final String name;
    private final Problems problems;

    private byte[] content = new byte[0];
    private int position;
    private int line;
    private int bad;
    private final List<String> record = new ArrayList<>(MOST_COLUMNS);

    /** @param name the file as the administrator knows it */
    RewriteEntriesFile(String name, Problems problems) {
        this.name = name;
        this.problems = problems;
    }

    /** Adds the good records; the bad ones are reported. */
    void read(byte[] csv, AddressRewriteTable.Builder table) {
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
                if (!blank && !(first && isHeading())) {
                    table.add(entry(at));
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

    private boolean isHeading() {
        return record.get(0).strip().equalsIgnoreCase("internal");
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

    private AddressRewriteEntry entry(int at) {
        if (record.size() < 2 || record.size() > MOST_COLUMNS) {
            throw new IllegalArgumentException("found " + record.size() + (record.size() == 1 ? " column" : " columns")
                    + " in " + Quoted.of(String.join(",", record)) + ", expected " + COLUMNS
                    + " (the last two are optional)");
        }
        RewriteSide internal = side(0);
        return new AddressRewriteEntry(
                internal, side(1), outboundOnly(internal), exceptions(), new SourceLocation(name, at));
    }

    private String column(int index) {
        return index < record.size() ? record.get(index).strip() : "";
    }

    private RewriteSide side(int column) {
        try {
            return Values.REWRITE.parser().parse(column(column));
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "column " + (column == 0 ? "internal" : "external") + ": found " + Quoted.of(column(column))
                            + ", expected " + Values.REWRITE.expected(),
                    e);
        }
    }

    private boolean outboundOnly(RewriteSide internal) {
        return switch (column(2).toLowerCase(Locale.ROOT)) {
            case "" -> internal.kind() == RewriteSide.Kind.SUBDOMAINS;
            case "true" -> true;
            case "false" -> false;
            default -> throw new IllegalArgumentException(
                    "column outboundOnly: found " + Quoted.of(column(2)) + ", expected true, false or nothing");
        };
    }

    private List<DomainPattern> exceptions() {
        String text = column(MOST_COLUMNS - 1).replace(';', ' ');
        if (text.isEmpty()) {
            return List.of();
        }
        try {
            return Grammar.EXCEPTIONS.type().parser().parse(text);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "column exceptions: found " + Quoted.of(column(MOST_COLUMNS - 1)) + ", expected "
                            + Grammar.EXCEPTIONS.type().expected(),
                    e);
        }
    }
}
