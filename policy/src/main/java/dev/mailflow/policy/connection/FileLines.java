/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import dev.mailflow.policy.SourceLocation;

/** Where the ranges of a list file stand: all that is kept of a list beside its compiled index. */
final class FileLines {
    private final String file;
    /** By place in the list. */
    private final int[] lines;

    FileLines(String file, int[] lines) {
        this.file = file;
        this.lines = lines;
    }

    String file() {
        return file;
    }

    int size() {
        return lines.length;
    }

    SourceLocation location(int index) {
        return new SourceLocation(file, lines[index]);
    }
}
