/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

import java.util.List;
import java.util.Optional;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.envelope.RequestedTls;

/**
 * A message and its envelope.
 *
 * @param id for people and logs
 * @param sender envelope sender; empty: the null sender
 * @param recipients never empty
 * @param envelopeId ENVID of RFC 3461, as received (xtext)
 * @param ret RET of RFC 3461
 * @param requestedTls what the message itself says of TLS
 * @param organization a domain: whose mail it is, said with XOORG inside TLS to a next hop that offers it
 */
public record OutboundMessage(
        String id,
        Optional<MailAddress> sender,
        List<OutboundRecipient> recipients,
        MessageContent content,
        Optional<String> envelopeId,
        Optional<DsnReturn> ret,
        RequestedTls requestedTls,
        Optional<String> organization) {

    public OutboundMessage {
        recipients = List.copyOf(recipients);
        if (recipients.isEmpty()) {
            throw new IllegalArgumentException("message " + id + " has no recipient");
        }
    }

    /** Whether it must not be handed to a next hop that does not promise the same (RFC 8689). */
    public boolean requiresTlsOfNextHop() {
        // a report that nobody takes would be lost: for a null sender the option is passed on, not insisted on
        return requestedTls == RequestedTls.REQUIRED && sender.isPresent();
    }

    /** A message that names no organization. */
    public OutboundMessage(
            String id,
            Optional<MailAddress> sender,
            List<OutboundRecipient> recipients,
            MessageContent content,
            Optional<String> envelopeId,
            Optional<DsnReturn> ret,
            RequestedTls requestedTls) {
        this(id, sender, recipients, content, envelopeId, ret, requestedTls, Optional.empty());
    }

    /** A message that asks for nothing in particular. */
    public static OutboundMessage of(
            String id, Optional<MailAddress> sender, List<MailAddress> recipients, MessageContent content) {
        return new OutboundMessage(
                id,
                sender,
                recipients.stream().map(OutboundRecipient::of).toList(),
                content,
                Optional.empty(),
                Optional.empty(),
                RequestedTls.UNSPECIFIED);
    }
}
