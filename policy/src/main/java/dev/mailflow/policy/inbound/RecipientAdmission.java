/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.inbound;

import java.util.Optional;

import org.apache.james.core.Domain;

import dev.mailflow.policy.domain.AcceptedDomain;
import dev.mailflow.policy.domain.AcceptedDomains;

/**
 * Whether a recipient is taken at RCPT TO, and what becomes of it. When it says no, the client sees
 * {@code 550 5.7.64 Relay access denied} (not our domain, and no right to relay) or {@code 550 5.1.10 Recipient not
 * found} (our domain, where everybody is known).
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
