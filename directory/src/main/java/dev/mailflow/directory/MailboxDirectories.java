/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.directory;

import java.util.Optional;

import org.apache.james.core.MailAddress;

import com.google.inject.Inject;
import com.google.inject.Singleton;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.hybrid.DirectoryUnavailableException;
import dev.mailflow.policy.hybrid.HybridTopology;
import dev.mailflow.policy.hybrid.MailboxDirectory;
import dev.mailflow.policy.hybrid.MailboxPlace;
import dev.mailflow.policy.hybrid.MailboxSource;

/**
 * The one place to ask where a mailbox is: for shared domains the source that the policy names, and James for whom that does
 * not know (aliases and groups that only James has); for all other domains James alone. The connection to a directory server
 * outlives reloads that do not change its settings.
 */
@Singleton
public final class MailboxDirectories {
    private final JamesMailboxes james;
    private Optional<LdapDirectory> ldap = Optional.empty();

    @Inject
    public MailboxDirectories(JamesMailboxes james) {
        this.james = james;
    }

    /** The directory of a policy; a look-up may take as long as its time limit says. */
    public MailboxDirectory of(MailFlowPolicy policy) {
        return address -> find(policy, address, LdapDirectory.Patience.WAITS);
    }

    /**
     * The directory of a policy for threads that must not wait for a directory server: it answers from memory, or says that
     * the answer is on its way.
     */
    public MailboxDirectory withoutWaiting(MailFlowPolicy policy) {
        return address -> find(policy, address, LdapDirectory.Patience.NONE);
    }

    private MailboxPlace find(MailFlowPolicy policy, MailAddress address, LdapDirectory.Patience patience)
            throws DirectoryUnavailableException {
        Optional<HybridTopology> hybrid = policy.hybrid();
        Optional<MailboxPlace> stated = Optional.empty();
        if (hybrid.isPresent() && hybrid.get().isShared(address.getDomain())) {
            MailboxSource source = hybrid.get().mailboxes();
            if (source instanceof MailboxSource.ListFile file) {
                stated = Optional.of(file.list().find(address));
            } else if (source instanceof MailboxSource.Ldap server) {
                stated = Optional.of(ldap(server).find(address, patience));
            }
        }
        if (stated.isPresent() && !(stated.get() instanceof MailboxPlace.Nowhere)) {
            return stated.get();
        }
        MailboxPlace ofJames = james.find(address, hybrid.map(HybridTopology::remoteRoutingDomain));
        return ofJames instanceof MailboxPlace.Nowhere nowhere && stated.isPresent()
                ? new MailboxPlace.Nowhere(stated.get().reason() + ", " + nowhere.reason())
                : ofJames;
    }

    private synchronized LdapDirectory ldap(MailboxSource.Ldap source) {
        if (ldap.isEmpty() || !ldap.get().settings().equals(source.settings())) {
            ldap.ifPresent(LdapDirectory::close);
            ldap = Optional.of(new LdapDirectory(source.settings()));
        }
        return ldap.get();
    }
}
