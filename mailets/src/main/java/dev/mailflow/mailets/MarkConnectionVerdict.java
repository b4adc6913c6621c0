/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

import javax.mail.MessagingException;
import javax.mail.internet.MimeMessage;

import org.apache.james.core.MailAddress;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;
import org.apache.mailet.base.GenericMailet;

import com.google.inject.Inject;

import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.connection.ConnectionVerdict;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.header.InternalStatus;
import dev.mailflow.policy.inbound.InboundFacts;

/**
 * Writes the connection filter's verdict on the mail: header {@code X-Mailflow-Connection-Filter: CIP=…; IPV=…} in the
 * place of any that came with it, and, for allowed clients, attribute {@code mailflow.scl} = -1, so that the spam
 * processor can be skipped (mail-flow behaviour, section 2). What an internal peer said of the mail in
 * {@code X-MS-Exchange-Organization-SCL} counts where the filter does not say otherwise.
 *
 * <pre>{@code
 * <mailet match="All" class="dev.mailflow.mailets.MarkConnectionVerdict">
 *   <forefrontHeader>true</forefrontHeader>   <!-- also X-Forefront-Antispam-Report, as Exchange writes it; default false -->
 * </mailet>
 * }</pre>
 */
public final class MarkConnectionVerdict extends GenericMailet {
    /** Spam confidence level of the mail, an integer; -1: never treat as spam. */
    public static final AttributeName SCL = AttributeName.of("mailflow.scl");

    static final String FOREFRONT_HEADER = "X-Forefront-Antispam-Report";
    private static final int NEVER_SPAM = -1;

    private final PolicyRepository policies;
    private final MailFlowEvents events;
    private final Clock clock;
    private boolean forefront;

    @Inject
    public MarkConnectionVerdict(PolicyRepository policies, MailFlowEvents events) {
        this(policies, events, Clock.systemUTC());
    }

    MarkConnectionVerdict(PolicyRepository policies, MailFlowEvents events, Clock clock) {
        this.policies = policies;
        this.events = events;
        this.clock = clock;
    }

    @Override
    public void init() throws MessagingException {
        String value = getInitParameter("forefrontHeader", "false").trim();
        if (!value.equals("true") && !value.equals("false")) {
            throw new MessagingException("parameter <forefrontHeader> of mailet "
                    + getClass().getName() + ": found '" + value + "', expected true or false");
        }
        forefront = value.equals("true");
    }

    @Override
    public void service(Mail mail) throws MessagingException {
        if (MailMarks.isCopyOfRules(mail)) {
            return;
        }
        InboundFacts facts = InboundFacts.onMail(
                AttributeUtils.getValueAndCastFromMail(mail, AttributeName.of(InboundFacts.ATTRIBUTE), String.class),
                mail.getRemoteAddr(),
                mail.getMaybeSender().asOptional().map(MailAddress::getDomain),
                policies.current().connectionFilter(),
                clock.instant());
        ConnectionVerdict.Kind verdict = facts.verdict();
        String ipv = verdict.ipv();
        List<HeaderField> marks = new ArrayList<>();
        marks.add(HeaderField.of(InboundFacts.VERDICT_HEADER, InboundFacts.verdictHeader(facts.clientIp(), verdict)));
        if (forefront) {
            String scl = verdict == ConnectionVerdict.Kind.ALLOW ? "SCL:" + NEVER_SPAM + ";" : "";
            marks.add(HeaderField.of(FOREFRONT_HEADER, "CIP:" + facts.clientIp() + ";IPV:" + ipv + ";" + scl));
        }
        OptionalInt stated = facts.internalHeadersPreserved()
                ? InternalStatus.scl(RawHeaders.of(mail.getMessage()))
                : OptionalInt.empty();
        mark(mail, marks);
        if (verdict == ConnectionVerdict.Kind.ALLOW) {
            mail.setAttribute(new Attribute(SCL, AttributeValue.of(NEVER_SPAM)));
        } else if (stated.isPresent()) {
            mail.setAttribute(new Attribute(SCL, AttributeValue.of(stated.getAsInt())));
        } else {
            mail.removeAttribute(SCL);
        }
        events.publish(new MailFlowEvent.Filtered(
                new MailFlowEvent.MessageRef(
                        mail.getName(), Optional.ofNullable(mail.getMessage().getMessageID())),
                facts.clientIp().toString(),
                verdict.toString(),
                facts.verdictReason()));
    }

    /** Puts the marks on top, in the place of any that bear their names. */
    private static void mark(Mail mail, List<HeaderField> marks) throws MessagingException {
        MimeMessage message = mail.getMessage();
        HeaderSection headers = RawHeaders.of(message);
        List<HeaderField> fields = new ArrayList<>(marks);
        headers.fields().stream()
                .filter(field -> marks.stream().noneMatch(mark -> mark.name().equalsIgnoreCase(field.name())))
                .forEach(fields::add);
        RawHeaders.put(mail, headers.with(fields), message);
    }

    @Override
    public String getMailetInfo() {
        return "MarkConnectionVerdict";
    }
}
