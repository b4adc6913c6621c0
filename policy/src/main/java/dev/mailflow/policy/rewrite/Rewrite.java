/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import java.util.Optional;

/** What becomes of one address, and why. */
public sealed interface Rewrite {

    /** The address that was asked about: the local part as written and the domain. */
    String before();

    /** The address it becomes. */
    String after();

    /** For people: the entry that won, or why none did. */
    String reason();

    /**
     * Another address takes its place.
     *
     * @param localPart as asked about
     * @param domain as asked about
     * @param newLocalPart empty: the local part stays as it was written
     * @param newDomain in A-labels
     * @param entry the entry that won
     */
    record Changed(
            String localPart, String domain, Optional<String> newLocalPart, String newDomain, AddressRewriteEntry entry)
            implements Rewrite {

        @Override
        public String before() {
            return localPart + "@" + domain;
        }

        @Override
        public String after() {
            return newLocalPart.orElse(localPart) + "@" + newDomain;
        }

        @Override
        public String reason() {
            return before() + " is rewritten to " + after() + " by entry " + entry;
        }
    }

    /** It stays as it is. */
    record Unchanged(String before, String reason) implements Rewrite {
        @Override
        public String after() {
            return before;
        }
    }
}
