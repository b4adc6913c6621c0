/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.util.List;
import java.util.Locale;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.rewrite.AddressRewriteEntry;
import dev.mailflow.policy.rewrite.AddressRewriteTable;
import dev.mailflow.policy.rewrite.RewriteSide;

/**
 * Reads rewriting entries as CSV: {@value #COLUMNS}, the last two optional. Several exceptions are separated by spaces,
 * semicolons or, in a quoted field, commas.
 */
final class RewriteEntriesFile {
    static final String COLUMNS = "internal,external,outboundOnly,exceptions";

    private static final int MOST_COLUMNS = 4;

    private final String name;
    private final Problems problems;

    private List<String> record = List.of();

    /** @param name the file as the administrator knows it */
    RewriteEntriesFile(String name, Problems problems) {
        this.name = name;
        this.problems = problems;
    }

    /** Adds the good records; the bad ones are reported. */
    void read(byte[] csv, AddressRewriteTable.Builder table) {
        new CsvFile(name, problems).read(csv, "internal", (columns, line) -> {
            record = columns;
            table.add(entry(line));
        });
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
        return index < record.size() ? record.get(index) : "";
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
