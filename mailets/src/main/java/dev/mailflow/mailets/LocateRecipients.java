/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.time.Clock;
import java.util.List;
import java.util.Optional;

import javax.mail.MessagingException;

import org.apache.mailet.Mail;
import org.apache.mailet.base.GenericMailet;

import com.google.inject.Inject;

import dev.mailflow.directory.MailboxDirectories;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.hybrid.DirectoryUnavailableException;
import dev.mailflow.policy.hybrid.HybridTopology;

/**
 * Finds out who of the recipients in shared domains has a mailbox here and who in the cloud, and readdresses those in the
 * cloud to their remote routing addresses, by which the cloud's outbound connector is chosen (mail-flow behaviour, section
 * 7). Reports keep naming the original recipient. Without {@code <hybrid>} in {@code mailflow.xml} it does nothing.
 *
 * <pre>{@code
 * <mailet match="All" class="dev.mailflow.mailets.LocateRecipients"/>
 * }</pre>
 *
 * <p>Belongs after rules and {@code RecipientRewriteTable}, before {@code RecipientIsLocal}. When the directory cannot be
 * asked the mail waits; the log says for what.
 */
public final class LocateRecipients extends GenericMailet {
    private final PolicyRepository policies;
    private final MailboxDirectories directories;
    private final MailFlowEvents events;
    private final TryAgainLater later;

    @Inject
    public LocateRecipients(PolicyRepository policies, MailboxDirectories directories, MailFlowEvents events) {
        this(policies, directories, events, Clock.systemUTC());
    }

    LocateRecipients(PolicyRepository policies, MailboxDirectories directories, MailFlowEvents events, Clock clock) {
        this.policies = policies;
        this.directories = directories;
        this.events = events;
        this.later = new TryAgainLater(clock);
    }

    @Override
    public void service(Mail mail) throws MessagingException {
        MailFlowPolicy policy = policies.current();
        Optional<HybridTopology> hybrid = policy.hybrid();
        if (hybrid.isEmpty()) {
            return;
        }
        try {
            publish(mail, new Readdressing(mail, policy, hybrid.get(), directories.of(policy)).apply(), events);
        } catch (DirectoryUnavailableException e) {
            later.put(getMailetContext(), mail, e.getMessage());
        }
    }

    static void publish(Mail mail, List<MailFlowEvent.Located.Move> changes, MailFlowEvents events)
            throws MessagingException {
        if (!changes.isEmpty()) {
            events.publish(new MailFlowEvent.Located(
                    new MailFlowEvent.MessageRef(
                            mail.getName(),
                            Optional.ofNullable(mail.getMessage().getMessageID())),
                    changes));
        }
    }

    @Override
    public String getMailetInfo() {
        return "LocateRecipients";
    }
}
