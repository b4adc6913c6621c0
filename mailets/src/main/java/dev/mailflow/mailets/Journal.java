/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.io.IOException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

import javax.mail.MessagingException;
import javax.mail.internet.AddressException;
import javax.mail.internet.MimeMessage;

import org.apache.james.core.MailAddress;
import org.apache.james.core.MaybeSender;
import org.apache.james.lifecycle.api.LifecycleUtil;
import org.apache.james.server.core.MailImpl;
import org.apache.james.server.core.MimeMessageInputStreamSource;
import org.apache.james.server.core.MimeMessageWrapper;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;
import org.apache.mailet.base.GenericMailet;

import com.google.inject.Inject;

import dev.mailflow.delivery.queue.DeliveryService;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.domain.AcceptedDomain;
import dev.mailflow.policy.domain.SenderPattern;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.header.InternalStatus;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.rule.TransportRules;

/**
 * Sends a journal report on each message to a journal mailbox: exactly one, however often the message is split, and also
 * when it comes in again from a scrubber or from the cloud (mail-flow behaviour, section 7).
 *
 * <pre>{@code
 * <mailet match="All" class="dev.mailflow.mailets.Journal">
 *   <journalMailbox>journal@contoso.com</journalMailbox>
 *   <scope>global</scope>                       <!-- global (default), internal or external -->
 *   <recipient>legal@contoso.com</recipient>    <!-- optional: only messages to or from these; also domains and *.domains -->
 *   <processor>transport</processor>            <!-- where reports begin; default transport, past the rules of root -->
 * </mailet>
 * }</pre>
 *
 * <p>The report joins the processing of the message: with a queue that can do so, both are committed at once, and a crash
 * neither loses nor doubles it. It names the recipients of the envelope and those that the transport rules are going to add.
 *
 * <p>{@code internal}: sent by somebody inside, to anybody inside. {@code external}: from outside or to anybody outside.
 * Belongs in {@code root}, after {@link HeaderFirewall} and before whatever splits, discards or sends. The report is queued
 * before the message goes on; when it cannot be, the message waits. Reports are from the null sender, and never journaled.
 */
public final class Journal extends GenericMailet {
    private static final String PARAMETER = "parameter <%s> of mailet " + Journal.class.getName() + ": ";
    private static final AttributeName DONE = AttributeName.of("mailflow.journaled");

    private final PolicyRepository policies;
    private final JournalMarks marks;
    private final MailFlowEvents events;
    private final Clock clock;
    private final TryAgainLater later;
    private MailAddress journal;
    private Scope scope = Scope.GLOBAL;
    private List<SenderPattern> only = List.of();
    private String processor = "transport";

    private enum Scope {
        GLOBAL,
        INTERNAL,
        EXTERNAL
    }

    @Inject
    public Journal(PolicyRepository policies, JournalMarks marks, MailFlowEvents events) {
        this(policies, marks, events, Clock.systemUTC());
    }

    Journal(PolicyRepository policies, JournalMarks marks, MailFlowEvents events, Clock clock) {
        this.policies = policies;
        this.marks = marks;
        this.events = events;
        this.clock = clock;
        this.later = new TryAgainLater(clock);
    }

    @Override
    public void init() throws MessagingException {
        String mailbox = getInitParameter("journalMailbox", "").trim();
        try {
            journal = new MailAddress(mailbox);
        } catch (AddressException e) {
            throw new MessagingException(
                    PARAMETER.formatted("journalMailbox") + "found '" + mailbox
                            + "', expected a mailbox ('journal@contoso.com')",
                    e);
        }
        String word = getInitParameter("scope", "global").trim();
        scope = switch (word) {
            case "global" -> Scope.GLOBAL;
            case "internal" -> Scope.INTERNAL;
            case "external" -> Scope.EXTERNAL;
            default -> throw new MessagingException(
                    PARAMETER.formatted("scope") + "found '" + word + "', expected global, internal or external");
        };
        List<SenderPattern> patterns = new ArrayList<>();
        for (String text : getInitParameter("recipient", "").split(",")) {
            if (!text.isBlank()) {
                try {
                    patterns.add(SenderPattern.parse(text.trim()));
                } catch (IllegalArgumentException e) {
                    throw new MessagingException(PARAMETER.formatted("recipient") + e.getMessage(), e);
                }
            }
        }
        only = List.copyOf(patterns);
        processor = getInitParameter("processor", "transport").trim();
    }

    @Override
    public void service(Mail mail) throws MessagingException {
        try {
            journal(mail);
        } catch (MessagingException | IOException e) {
            later.put(getMailetContext(), mail, "the journal report for " + journal + " cannot be made: " + e);
        }
    }

    private void journal(Mail mail) throws MessagingException, IOException {
        Set<String> done = journaled(mail, DONE);
        if (done.contains(journal.asString()) || isReport(mail)) {
            return;
        }
        HeaderSection headers = RawHeaders.of(mail.getMessage());
        JournalMarks.Message identity = identity(mail.getMessage());
        boolean before = cameBack(mail, identity);
        if (!before && !isWanted(mail, headers)) {
            return;
        }
        // first the mark: when the report is queued, nothing may fail any more
        List<HeaderField> fields = new ArrayList<>();
        fields.add(HeaderField.of(JournalMarks.HEADER, marks.mark(identity, clock.instant())));
        fields.addAll(headers.fields());
        if (!before) {
            send(mail, added(mail));
        }
        done.add(journal.asString());
        mail.setAttribute(new Attribute(
                DONE,
                AttributeValue.of(
                        done.stream().<AttributeValue<?>>map(AttributeValue::of).toList())));
        RawHeaders.put(mail, headers.with(fields), mail.getMessage());
    }

    private static Set<String> journaled(Mail mail, AttributeName name) {
        Set<String> values = new LinkedHashSet<>();
        AttributeUtils.getAttributeValueFromMail(mail, name)
                .filter(Collection.class::isInstance)
                .map(stored -> (Collection<?>) stored)
                .ifPresent(stored ->
                        stored.forEach(value -> values.add(String.valueOf(((AttributeValue<?>) value).value()))));
        return values;
    }

    private boolean isReport(Mail mail) throws MessagingException {
        return mail.getMaybeSender().isNullSender()
                && (AttributeUtils.getValueAndCastFromMail(mail, DeliveryService.JOURNAL_REPORT, Boolean.class)
                                .orElse(false)
                        || (mail.getRecipients().stream().allMatch(journal::equals)
                                && mail.getMessage().getHeader(JournalReport.HEADER) != null));
    }

    private JournalMarks.Message identity(MimeMessage message) throws MessagingException {
        return new JournalMarks.Message(
                journal.asString(),
                String.valueOf(message.getMessageID()),
                String.valueOf(message.getHeader("Date", null)));
    }

    /** {@link HeaderFirewall} keeps the marks of mail from our own organization's servers, and of nobody else's. */
    private boolean cameBack(Mail mail, JournalMarks.Message identity) throws IOException {
        for (String mark : journaled(mail, HeaderFirewall.JOURNAL_MARKS)) {
            if (marks.isOf(identity, mark, clock.instant())) {
                return true;
            }
        }
        return false;
    }

    private boolean isWanted(Mail mail, HeaderSection headers) {
        MailFlowPolicy policy = policies.current();
        Optional<MailAddress> sender = mail.getMaybeSender().asOptional();
        boolean namesOne = only.isEmpty()
                || Stream.concat(mail.getRecipients().stream(), sender.stream())
                        .anyMatch(address -> only.stream().anyMatch(pattern -> pattern.matches(Optional.of(address))));
        boolean fromInside = InternalStatus.isInternal(facts(mail), headers);
        return namesOne
                && switch (scope) {
                    case GLOBAL -> true;
                    case INTERNAL -> fromInside
                            && mail.getRecipients().stream().anyMatch(recipient -> isInside(policy, recipient));
                    case EXTERNAL -> !fromInside
                            || mail.getRecipients().stream().anyMatch(recipient -> !isInside(policy, recipient));
                };
    }

    private static Optional<InboundFacts> facts(Mail mail) {
        return InboundFacts.stampedOn(
                AttributeUtils.getValueAndCastFromMail(mail, AttributeName.of(InboundFacts.ATTRIBUTE), String.class));
    }

    private static boolean isInside(MailFlowPolicy policy, MailAddress recipient) {
        return policy.hybrid()
                        .filter(hybrid -> hybrid.remoteRoutingDomain().equals(recipient.getDomain()))
                        .isPresent()
                || policy.acceptedDomains()
                        .find(recipient.getDomain())
                        .filter(domain -> domain.type() != AcceptedDomain.Type.EXTERNAL_RELAY)
                        .isPresent();
    }

    /**
     * Whom the transport rules are going to add, for copies that they make come by no journal. Rules that fail now are tried
     * later, and the report does not wait for them.
     */
    private Set<MailAddress> added(Mail mail) throws MessagingException, IOException {
        MailFlowPolicy policy = policies.current();
        Set<MailAddress> added = new LinkedHashSet<>();
        if (!policy.transportRules().isEmpty() && !MailMarks.isJudged(mail)) {
            policy.transportRules()
                    .apply(ApplyTransportRules.message(mail, policy), TransportRules.Stage.PROCESSING, clock.instant())
                    .shares()
                    .forEach(share -> added.addAll(share.recipients()));
            added.removeAll(mail.getRecipients());
        }
        return added;
    }

    private void send(Mail mail, Set<MailAddress> added) throws MessagingException {
        MimeMessageInputStreamSource source =
                JournalReport.on(mail, added, getMailetContext().getPostmaster(), journal, clock.instant());
        MailImpl report = MailImpl.builder()
                .name(MailImpl.getId())
                .sender(MaybeSender.nullSender())
                .addRecipient(journal)
                .mimeMessage(new MimeMessageWrapper(source))
                .addAttribute(new Attribute(DeliveryService.JOURNAL_REPORT, AttributeValue.of(true)))
                .build();
        mail.getAttribute(DeliveryService.PROCESSING).ifPresent(report::setAttribute);
        try {
            getMailetContext().sendMail(report, processor);
        } finally {
            LifecycleUtil.dispose(report);
        }
        events.publish(new MailFlowEvent.Journaled(
                new MailFlowEvent.MessageRef(
                        mail.getName(), Optional.ofNullable(mail.getMessage().getMessageID())),
                journal.asString(),
                report.getName()));
    }

    @Override
    public String getMailetInfo() {
        return "Journal: " + Arrays.asList(scope, journal, only);
    }
}
