/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.util.Optional;

import org.apache.james.core.MaybeSender;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.hook.HookResult;
import org.apache.james.protocols.smtp.hook.MailHook;

import com.google.inject.Inject;

import dev.mailflow.policy.connector.InboundAttribution;
import dev.mailflow.policy.event.MailFlowEvents;

/**
 * Attributes each transaction to the inbound connectors of the policy at MAIL: refuses mail of a partner's domain that
 * does not meet the partner's restrictions, and lets a session relay that proves to be an organization connector's peer.
 * The right lasts for that one transaction and is never more than the connector's {@code <relay>} says.
 *
 * <p>The client sees the replies of the table in section 3 of the mail-flow behaviour; the event tells the reason.
 */
public final class InboundConnectorHook extends DoorHandler implements MailHook {

    @Inject
    public InboundConnectorHook(Transactions transactions, MailFlowEvents events) {
        super(transactions, events);
    }

    @Override
    public HookResult doMail(SMTPSession session, MaybeSender sender) {
        transactions().forgetRecipients(session);
        InboundAttribution attribution = transactions().current(session).attribution();
        if (attribution.refusal().isPresent()) {
            InboundAttribution.Refusal refusal = attribution.refusal().get();
            return refuse(session, "inboundConnector", refusal.reply(), refusal.reason(), Optional.empty());
        }
        if (attribution.mayRelay()) {
            transactions().grantRelay(session);
        }
        return HookResult.DECLINED;
    }
}
