/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.inbound;

import java.util.Optional;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.domain.AcceptedDomain;
import dev.mailflow.policy.domain.AcceptedDomains;
import dev.mailflow.policy.hybrid.RecipientLocation;

/**
 * Whether a recipient is taken at RCPT TO, and what becomes of it. When it says no, the client sees
 * {@code 550 5.7.64 Relay access denied} (not our domain, and no right to relay), {@code 550 5.1.10 Recipient not
 * found} (our domain, where everybody is known) or {@code 554 5.4.14 Routing loop} (the cloud asks us for what is its own).
 */
public sealed interface RecipientAdmission {

    /** One clause for people. */
    String reason();

    /** Taken: there is a mailbox here. */
    record DeliverLocal(String reason) implements RecipientAdmission {}

    /** Taken: leaves by an outbound connector. */
    record Relay(String reason) implements RecipientAdmission {}

    record Reject(SmtpReply reply, String reason) implements RecipientAdmission {}

    /** What is known of a recipient in an accepted domain. */
    enum Mailbox {
        LOCAL,
        UNKNOWN,
        /** Nobody was asked; counts as local, and whoever delivers finds out. */
        NOT_ASKED
    }

    /**
     * By whom the recipient is asked for.
     *
     * @param mayRelay see {@link dev.mailflow.policy.connector.InboundAttribution#mayRelay()}
     * @param fromCloud whether it is the other premises of our own organization
     * @param sender envelope sender; empty: the null sender
     */
    record Client(boolean mayRelay, boolean fromCloud, Optional<MailAddress> sender) {}

    /**
     * Decides by where the recipient's mailbox is. What comes from the cloud and would go back there unchanged is a loop.
     *
     * @param recipient after inbound rewriting
     */
    static RecipientAdmission decide(
            MailFlowPolicy policy, Client client, MailAddress recipient, RecipientLocation location) {
        Optional<String> loop = client.fromCloud()
                ? policy.hybrid().flatMap(hybrid -> hybrid.loop(policy, client.sender(), recipient, location))
                : Optional.empty();
        if (loop.isPresent()) {
            return new Reject(SmtpReply.routingLoop(), loop.get());
        }
        boolean ours = policy.acceptedDomains().contains(recipient.getDomain());
        if (location instanceof RecipientLocation.Local) {
            return new DeliverLocal(location.reason());
        }
        if (ours && !(location instanceof RecipientLocation.Unknown)) {
            return new Relay(location.reason());
        }
        return decide(policy.acceptedDomains(), client.mayRelay(), recipient.getDomain(), Mailbox.UNKNOWN);
    }

    /** @param mayRelay see {@link dev.mailflow.policy.connector.InboundAttribution#mayRelay()} */
    static RecipientAdmission decide(AcceptedDomains domains, boolean mayRelay, Domain recipient, Mailbox mailbox) {
        Optional<AcceptedDomain> accepted = domains.find(recipient);
        if (accepted.isEmpty()) {
            return mayRelay
                    ? new Relay(recipient.asString() + " is not an accepted domain; the client may relay")
                    : new Reject(
                            SmtpReply.relayAccessDenied(),
                            recipient.asString() + " is not an accepted domain and the client may not relay");
        }
        String domain = accepted.get().type() + " domain " + accepted.get().pattern();
        return switch (accepted.get().type()) {
            case EXTERNAL_RELAY -> new Relay(domain);
            case INTERNAL_RELAY -> mailbox == Mailbox.UNKNOWN
                    ? new Relay(domain + ", no mailbox here")
                    : new DeliverLocal(domain);
            case AUTHORITATIVE -> mailbox == Mailbox.UNKNOWN
                    ? new Reject(SmtpReply.recipientNotFound(), domain + ", no such recipient")
                    : new DeliverLocal(domain);
        };
    }
}
