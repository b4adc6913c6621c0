/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.xml;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * An element as it should be: what it says must hold, what it does not speak of may be anything. Built by chaining:
 *
 * <pre>{@code
 * Wanted.element("outboundConnector").keyed("name", "cloud-out").attribute("type", "organization")
 *         .child(Wanted.element("recipientDomain").text("contoso.mail.onmicrosoft.com"))
 *         .without("useMx")
 * }</pre>
 */
public final class Wanted {
    private final String name;
    private final Map<String, String> attributes = new LinkedHashMap<>();
    private final Set<String> absentAttributes = new HashSet<>();
    private final List<Wanted> children = new ArrayList<>();
    private final Set<String> exclusive = new HashSet<>();
    private Optional<String> text = Optional.empty();
    private Predicate<PlacedElement> same = element -> true;

    private Wanted(String name) {
        this.name = name;
    }

    /** An element that its parent has once. */
    public static Wanted element(String name) {
        return new Wanted(name);
    }

    /** An attribute that tells this element from others of its name. */
    public Wanted keyed(String attribute, String value) {
        attribute(attribute, value);
        Predicate<PlacedElement> before = same;
        same = element -> before.test(element) && element.attribute(attribute).equals(Optional.of(value));
        return this;
    }

    /** The text tells this element from others of its name. */
    public Wanted keyedByText(String value) {
        text = Optional.of(value);
        same = element -> element.text().equalsIgnoreCase(value);
        return this;
    }

    public Wanted attribute(String attribute, String value) {
        attributes.put(attribute, value);
        return this;
    }

    public Wanted withoutAttribute(String attribute) {
        absentAttributes.add(attribute);
        return this;
    }

    /** The attribute with the value, or no such attribute. */
    public Wanted attribute(String attribute, Optional<String> value) {
        return value.map(given -> attribute(attribute, given)).orElseGet(() -> withoutAttribute(attribute));
    }

    public Wanted text(String value) {
        text = Optional.of(value);
        return this;
    }

    public Wanted child(Wanted child) {
        children.add(child);
        return this;
    }

    /** Children of the name that were not asked for are taken out. */
    public Wanted only(String childName) {
        exclusive.add(childName);
        return this;
    }

    /** There is no child of the name. */
    public Wanted without(String childName) {
        return only(childName);
    }

    String name() {
        return name;
    }

    Map<String, String> attributes() {
        return attributes;
    }

    Set<String> absentAttributes() {
        return absentAttributes;
    }

    List<Wanted> children() {
        return children;
    }

    Set<String> exclusive() {
        return exclusive;
    }

    Optional<String> text() {
        return text;
    }

    boolean isSame(PlacedElement element) {
        return element.name().equals(name) && same.test(element);
    }

    /** Whether it has anything to say but that it should exist. */
    boolean isBare() {
        return attributes.isEmpty() && children.isEmpty() && text.isEmpty();
    }
}
