/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.xml;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** An element and where its parts stand in the text. Offsets are in characters; filled by {@link XmlText} only. */
public final class PlacedElement {
    private final String name;
    private final int start;
    private final Map<String, Attribute> attributes = new LinkedHashMap<>();
    private final List<PlacedElement> children = new ArrayList<>();
    private final StringBuilder text = new StringBuilder();
    private Span visibleText = new Span(0, 0);
    private Span startTag;
    private Span endTag;

    /** Characters from {@code from} to before {@code to}. */
    record Span(int from, int to) {
        boolean isEmpty() {
            return from == to;
        }
    }

    /**
     * An attribute.
     *
     * @param value without quotes, references resolved
     * @param whole from the first character of its name to behind the closing quote
     * @param inQuotes between the quotes
     */
    record Attribute(String value, Span whole, Span inQuotes) {}

    PlacedElement(String name, int start) {
        this.name = name;
        this.start = start;
        this.startTag = new Span(start, start);
        this.endTag = startTag;
    }

    public String name() {
        return name;
    }

    /** The value of an attribute; empty when it is absent. */
    public Optional<String> attribute(String attribute) {
        return Optional.ofNullable(attributes.get(attribute)).map(Attribute::value);
    }

    Map<String, Attribute> attributes() {
        return attributes;
    }

    public List<PlacedElement> children() {
        return children;
    }

    /** Children of a name, in order. */
    public Stream<PlacedElement> children(String childName) {
        return children.stream().filter(child -> child.name().equals(childName));
    }

    /** The first child of a name. */
    public Optional<PlacedElement> child(String childName) {
        return children(childName).findFirst();
    }

    /** All character data directly in this element, without space around it. */
    public String text() {
        return text.toString().strip();
    }

    /** Its start tag, for people: on one line, references resolved. */
    public String startTagForPeople() {
        StringBuilder tag = new StringBuilder("<").append(name);
        attributes.forEach((attribute, value) -> tag.append(' ')
                .append(attribute)
                .append("=\"")
                .append(value.value())
                .append('"'));
        return tag.append('>').toString();
    }

    void append(String decoded, Span place) {
        text.append(decoded);
        if (visibleText.isEmpty() && !decoded.isBlank()) {
            visibleText = place;
        }
    }

    /** The first piece of character data that is not blank; empty when there is none. */
    Span visibleText() {
        return visibleText;
    }

    int start() {
        return start;
    }

    /** Behind the last character. */
    int end() {
        return endTag.to();
    }

    Span startTag() {
        return startTag;
    }

    Span endTag() {
        return endTag;
    }

    boolean isEmptyTag() {
        return endTag.isEmpty();
    }

    void startTag(Span span) {
        startTag = span;
    }

    void endTag(Span span) {
        endTag = span;
    }
}
