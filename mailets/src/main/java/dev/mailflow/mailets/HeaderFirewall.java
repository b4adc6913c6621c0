/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

import javax.mail.MessagingException;
import javax.mail.internet.MimeMessage;

import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;
import org.apache.mailet.base.GenericMailet;

import com.google.inject.Inject;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.connector.ConnectorType;
import dev.mailflow.policy.connector.InternalHeaders;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.Route;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.header.InternalHeaderScreen;
import dev.mailflow.policy.inbound.InboundFacts;

/**
 * Keeps strangers from writing headers that speak for the inside: {@code X-MS-Exchange-Organization-*},
 * {@code -CrossPremises-*}, {@code -Forest-*} and {@code X-Mailflow-*} (mail-flow behaviour, section 3). First in the
 * {@code root} processor. Mail of an organization connector that preserves internal headers keeps them, and its
 * cross-premises headers become organization headers. All other bytes of the message stay what they are.
 *
 * <pre>{@code
 * <mailet match="All" class="dev.mailflow.mailets.HeaderFirewall">
 *   <direction>inbound</direction>       <!-- the default -->
 * </mailet>
 * <mailet match="All" class="dev.mailflow.mailets.HeaderFirewall">
 *   <direction>outbound</direction>
 *   <connector>cloud-out</connector>     <!-- optional: the outbound connector the mail leaves by -->
 * </mailet>
 * }</pre>
 *
 * <p>{@code outbound} is for mail that James's own RemoteDelivery sends: it demotes for a named connector that preserves
 * internal headers and strips otherwise. {@link RouteToConnector} does the same by itself, for each copy by its connector.
 */
public final class HeaderFirewall extends GenericMailet {
    private static final String PARAMETER = "parameter <%s> of mailet " + HeaderFirewall.class.getName();

    /** The journal marks of mail that one of our own organization's servers handed in, a collection of strings. */
    static final AttributeName JOURNAL_MARKS = AttributeName.of("mailflow.journalMarks");

    private final PolicyRepository policies;
    private final MailFlowEvents events;
    private Direction direction = Direction.INBOUND;
    private Optional<String> connector = Optional.empty();

    private enum Direction {
        INBOUND("inbound"),
        OUTBOUND("outbound");

        private final String word;

        Direction(String word) {
            this.word = word;
        }
    }

    @Inject
    public HeaderFirewall(PolicyRepository policies, MailFlowEvents events) {
        this.policies = policies;
        this.events = events;
    }

    @Override
    public void init() throws MessagingException {
        String word = getInitParameter("direction", "inbound").trim();
        direction = switch (word) {
            case "inbound" -> Direction.INBOUND;
            case "outbound" -> Direction.OUTBOUND;
            default -> throw new MessagingException(
                    PARAMETER.formatted("direction") + ": found '" + word + "', expected inbound or outbound");
        };
        connector = Optional.ofNullable(getInitParameter("connector")).map(String::trim);
        if (connector.isPresent()) {
            if (direction == Direction.INBOUND) {
                throw new MessagingException(PARAMETER.formatted("connector")
                        + ": found '" + connector.get() + "' with direction inbound, expected it with outbound only:"
                        + " on arrival the connector is the one the mail came through");
            }
            Route route =
                    policies.current().outboundConnectors().named(connector.get(), PARAMETER.formatted("connector"));
            if (!(route instanceof Route.Via)) {
                throw new MessagingException(route.reason());
            }
        }
    }

    @Override
    public void service(Mail mail) throws MessagingException {
        if (direction == Direction.INBOUND && MailMarks.isCopyOfRules(mail)) {
            return;
        }
        MimeMessage message = mail.getMessage();
        HeaderSection headers = RawHeaders.of(message);
        if (direction == Direction.INBOUND) {
            noteJournalMarks(mail, headers);
        }
        InternalHeaderScreen.Screened screened =
                switch (direction) {
                    case INBOUND -> InternalHeaderScreen.onArrival(headers, isTrusted(mail));
                    case OUTBOUND -> InternalHeaderScreen.onDeparture(headers, treatment(policies.current()));
                };
        if (screened.isChanged()) {
            RawHeaders.put(mail, screened.section(), message);
            events.publish(event(mail, direction.word, screened));
        }
    }

    private static void noteJournalMarks(Mail mail, HeaderSection headers) {
        boolean ofOurs = facts(mail)
                .flatMap(InboundFacts::connector)
                .filter(connector -> connector.type() == ConnectorType.ORGANIZATION)
                .isPresent();
        List<AttributeValue<?>> marks = new ArrayList<>();
        if (ofOurs) {
            headers.fields().stream()
                    .filter(field -> field.name().equalsIgnoreCase(JournalMarks.HEADER))
                    .map(field ->
                            field.raw().substring(field.raw().indexOf(':') + 1).strip())
                    .forEach(value -> marks.add(AttributeValue.of(value)));
        }
        if (marks.isEmpty()) {
            mail.removeAttribute(JOURNAL_MARKS);
        } else {
            mail.setAttribute(new Attribute(JOURNAL_MARKS, AttributeValue.of(marks)));
        }
    }

    private static Optional<InboundFacts> facts(Mail mail) {
        return InboundFacts.stampedOn(
                AttributeUtils.getValueAndCastFromMail(mail, AttributeName.of(InboundFacts.ATTRIBUTE), String.class));
    }

    /** Only facts that the SMTP hooks stamped can say so: without them nobody is trusted. */
    private static boolean isTrusted(Mail mail) {
        return facts(mail).filter(InboundFacts::internalHeadersPreserved).isPresent();
    }

    private InternalHeaders treatment(MailFlowPolicy policy) {
        return connector
                .map(name -> policy.outboundConnectors().named(name, PARAMETER.formatted("connector")))
                .filter(Route.Via.class::isInstance)
                .map(route -> ((Route.Via) route).connector())
                .map(OutboundConnector::internalHeaders)
                .orElse(InternalHeaders.STRIP);
    }

    static MailFlowEvent.HeadersScreened event(Mail mail, String direction, InternalHeaderScreen.Screened screened)
            throws MessagingException {
        return new MailFlowEvent.HeadersScreened(
                new MailFlowEvent.MessageRef(
                        mail.getName(), Optional.ofNullable(mail.getMessage().getMessageID())),
                direction,
                screened.removed(),
                screened.renamed());
    }

    @Override
    public String getMailetInfo() {
        return "HeaderFirewall: " + direction.word;
    }
}
