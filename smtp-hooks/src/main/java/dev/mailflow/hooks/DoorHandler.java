/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.util.Collection;
import java.util.List;
import java.util.Optional;

import org.apache.james.core.MailAddress;
import org.apache.james.protocols.api.Request;
import org.apache.james.protocols.api.Response;
import org.apache.james.protocols.api.handler.CommandHandler;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.hook.HookResult;
import org.apache.james.protocols.smtp.hook.HookReturnCode;

import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.inbound.SmtpReply;

/**
 * What the hooks of this package have in common: they see the commands that begin a transaction before James does, so
 * that nothing of an earlier transaction is believed in the next, and they refuse with a reply and one event.
 */
abstract class DoorHandler implements CommandHandler<SMTPSession> {
    private static final List<String> TRANSACTION_BOUNDARIES = List.of("MAIL", "RSET", "EHLO", "HELO");

    private final Transactions transactions;
    private final MailFlowEvents events;

    DoorHandler(Transactions transactions, MailFlowEvents events) {
        this.transactions = transactions;
        this.events = events;
    }

    @Override
    public final Collection<String> getImplCommands() {
        return TRANSACTION_BOUNDARIES;
    }

    /** Says nothing, which leaves the command to James. */
    @Override
    public final Response onCommand(SMTPSession session, Request request) {
        transactions.end(session);
        return null;
    }

    final Transactions transactions() {
        return transactions;
    }

    final MailFlowEvents events() {
        return events;
    }

    /** Refuses before there is a mail. */
    final HookResult refuse(
            SMTPSession session, String stage, SmtpReply reply, String reason, Optional<MailAddress> recipient) {
        return refuse(
                new MailFlowEvent.MessageRef("session " + session.getSessionID(), Optional.empty()),
                session,
                stage,
                reply,
                reason,
                recipient);
    }

    final HookResult refuse(
            MailFlowEvent.MessageRef message,
            SMTPSession session,
            String stage,
            SmtpReply reply,
            String reason,
            Optional<MailAddress> recipient) {
        events.publish(new MailFlowEvent.Refused(
                message,
                stage,
                Transactions.address(session).toString(),
                Optional.of(transactions.current(session).senderText()),
                recipient.map(MailAddress::asString),
                reply.toString(),
                reason));
        Refusals.told(session, reply);
        return result(reply);
    }

    private static HookResult result(SmtpReply reply) {
        HookReturnCode.Action action =
                reply.isTransient() ? HookReturnCode.Action.DENYSOFT : HookReturnCode.Action.DENY;
        return HookResult.builder()
                .hookReturnCode(
                        reply.endsSession() ? HookReturnCode.disconnected(action) : HookReturnCode.connected(action))
                .smtpReturnCode(String.valueOf(reply.code()))
                .smtpDescription(reply.textWithStatus())
                .build();
    }
}
