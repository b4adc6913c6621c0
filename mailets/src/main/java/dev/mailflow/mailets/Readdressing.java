/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import org.apache.james.core.MailAddress;
import org.apache.mailet.Mail;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.hybrid.DirectoryUnavailableException;
import dev.mailflow.policy.hybrid.HybridTopology;
import dev.mailflow.policy.hybrid.MailboxDirectory;
import dev.mailflow.policy.hybrid.RecipientLocation;

/** Gives the recipients of a mail the addresses at which they are found. The mail stays one: whoever routes it splits it. */
final class Readdressing {
    private final Mail mail;
    private final Map<MailAddress, RecipientLocation> found = new LinkedHashMap<>();

    /**
     * Locates the recipients that the topology is about; nothing is changed yet.
     *
     * @throws DirectoryUnavailableException when one of them cannot be located now
     */
    Readdressing(Mail mail, MailFlowPolicy policy, HybridTopology hybrid, MailboxDirectory directory)
            throws DirectoryUnavailableException {
        this.mail = mail;
        for (MailAddress recipient : mail.getRecipients()) {
            if (hybrid.isShared(recipient.getDomain())
                    || hybrid.remoteRoutingDomain().equals(recipient.getDomain())) {
                found.put(recipient, RecipientLocation.of(policy, recipient, directory));
            }
        }
    }

    /** Where a recipient is; empty when the topology is not about it. */
    Optional<RecipientLocation> of(MailAddress recipient) {
        return Optional.ofNullable(found.get(recipient));
    }

    /** Changes the envelope; what the sender asked to be told of (RFC 3461) is asked of the new addresses. */
    List<MailFlowEvent.Located.Move> apply() {
        List<MailFlowEvent.Located.Move> changes = new ArrayList<>();
        Map<MailAddress, MailAddress> after = new LinkedHashMap<>();
        for (MailAddress recipient : mail.getRecipients()) {
            MailAddress address = of(recipient).map(RecipientLocation::address).orElse(recipient);
            after.put(recipient, address);
            of(recipient)
                    .filter(location -> !address.equals(recipient))
                    .ifPresent(location -> changes.add(new MailFlowEvent.Located.Move(
                            recipient.asString(), address.asString(), location.reason())));
        }
        if (!changes.isEmpty()) {
            mail.setRecipients(new LinkedHashSet<>(after.values()));
            WishesOfSender.follow(mail, after);
        }
        return changes;
    }
}
