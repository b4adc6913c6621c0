/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.util.Optional;

import javax.mail.MessagingException;

import org.apache.james.core.MailAddress;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;

import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.rule.RuleMarks;

/** What the mailets of this package write on a mail for each other, as strings that every James queue keeps. */
final class MailMarks {
    private MailMarks() {}

    static Optional<String> get(Mail mail, String name) {
        return AttributeUtils.getValueAndCastFromMail(mail, AttributeName.of(name), String.class);
    }

    static void put(Mail mail, String name, String value) {
        mail.setAttribute(new Attribute(AttributeName.of(name), AttributeValue.of(value)));
    }

    /** Whether transport rules have judged the mail. */
    static boolean isJudged(Mail mail) {
        return get(mail, RuleMarks.APPLIED).isPresent();
    }

    /**
     * Whether the mail is a copy on its way back to {@link ApplyTransportRules}, which made it. What comes before that was
     * done to the mail it was made of: doing it again would undo what the rules did.
     */
    static boolean isCopyOfRules(Mail mail) {
        return get(mail, RuleMarks.COPY).isPresent();
    }

    static MailFlowEvent.MessageRef reference(Mail mail) {
        try {
            return new MailFlowEvent.MessageRef(
                    mail.getName(), Optional.ofNullable(mail.getMessage().getMessageID()));
        } catch (MessagingException e) {
            return new MailFlowEvent.MessageRef(mail.getName(), Optional.empty());
        }
    }

    /** The envelope sender; empty: the null sender. */
    static Optional<MailAddress> sender(Mail mail) {
        return mail.getMaybeSender().asOptional();
    }
}
