/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.explain;

import java.util.Optional;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.hybrid.MailboxDirectory;
import dev.mailflow.policy.hybrid.MailboxList;
import dev.mailflow.policy.hybrid.MailboxPlace;
import dev.mailflow.policy.hybrid.MailboxSource;

/** What is known of mailboxes without a running server: the list file of a hybrid policy; everybody else counts as here. */
record OfflineMailboxes(MailFlowPolicy policy) implements MailboxDirectory {

    @Override
    public MailboxPlace find(MailAddress address) {
        return policy.hybrid()
                .filter(hybrid -> hybrid.isShared(address.getDomain()))
                .flatMap(hybrid -> hybrid.mailboxes() instanceof MailboxSource.ListFile file
                        ? Optional.<MailboxList>of(file.list())
                        : Optional.empty())
                .map(list -> list.find(address))
                .orElseGet(() -> new MailboxPlace.Here("counts as here: the users of a server cannot be seen offline"));
    }
}
