/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.time.Duration;

import org.apache.james.core.MailAddress;
import org.apache.james.core.Username;
import org.apache.james.rrt.api.RecipientRewriteTable;
import org.apache.james.rrt.api.RecipientRewriteTable.ErrorMappingException;
import org.apache.james.rrt.api.RecipientRewriteTableException;
import org.apache.james.user.api.UsersRepository;
import org.apache.james.user.api.UsersRepositoryException;

import com.google.common.base.Ticker;
import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;
import com.google.inject.Inject;
import com.google.inject.Singleton;

/**
 * Whether James has a mailbox, an alias, a group or a forward of that address. Asking may read a database or a directory
 * server. Who was found is remembered for a few seconds, so that a burst of mail to one list of recipients asks once
 * each; who was not found is asked for every time, so that a new user gets mail at once.
 *
 * <p>The gateway asks on threads that may block. A stock James 3.8 runs every SMTP handler, its own
 * {@code ValidRcptHandler} too, on Netty's event loop: there this costs what that handler costs, or less.
 */
@Singleton
public final class KnownRecipients {
    /** How long somebody who was removed may still be accepted. */
    private static final Duration MEMORY = Duration.ofSeconds(5);

    private static final int MOST_REMEMBERED = 100_000;

    private final UsersRepository users;
    private final RecipientRewriteTable rewriteTable;
    private final Cache<MailAddress, Boolean> found;

    @Inject
    public KnownRecipients(UsersRepository users, RecipientRewriteTable rewriteTable) {
        this(users, rewriteTable, Ticker.systemTicker());
    }

    KnownRecipients(UsersRepository users, RecipientRewriteTable rewriteTable, Ticker ticker) {
        this.users = users;
        this.rewriteTable = rewriteTable;
        this.found = CacheBuilder.newBuilder()
                .expireAfterWrite(MEMORY)
                .maximumSize(MOST_REMEMBERED)
                .ticker(ticker)
                .build();
    }

    boolean contains(MailAddress recipient) throws UsersRepositoryException, RecipientRewriteTableException {
        if (found.getIfPresent(recipient) != null) {
            return true;
        }
        boolean known = isUser(recipient) || isRewritten(recipient);
        if (known) {
            found.put(recipient, true);
        }
        return known;
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

    private boolean isRewritten(MailAddress recipient) throws RecipientRewriteTableException {
        try {
            return !rewriteTable
                    .getResolvedMappings(recipient.getLocalPart(), recipient.getDomain())
                    .isEmpty();
        } catch (ErrorMappingException e) {
            // the address is there in order to answer with an error of its own
            return true;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }
}
