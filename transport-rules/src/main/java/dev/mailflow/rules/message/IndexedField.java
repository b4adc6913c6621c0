/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.message;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.rewrite.AddressList;
import dev.mailflow.rules.match.Value;

/** One field with what rules have asked of it; each answer is found out once. */
public final class IndexedField {
    private final HeaderField field;
    private Value value;
    private List<Mailbox> mailboxes;
    private StructuredField structured;

    IndexedField(HeaderField field) {
        this.field = field;
    }

    public HeaderField field() {
        return field;
    }

    /** Unfolded, decoded, without white space at its ends. */
    public Value value() {
        Value known = value;
        if (known == null) {
            known = Value.of(FieldText.decoded(field));
            value = known;
        }
        return known;
    }

    /** The addresses in the field; the whole text as one without parts when it cannot be read as a list of addresses. */
    public List<Mailbox> mailboxes() {
        List<Mailbox> known = mailboxes;
        if (known == null) {
            known = read();
            mailboxes = known;
        }
        return known;
    }

    /** The value before the parameters (RFC 5703 section 4.2), e.g. {@code text/plain} or {@code attachment}. */
    public Optional<String> structuredValue() {
        return Optional.of(structured().value()).filter(value -> !value.isEmpty());
    }

    /** The value before the parameters when it is a type and a subtype. */
    public Optional<String> mimeType() {
        return structuredValue().filter(value -> value.indexOf('/') >= 0);
    }

    /** @param name in lower case */
    public Optional<String> parameter(String name) {
        return structured().parameter(name);
    }

    private StructuredField structured() {
        StructuredField known = structured;
        if (known == null) {
            known = StructuredField.of(field);
            structured = known;
        }
        return known;
    }

    private List<Mailbox> read() {
        AddressList.Outcome outcome = AddressList.read(field.raw(), field.raw().indexOf(':') + 1);
        if (outcome instanceof AddressList.Addresses addresses) {
            List<Mailbox> all = new ArrayList<>(addresses.all().size());
            addresses.all().forEach(address -> all.add(Mailbox.of(address.localPart(), address.domain())));
            return List.copyOf(all);
        }
        return List.of(Mailbox.unreadable(value().text()));
    }
}
