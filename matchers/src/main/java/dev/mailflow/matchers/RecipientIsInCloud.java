/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.matchers;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

import javax.mail.MessagingException;

import org.apache.james.core.MailAddress;
import org.apache.mailet.Mail;
import org.apache.mailet.base.GenericMatcher;

import com.google.inject.Inject;

import dev.mailflow.directory.MailboxDirectories;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.hybrid.DirectoryUnavailableException;
import dev.mailflow.policy.hybrid.RecipientLocation;

/**
 * Matches the recipients whose mailboxes are in the cloud: {@code match="dev.mailflow.matchers.RecipientIsInCloud"}. The
 * decision is the one that {@code LocateRecipients} makes; without {@code <hybrid>} in {@code mailflow.xml} it matches nobody.
 *
 * <p>When the directory cannot be asked the match fails, and what becomes of the mail is said by {@code onMatchException}
 * of the mailet: {@code nomatch} and {@code matchall} guess; the default, an error, does not.
 */
public final class RecipientIsInCloud extends GenericMatcher {
    private final PolicyRepository policies;
    private final MailboxDirectories directories;

    @Inject
    public RecipientIsInCloud(PolicyRepository policies, MailboxDirectories directories) {
        this.policies = policies;
        this.directories = directories;
    }

    @Override
    public Collection<MailAddress> match(Mail mail) throws MessagingException {
        MailFlowPolicy policy = policies.current();
        if (policy.hybrid().isEmpty()) {
            return List.of();
        }
        List<MailAddress> inCloud = new ArrayList<>();
        for (MailAddress recipient : mail.getRecipients()) {
            try {
                if (RecipientLocation.of(policy, recipient, directories.of(policy))
                        instanceof RecipientLocation.Cloud) {
                    inCloud.add(recipient);
                }
            } catch (DirectoryUnavailableException e) {
                throw new MessagingException(e.getMessage(), e);
            }
        }
        return inCloud;
    }
}
