/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.util.List;
import java.util.Map;
import java.util.Optional;

import dev.mailflow.policy.SourceLocation;

/**
 * An element that {@link StructureCheck} has held against its rule. Values that are not valid count as present but
 * cannot be got: whoever maps the element need not report them again.
 *
 * @param children those the rule knows
 */
record Node<T>(
        ElementRule<T> rule,
        SourceLocation location,
        Optional<Value<T>> text,
        Map<String, Value<?>> attributes,
        List<Node<?>> children) {

    @SuppressWarnings("unchecked") // StructureCheck parses each attribute by its own type
    private <A> Optional<Value<A>> value(Attribute<A> attribute) {
        return Optional.ofNullable((Value<A>) attributes.get(attribute.name()));
    }

    /** The attribute's value; empty when it is absent or not valid. */
    <A> Optional<A> get(Attribute<A> attribute) {
        return value(attribute).flatMap(Value::parsed);
    }

    boolean has(Attribute<?> attribute) {
        return attributes.containsKey(attribute.name());
    }

    /** The line of the attribute; of the element when it is absent. */
    SourceLocation at(Attribute<?> attribute) {
        return value(attribute).<SourceLocation>map(Value::location).orElse(location);
    }

    /** The attribute's value for messages. */
    String shown(Attribute<?> attribute) {
        return value(attribute).map(Value::shown).orElse("nothing");
    }

    /** What the text says; empty when it is not valid. */
    Optional<T> said() {
        return text.flatMap(Value::parsed);
    }

    SourceLocation atText() {
        return text.map(Value::location).orElse(location);
    }

    /** The text for messages. */
    String shownText() {
        return text.map(Value::shown).orElse("nothing");
    }

    // a node holds elements of its own rule only, and rules are constants of the grammar
    @SuppressWarnings({"unchecked", "ReferenceEquality"})
    <C> List<Node<C>> all(ElementRule<C> child) {
        return children.stream()
                .filter(node -> node.rule() == child)
                .map(node -> (Node<C>) node)
                .toList();
    }

    <C> Optional<Node<C>> one(ElementRule<C> child) {
        return all(child).stream().findFirst();
    }

    /** What the text of the child says; empty when the child is absent or not valid. */
    <C> Optional<C> said(ElementRule<C> child) {
        return one(child).flatMap(Node::said);
    }

    /** Whether the element is in force; elements are unless {@code enabled="false"}. */
    boolean enabled() {
        return get(Grammar.ENABLED).orElse(true);
    }
}
