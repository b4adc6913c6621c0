/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

import javax.mail.MessagingException;

import org.apache.james.core.MailAddress;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.Mail;
import org.apache.mailet.base.GenericMailet;

import com.google.inject.Inject;

import dev.mailflow.delivery.queue.DeliveryService;
import dev.mailflow.directory.MailboxDirectories;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.hybrid.DirectoryUnavailableException;
import dev.mailflow.policy.hybrid.HybridTopology;
import dev.mailflow.policy.hybrid.RecipientLocation;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.SmtpReply;

/**
 * Handles mail that the cloud handed to us (mail-flow behaviour, section 7): with {@code centralizedTransport} the copy of a
 * recipient in the cloud goes back to the remote routing address, after rules; everybody else's goes its way, to mailboxes
 * here and to the Internet. Whatever the setting, a recipient whom it would go back to the cloud for unchanged is returned
 * to the sender with {@code 5.4.14}, so that mail never goes to and fro. Other mail passes untouched.
 *
 * <pre>{@code
 * <mailet match="All" class="dev.mailflow.mailets.CentralizedTransport"/>
 * }</pre>
 *
 * <p>Belongs directly before {@link LocateRecipients}. The SMTP door refuses such loops already; here those are caught that
 * aliases and rules make.
 */
public final class CentralizedTransport extends GenericMailet {
    private final PolicyRepository policies;
    private final MailboxDirectories directories;
    private final DeliveryService delivery;
    private final MailFlowEvents events;
    private final TryAgainLater later;

    @Inject
    public CentralizedTransport(
            PolicyRepository policies,
            MailboxDirectories directories,
            DeliveryService delivery,
            MailFlowEvents events) {
        this(policies, directories, delivery, events, Clock.systemUTC());
    }

    CentralizedTransport(
            PolicyRepository policies,
            MailboxDirectories directories,
            DeliveryService delivery,
            MailFlowEvents events,
            Clock clock) {
        this.policies = policies;
        this.directories = directories;
        this.delivery = delivery;
        this.events = events;
        this.later = new TryAgainLater(clock);
    }

    @Override
    public void service(Mail mail) throws MessagingException {
        MailFlowPolicy policy = policies.current();
        Optional<HybridTopology> hybrid = policy.hybrid().filter(topology -> isFromCloud(mail, topology));
        if (hybrid.isEmpty()) {
            return;
        }
        try {
            handle(mail, policy, hybrid.get());
        } catch (DirectoryUnavailableException e) {
            later.put(getMailetContext(), mail, e.getMessage());
        }
    }

    private static boolean isFromCloud(Mail mail, HybridTopology hybrid) {
        return InboundFacts.stampedOn(AttributeUtils.getValueAndCastFromMail(
                        mail, AttributeName.of(InboundFacts.ATTRIBUTE), String.class))
                .filter(hybrid::isFromCloud)
                .isPresent();
    }

    private void handle(Mail mail, MailFlowPolicy policy, HybridTopology hybrid)
            throws MessagingException, DirectoryUnavailableException {
        Readdressing readdressing = new Readdressing(mail, policy, hybrid, directories.of(policy));
        Optional<MailAddress> sender = mail.getMaybeSender().asOptional();
        List<MailAddress> going = new ArrayList<>();
        List<MailAddress> looping = new ArrayList<>();
        Optional<String> why = Optional.empty();
        for (MailAddress recipient : mail.getRecipients()) {
            RecipientLocation location = readdressing
                    .of(recipient)
                    .orElseGet(() -> new RecipientLocation.Remote(recipient, "not in a shared domain"));
            Optional<String> loop = hybrid.loop(policy, sender, recipient, location);
            (loop.isPresent() ? looping : going).add(recipient);
            why = why.or(() -> loop);
        }
        if (!looping.isEmpty()) {
            delivery.fail(
                    mail,
                    looping,
                    SmtpReply.routingLoop().enhancedStatus(),
                    SmtpReply.routingLoop().text() + ": " + why.orElseThrow());
            mail.setRecipients(going);
        }
        if (going.isEmpty()) {
            mail.setState(Mail.GHOST);
        } else if (hybrid.centralizedTransport()) {
            LocateRecipients.publish(mail, readdressing.apply(), events);
        }
    }

    @Override
    public String getMailetInfo() {
        return "CentralizedTransport";
    }
}
