/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import java.util.Arrays;

import dev.mailflow.policy.SourceLocation;

/**
 * The ranges of one list file in file order, with the line of each. Made for lists of a million lines: it keeps flat
 * columns of numbers (12 bytes an IPv4 range, 36 an IPv6 range, 4 for the line), no object per line. Immutable.
 */
public final class IpRangeList {
    private final RangeColumns ranges;
    private final FileLines lines;

    private IpRangeList(RangeColumns ranges, FileLines lines) {
        this.ranges = ranges;
        this.lines = lines;
    }

    /** @param file the file as the administrator knows it */
    public static Builder builder(String file) {
        return new Builder(file);
    }

    public String file() {
        return lines.file();
    }

    public int size() {
        return lines.size();
    }

    public SourceLocation location(int index) {
        return lines.location(index);
    }

    RangeColumns ranges() {
        return ranges;
    }

    FileLines lines() {
        return lines;
    }

    /** Collects the lines of one file. Not thread-safe; used once. */
    public static final class Builder {
        private final String file;
        private final RangeColumns ranges = new RangeColumns();
        private int[] lines = new int[64];

        private Builder(String file) {
            this.file = file;
        }

        /** @param line 1-based */
        public Builder add(IpRange range, int line) {
            int index = ranges.size();
            if (index == lines.length) {
                lines = Arrays.copyOf(lines, index + (index >> 1));
            }
            lines[index] = line;
            ranges.add(range);
            return this;
        }

        public IpRangeList build() {
            return new IpRangeList(ranges.trimmed(), new FileLines(file, Arrays.copyOf(lines, ranges.size())));
        }
    }
}
