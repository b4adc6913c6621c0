/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.message;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.rule.RuleMessage;
import dev.mailflow.rules.match.Collation;

/** The fields of a header section by name. Made once for each header that rules see. */
public final class HeaderIndex {
    private final Map<String, List<IndexedField>> byName;

    private HeaderIndex(Map<String, List<IndexedField>> byName) {
        this.byName = byName;
    }

    public static HeaderIndex of(RuleMessage message) {
        return message.ofHeader(HeaderIndex.class, one -> of(one.header()));
    }

    static HeaderIndex of(HeaderSection header) {
        Map<String, List<IndexedField>> byName = new HashMap<>(header.fields().size() * 2);
        for (HeaderField field : header.fields()) {
            byName.computeIfAbsent(name(field), unused -> new ArrayList<>(1)).add(new IndexedField(field));
        }
        return new HeaderIndex(byName);
    }

    /** In lower case. */
    public static String name(HeaderField field) {
        return Collation.lower(field.name());
    }

    /** @param name in lower case */
    public List<IndexedField> fields(String name) {
        return byName.getOrDefault(name, List.of());
    }

    public boolean has(String name) {
        return byName.containsKey(name);
    }
}
