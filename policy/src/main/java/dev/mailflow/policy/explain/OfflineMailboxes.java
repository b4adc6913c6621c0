/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.explain;

import java.util.Optional;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.hybrid.HybridTopology;
import dev.mailflow.policy.hybrid.MailboxDirectory;
import dev.mailflow.policy.hybrid.MailboxPlace;
import dev.mailflow.policy.hybrid.MailboxSource;

/** What is known of mailboxes without a running server: the list file of a hybrid policy; everybody else counts as here. */
record OfflineMailboxes(MailFlowPolicy policy) implements MailboxDirectory {

    @Override
    public MailboxPlace find(MailAddress address) {
        return source(address)
                .flatMap(source ->
                        source instanceof MailboxSource.ListFile file ? Optional.of(file.list()) : Optional.empty())
                .map(list -> list.find(address))
                .orElseGet(() -> new MailboxPlace.Here("counts as here"));
    }

    /** Why an address that was found here only counts as here; empty: it is known to be. */
    Optional<String> assumption(MailAddress address) {
        MailboxSource source = source(address).orElseGet(MailboxSource.James::new);
        if (source instanceof MailboxSource.ListFile) {
            return Optional.empty();
        }
        return Optional.of(
                source instanceof MailboxSource.Ldap ldap
                        ? "the directory server " + ldap.settings().url() + " is not asked offline"
                        : "the users of a server cannot be seen offline");
    }

    private Optional<MailboxSource> source(MailAddress address) {
        return policy.hybrid()
                .filter(hybrid -> hybrid.isShared(address.getDomain()))
                .map(HybridTopology::mailboxes);
    }
}
