/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import java.util.List;

import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;

/**
 * A header section after rewriting.
 *
 * @param changes fields with at least one other address, in order
 * @param unreadable fields that would have been rewritten if they followed the grammar, left byte for byte
 * @param removedSignatures DKIM signatures of ours that no longer hold
 */
public record RewrittenHeader(
        HeaderSection section,
        List<FieldChange> changes,
        List<UnreadableField> unreadable,
        List<RemovedSignature> removedSignatures) {

    /**
     * One field with other addresses.
     *
     * @param name as written
     * @param rewrites of each changed address, in order
     * @param after the field as it is now
     */
    public record FieldChange(String name, List<Rewrite.Changed> rewrites, HeaderField after) {}

    /** A field that does not follow the grammar of addresses. */
    public record UnreadableField(String name, String reason) {}

    /**
     * A DKIM-Signature that covered a rewritten field.
     *
     * @param domain its {@code d=}
     * @param field the rewritten field it covered
     */
    public record RemovedSignature(String domain, String field) {}

    public RewrittenHeader {
        changes = List.copyOf(changes);
        unreadable = List.copyOf(unreadable);
        removedSignatures = List.copyOf(removedSignatures);
    }

    public boolean isChanged() {
        return !changes.isEmpty();
    }
}
