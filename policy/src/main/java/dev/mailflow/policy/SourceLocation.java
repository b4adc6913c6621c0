/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy;

/**
 * A place in a configuration file.
 *
 * @param file the file as the administrator knows it, e.g. {@code mailflow.xml}
 * @param line 1-based; 0 when the whole file is meant
 */
public record SourceLocation(String file, int line) {

    /** For values that were not read from any file (implied connectors, tests). */
    public static final SourceLocation NONE = new SourceLocation("(built in)", 0);

    @Override
    public String toString() {
        return line > 0 ? file + ":" + line : file;
    }
}
