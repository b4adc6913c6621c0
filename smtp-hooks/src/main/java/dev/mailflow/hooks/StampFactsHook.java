/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.util.Locale;
import java.util.Optional;

import javax.mail.MessagingException;

import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.hook.HookResult;
import org.apache.james.smtpserver.JamesMessageHook;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;

import com.google.inject.Inject;

import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.inbound.InboundFacts;

/**
 * Writes what the session knew on the mail, as attribute {@value InboundFacts#ATTRIBUTE}, for matchers and mailets. Mail
 * that arrives without it counts as from the Internet.
 */
public final class StampFactsHook extends DoorHandler implements JamesMessageHook {

    @Inject
    public StampFactsHook(Transactions transactions, MailFlowEvents events) {
        super(transactions, events);
    }

    @Override
    public HookResult onMessage(SMTPSession session, Mail mail) {
        Transaction transaction = transactions().current(session);
        InboundFacts facts = transactions().facts(session);
        mail.setAttribute(new Attribute(AttributeName.of(InboundFacts.ATTRIBUTE), AttributeValue.of(facts.toJson())));
        events().publish(new MailFlowEvent.Attributed(
                messageRef(mail),
                facts.clientIp().toString(),
                facts.connector().map(InboundFacts.Connector::name),
                facts.origin().name().toLowerCase(Locale.ROOT),
                transaction.attribution().reason(),
                transaction.policy().version()));
        return HookResult.DECLINED;
    }

    static MailFlowEvent.MessageRef messageRef(Mail mail) {
        try {
            return new MailFlowEvent.MessageRef(
                    mail.getName(), Optional.ofNullable(mail.getMessage().getMessageID()));
        } catch (MessagingException e) {
            return new MailFlowEvent.MessageRef(mail.getName(), Optional.empty());
        }
    }
}
