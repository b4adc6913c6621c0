/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.domain;

import dev.mailflow.policy.SourceLocation;

/**
 * A domain this organization receives mail for.
 *
 * @param pattern exact, or {@code *.d} for {@code matchSubdomains="true"}; never {@code *}
 */
public record AcceptedDomain(DomainPattern pattern, Type type, SourceLocation location) {

    /** What happens to recipients that have no mailbox here. */
    public enum Type {
        /** They are rejected. */
        AUTHORITATIVE("authoritative"),
        /** They are relayed by connector. */
        INTERNAL_RELAY("internalRelay"),
        /** Nobody has a mailbox here: everything is relayed by connector. */
        EXTERNAL_RELAY("externalRelay");

        private final String xmlName;

        Type(String xmlName) {
            this.xmlName = xmlName;
        }

        /** The word the policy file uses. */
        public String xmlName() {
            return xmlName;
        }

        @Override
        public String toString() {
            return xmlName;
        }
    }
}
