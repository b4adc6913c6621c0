/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** An XML element as it stands in the file, with the line of each part. Filled by {@link LocatedXml} only. */
final class LocatedElement {
    private final String name;
    private final int line;
    private final Map<String, Text> attributes = new LinkedHashMap<>();
    private final List<LocatedElement> children = new ArrayList<>();
    private final StringBuilder text = new StringBuilder();
    private int textLine;
    private boolean visibleText;

    LocatedElement(String name, int line) {
        this.name = name;
        this.line = line;
        this.textLine = line;
    }

    /** Character data and the line on which it begins. */
    record Text(String value, int line) {}

    String name() {
        return name;
    }

    /** The line of the {@code <}. */
    int line() {
        return line;
    }

    Map<String, Text> attributes() {
        return attributes;
    }

    List<LocatedElement> children() {
        return children;
    }

    /** All character data directly in this element; the line is that of its first visible character. */
    Text text() {
        return new Text(text.toString(), textLine);
    }

    void append(char[] characters, int start, int length, int endLine) {
        if (!visibleText) {
            int newlines = 0;
            int beforeVisible = -1;
            for (int i = start; i < start + length; i++) {
                if (beforeVisible < 0 && !Character.isWhitespace(characters[i])) {
                    beforeVisible = newlines;
                }
                if (characters[i] == '\n') {
                    newlines++;
                }
            }
            if (beforeVisible >= 0) {
                visibleText = true;
                textLine = endLine - newlines + beforeVisible;
            }
        }
        text.append(characters, start, length);
    }
}
