/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.directory;

import java.time.Duration;
import java.util.List;
import java.util.Optional;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;
import org.apache.james.core.Username;
import org.apache.james.rrt.api.RecipientRewriteTable;
import org.apache.james.rrt.api.RecipientRewriteTable.ErrorMappingException;
import org.apache.james.rrt.api.RecipientRewriteTableException;
import org.apache.james.rrt.lib.Mapping;
import org.apache.james.user.api.UsersRepository;
import org.apache.james.user.api.UsersRepositoryException;

import com.google.common.base.Ticker;
import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;
import com.google.inject.Inject;
import com.google.inject.Singleton;

import dev.mailflow.policy.hybrid.DirectoryUnavailableException;
import dev.mailflow.policy.hybrid.MailboxPlace;

/**
 * Whether James has a mailbox, an alias, a group or a forward of an address, or a mapping to a remote routing address.
 * Asking may read a database or a directory server. Who was found is remembered for a few seconds, so that a burst of mail
 * to one list of recipients asks once each; who was not found is asked for every time, so that a new user gets mail at once.
 *
 * <p>The gateway asks on threads that may block. A stock James 3.8 runs every SMTP handler, its own
 * {@code ValidRcptHandler} too, on Netty's event loop: there this costs what that handler costs, or less.
 */
@Singleton
public final class JamesMailboxes {
    /** How long somebody who was removed may still be accepted. */
    private static final Duration MEMORY = Duration.ofSeconds(5);

    private static final int MOST_REMEMBERED = 100_000;

    private final UsersRepository users;
    private final RecipientRewriteTable rewriteTable;
    private final Cache<Question, MailboxPlace> found;

    /** An answer depends on the domain of the addresses that are in the cloud. */
    private record Question(MailAddress address, Optional<Domain> remoteRoutingDomain) {}

    @Inject
    public JamesMailboxes(UsersRepository users, RecipientRewriteTable rewriteTable) {
        this(users, rewriteTable, Ticker.systemTicker());
    }

    JamesMailboxes(UsersRepository users, RecipientRewriteTable rewriteTable, Ticker ticker) {
        this.users = users;
        this.rewriteTable = rewriteTable;
        this.found = CacheBuilder.newBuilder()
                .expireAfterWrite(MEMORY)
                .maximumSize(MOST_REMEMBERED)
                .ticker(ticker)
                .build();
    }

    /**
     * Looks the address up.
     *
     * @param remoteRoutingDomain a mapping to an address in it means that the mailbox is in the cloud
     * @throws DirectoryUnavailableException when James cannot tell
     */
    MailboxPlace find(MailAddress address, Optional<Domain> remoteRoutingDomain) throws DirectoryUnavailableException {
        Question question = new Question(address, remoteRoutingDomain);
        MailboxPlace known = found.getIfPresent(question);
        if (known != null) {
            return known;
        }
        try {
            Optional<MailboxPlace> place = mapped(question);
            if (place.isEmpty() && isUser(address)) {
                place = Optional.of(new MailboxPlace.Here("user of James"));
            }
            place.ifPresent(answer -> found.put(question, answer));
            return place.orElseGet(() -> new MailboxPlace.Nowhere("no user or mapping of James"));
        } catch (UsersRepositoryException | RecipientRewriteTableException | RuntimeException e) {
            throw new DirectoryUnavailableException("James cannot look up " + address + ": " + e, e);
        }
    }

    private boolean isUser(MailAddress recipient) throws UsersRepositoryException {
        Username name;
        try {
            name = users.getUsername(recipient);
        } catch (IllegalArgumentException e) {
            // an address that cannot be the name of a user, such as one with an @ in its local part, is nobody's
            return false;
        }
        return users.contains(name);
    }

    private Optional<MailboxPlace> mapped(Question question) throws RecipientRewriteTableException {
        List<Mapping> mappings;
        try {
            mappings = rewriteTable
                    .getResolvedMappings(
                            question.address().getLocalPart(),
                            question.address().getDomain())
                    .asStream()
                    .toList();
        } catch (ErrorMappingException e) {
            // the address is there in order to answer with an error of its own
            return Optional.of(new MailboxPlace.Here("mapped to an error by James"));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
        if (mappings.isEmpty()) {
            return Optional.empty();
        }
        Optional<MailAddress> only = mappings.size() == 1 ? mappings.get(0).asMailAddress() : Optional.empty();
        return Optional.of(only.filter(target -> question.remoteRoutingDomain().equals(Optional.of(target.getDomain())))
                .<MailboxPlace>map(target -> new MailboxPlace.Away(Optional.of(target), "mapped by James"))
                .orElseGet(() -> new MailboxPlace.Here("alias, group or forward of James")));
    }
}
