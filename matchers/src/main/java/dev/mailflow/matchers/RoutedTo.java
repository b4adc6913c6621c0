/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.matchers;

import java.util.Collection;
import java.util.List;
import java.util.Optional;

import javax.mail.MessagingException;

import org.apache.james.core.MailAddress;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.Mail;
import org.apache.mailet.base.GenericMatcher;

import com.google.inject.Inject;

import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.connector.OutboundConnectors;
import dev.mailflow.policy.connector.Route;
import dev.mailflow.policy.rule.RuleMarks;

/**
 * Matches the recipients for whom a transport rule or else the policy chooses the named outbound connector:
 * {@code match="dev.mailflow.matchers.RoutedTo=scrubber"}. The decision is the one that {@code RouteToConnector} makes.
 */
public final class RoutedTo extends GenericMatcher {
    private final PolicyRepository policies;
    private String connector = "";

    @Inject
    public RoutedTo(PolicyRepository policies) {
        this.policies = policies;
    }

    @Override
    public void init() throws MessagingException {
        connector = Optional.ofNullable(getCondition()).orElse("").trim();
        Route route = policies.current()
                .outboundConnectors()
                .named(connector, "condition of matcher " + getClass().getName());
        if (route instanceof Route.NoSuchConnector) {
            throw new MessagingException(route.reason());
        }
    }

    @Override
    public Collection<MailAddress> match(Mail mail) {
        Optional<String> ruled =
                AttributeUtils.getValueAndCastFromMail(mail, AttributeName.of(RuleMarks.ROUTE), String.class);
        if (ruled.isPresent()) {
            return ruled.get().equals(connector) ? mail.getRecipients() : List.of();
        }
        Optional<MailAddress> sender = mail.getMaybeSender().asOptional();
        OutboundConnectors connectors = policies.current().outboundConnectors();
        return mail.getRecipients().stream()
                .filter(recipient -> connectors.choose(sender, recipient.getDomain()) instanceof Route.Via via
                        && via.connector().name().equals(connector))
                .toList();
    }
}
