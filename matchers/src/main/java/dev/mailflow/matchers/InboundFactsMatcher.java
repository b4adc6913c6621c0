/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.matchers;

import java.time.Clock;
import java.util.Collection;
import java.util.List;

import org.apache.james.core.MailAddress;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.Mail;
import org.apache.mailet.base.GenericMatcher;

import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.inbound.InboundFacts;

/**
 * A matcher that answers from what is known of the session a mail came by: all recipients or none. Facts that the SMTP
 * hooks stamped on the mail come first; without hooks, the client address that James noted and the policy's connection
 * filter speak.
 */
abstract class InboundFactsMatcher extends GenericMatcher {
    private final PolicyRepository policies;
    private final Clock clock;

    InboundFactsMatcher(PolicyRepository policies, Clock clock) {
        this.policies = policies;
        this.clock = clock;
    }

    /** The question, asked once per mail. */
    abstract boolean matches(InboundFacts facts);

    @Override
    public final Collection<MailAddress> match(Mail mail) {
        InboundFacts facts = InboundFacts.onMail(
                AttributeUtils.getValueAndCastFromMail(mail, AttributeName.of(InboundFacts.ATTRIBUTE), String.class),
                mail.getRemoteAddr(),
                mail.getMaybeSender().asOptional().map(MailAddress::getDomain),
                policies.current().connectionFilter(),
                clock.instant());
        return matches(facts) ? mail.getRecipients() : List.of();
    }
}
