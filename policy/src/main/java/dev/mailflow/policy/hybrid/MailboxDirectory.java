/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.hybrid;

import org.apache.james.core.MailAddress;

/** Knows where mailboxes are. */
@FunctionalInterface
public interface MailboxDirectory {

    /**
     * Looks an address up, exactly as it is.
     *
     * @throws DirectoryUnavailableException when nobody can tell now: mail must wait, for neither "here" nor "nobody" is true
     */
    MailboxPlace find(MailAddress address) throws DirectoryUnavailableException;
}
