/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.hybrid;

import java.util.Optional;

import org.apache.james.core.MailAddress;

/** What a directory says about one address. */
public sealed interface MailboxPlace {

    /** One clause for people. */
    String reason();

    /** There is a mailbox, an alias or a group of that address here. */
    record Here(String reason) implements MailboxPlace {}

    /**
     * The mailbox is elsewhere.
     *
     * @param target where its mail goes; empty: to the remote routing address with the same local part
     */
    record Away(Optional<MailAddress> target, String reason) implements MailboxPlace {
        public static Away inCloud(String reason) {
            return new Away(Optional.empty(), reason);
        }
    }

    /** The directory does not know the address. */
    record Nowhere(String reason) implements MailboxPlace {}
}
