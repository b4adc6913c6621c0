/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.explain;

import java.util.List;
import java.util.Optional;
import java.util.Set;

import org.apache.james.core.MailAddress;

import com.google.common.io.ByteSource;

import dev.mailflow.policy.inbound.ClientSession;

/**
 * A message that nobody sent, for {@link Explainer} to judge.
 *
 * @param sender envelope sender; empty: the null sender
 * @param recipients never empty
 * @param session empty: the message comes from an authenticated user of ours, not from a client at the SMTP door
 * @param header what is known of the message's header, in order
 * @param body what follows the header
 * @param unknown recipients that have no mailbox here; all others of accepted domains count as having one
 * @param traceRules whether to tell each test of the transport rules
 */
public record HypotheticalMessage(
        Optional<MailAddress> sender,
        List<MailAddress> recipients,
        Optional<ClientSession> session,
        List<HeaderField> header,
        ByteSource body,
        Set<MailAddress> unknown,
        boolean traceRules) {

    /** A header field, unfolded. */
    public record HeaderField(String name, String value) {}

    public HypotheticalMessage {
        header = List.copyOf(header);
        recipients = List.copyOf(recipients);
        unknown = Set.copyOf(unknown);
    }

    /** A message of which only the header is known. */
    public HypotheticalMessage(
            Optional<MailAddress> sender,
            List<MailAddress> recipients,
            Optional<ClientSession> session,
            List<HeaderField> header,
            Set<MailAddress> unknown) {
        this(sender, recipients, session, header, ByteSource.empty(), unknown, false);
    }
}
