/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

import javax.mail.MessagingException;
import javax.mail.internet.MimeMessage;

import org.apache.james.core.MailAddress;
import org.apache.james.lifecycle.api.LifecycleUtil;
import org.apache.james.mailrepository.api.MailRepositoryStore;
import org.apache.james.mailrepository.api.MailRepositoryUrl;
import org.apache.james.metrics.api.MetricFactory;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;
import org.apache.mailet.base.GenericMailet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.inject.Inject;

import dev.mailflow.delivery.queue.DeliveryService;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.connector.RetrySchedule;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.rule.RuleMarks;
import dev.mailflow.policy.rule.RuleMessage;
import dev.mailflow.policy.rule.RuleOutcome;
import dev.mailflow.policy.rule.RuleOutcome.Disposition;
import dev.mailflow.policy.rule.RuleOutcome.Share;
import dev.mailflow.policy.rule.TransportRule;
import dev.mailflow.policy.rule.TransportRules;

/**
 * Asks the transport rules of {@code mailflow.xml} once for each mail and does what they say (mail-flow behaviour,
 * section 6). Belongs in {@code root}, after {@link HeaderFirewall} and inbound {@link AddressRewrite}. Of the message only
 * header fields that rules edit change.
 *
 * <pre>{@code
 * <mailet match="All" class="dev.mailflow.mailets.ApplyTransportRules">
 *   <processor>filtering</processor>         <!-- optional: where mail goes on; default: after this mailet -->
 *   <quarantine>file://var/mail/</quarantine> <!-- optional: where repositories with a bare name are -->
 *   <heloName>mx.contoso.com</heloName>      <!-- optional: our name in delivery reports; default is RouteToConnector's -->
 * </mailet>
 * }</pre>
 *
 * <p>Recipients for whom the rules say different things get copies, made from this one mail; the mail itself goes on for the
 * first of them. Copies come by the spool, marked as judged. A mail on which a rule fails, or whose action cannot be done,
 * is put back into the spool with a delay: it waits there until it can be judged, and is returned to its sender after
 * two days. It is never let through.
 */
public final class ApplyTransportRules extends GenericMailet {
    private static final Logger LOGGER = LoggerFactory.getLogger(ApplyTransportRules.class);
    private static final RetrySchedule PATIENCE = RetrySchedule.DEFAULT;

    private final PolicyRepository policies;
    private final DeliveryService delivery;
    private final MailRepositoryStore repositories;
    private final MetricFactory metrics;
    private final MailFlowEvents events;
    private final Clock clock;
    private Optional<String> processor = Optional.empty();
    private String quarantine = "file://var/mail/";
    private Optional<String> heloName = Optional.empty();

    @Inject
    public ApplyTransportRules(
            PolicyRepository policies,
            DeliveryService delivery,
            MailRepositoryStore repositories,
            MetricFactory metrics,
            MailFlowEvents events) {
        this(policies, delivery, repositories, metrics, events, Clock.systemUTC());
    }

    ApplyTransportRules(
            PolicyRepository policies,
            DeliveryService delivery,
            MailRepositoryStore repositories,
            MetricFactory metrics,
            MailFlowEvents events,
            Clock clock) {
        this.policies = policies;
        this.delivery = delivery;
        this.repositories = repositories;
        this.metrics = metrics;
        this.events = events;
        this.clock = clock;
    }

    @Override
    public void init() throws MessagingException {
        processor = Optional.ofNullable(getInitParameter("processor"))
                .map(String::trim)
                .filter(name -> !name.isEmpty());
        heloName = Optional.ofNullable(getInitParameter("heloName"));
        quarantine = getInitParameter("quarantine", quarantine).trim();
        try {
            MailRepositoryUrl.from(repositoryUrl("quarantine"));
        } catch (IllegalArgumentException e) {
            throw new MessagingException(
                    "parameter <quarantine> of mailet " + getClass().getName() + ": found '" + quarantine
                            + "', expected the beginning of mail repository URLs, such as file://var/mail/",
                    e);
        }
    }

    @Override
    public void service(Mail mail) {
        MailFlowPolicy policy = policies.current();
        Instant now = clock.instant();
        Optional<RuleBacklog> backlog;
        try {
            backlog = RuleBacklog.on(mail);
        } catch (IllegalArgumentException e) {
            toError(mail, mail.getRecipients(), e);
            return;
        }
        Optional<Disposition> decided = backlog.flatMap(RuleBacklog::decided);
        if (decided.isPresent()) {
            endOrWait(mail, decided.get(), backlog.get());
            return;
        }
        if (policy.transportRules().isEmpty() || MailMarks.isJudged(mail)) {
            RuleBacklog.removeFrom(mail);
            mail.removeAttribute(AttributeName.of(RuleMarks.COPY));
            goOn(mail);
            return;
        }
        RuleBacklog waiting = backlog.orElseGet(() -> RuleBacklog.unjudged(now));
        RuleMessage message;
        try {
            message = message(mail, policy);
        } catch (IOException | MessagingException e) {
            LOGGER.error("Mail {} cannot be read by the transport rules", mail.getName(), e);
            defer(mail, waiting, "the message cannot be read: " + e);
            return;
        }
        RuleOutcome outcome = policy.transportRules().apply(message, TransportRules.Stage.PROCESSING, now);
        tell(mail, outcome);
        if (outcome.deferral().isPresent()) {
            RuleOutcome.Failure failure = outcome.deferral().get();
            defer(mail, waiting, "transport rule '" + failure.rule().name() + "' failed: " + failure.reason());
            return;
        }
        RuleBacklog.removeFrom(mail);
        MailMarks.put(mail, RuleMarks.APPLIED, policy.version());
        act(mail, message.header(), outcome);
    }

    /** The mail as rules see it. */
    static RuleMessage message(Mail mail, MailFlowPolicy policy) throws MessagingException, IOException {
        MimeMessage message = mail.getMessage();
        return RuleMessage.read(
                () -> {
                    try {
                        return RawHeaders.open(message);
                    } catch (MessagingException e) {
                        throw new IOException("the message cannot be read", e);
                    }
                },
                mail.getMessageSize(),
                MailMarks.sender(mail),
                List.copyOf(mail.getRecipients()),
                InboundFacts.stampedOn(MailMarks.get(mail, InboundFacts.ATTRIBUTE)),
                policy.acceptedDomains());
    }

    private void tell(Mail mail, RuleOutcome outcome) {
        MailFlowEvent.MessageRef reference = MailMarks.reference(mail);
        for (RuleOutcome.Failure failure : outcome.failures()) {
            boolean waits = outcome.deferral().filter(failure::equals).isPresent();
            events.publish(new MailFlowEvent.RuleFailed(
                    reference, failure.rule().name(), failure.reason(), waits ? "the mail waits" : "ignored"));
            count("failed", failure.rule());
        }
        if (outcome.deferral().isPresent()) {
            // nothing of what the other rules said is done yet
            return;
        }
        for (RuleOutcome.Hit hit : outcome.hits()) {
            events.publish(hit.event(reference));
            count(hit.rule().mode() == TransportRule.Mode.AUDIT ? "audited" : "hit", hit.rule());
        }
    }

    private void count(String what, TransportRule rule) {
        // a rule's name may hold anything, a metric's may not
        metrics.generate("mailflow.rules." + what + "." + rule.name().replaceAll("[^A-Za-z0-9_-]", "_"))
                .increment();
    }

    /** Ends what has ended, sends copies, and lets the mail itself be the first share that goes on. */
    @SuppressWarnings("ReferenceEquality") // shares may be equal and still be two
    private void act(Mail mail, HeaderSection original, RuleOutcome outcome) {
        List<Share> undone = new ArrayList<>(outcome.shares());
        Optional<Share> first =
                outcome.shares().stream().filter(Share::continues).findFirst();
        try {
            int copies = 0;
            for (Share share : outcome.shares()) {
                if (first.filter(own -> own == share).isPresent()) {
                    continue;
                }
                copies++;
                if (share.continues()) {
                    send(mail, original, share, copies);
                } else {
                    end(mail, original, share, copies);
                }
                undone.remove(share);
            }
            if (first.isPresent()) {
                become(mail, original, first.get());
                goOn(mail);
            } else {
                mail.setState(Mail.GHOST);
            }
        } catch (MessagingException | RuntimeException e) {
            // an exception that reached James would have it all done again, the copies that are sent too
            LinkedHashSet<MailAddress> left = new LinkedHashSet<>();
            undone.forEach(share -> left.addAll(share.recipients()));
            toError(mail, left, e);
        }
    }

    private void toError(Mail mail, Collection<MailAddress> recipients, Exception e) {
        LOGGER.error(
                "What the transport rules say of mail {} cannot be done for {}: to the error processor",
                mail.getName(),
                recipients,
                e);
        mail.setRecipients(List.copyOf(recipients));
        // whoever takes it from the error repository to root has it judged once more, not let through
        mail.removeAttribute(AttributeName.of(RuleMarks.APPLIED));
        mail.setErrorMessage("What the transport rules say cannot be done: " + e.getMessage());
        mail.setState(Mail.ERROR);
    }

    private void goOn(Mail mail) {
        processor.ifPresent(mail::setState);
    }

    /** A copy of the mail for a share. The name keeps it apart in repositories, whose keys are names. */
    private static Mail copy(Mail mail, HeaderSection original, Share share, int number) throws MessagingException {
        String name = mail.getName();
        Mail copy = mail.duplicate();
        try {
            copy.setName(name + "-rules" + number);
            become(copy, original, share);
            return copy;
        } catch (MessagingException | RuntimeException e) {
            LifecycleUtil.dispose(copy);
            throw e;
        }
    }

    private static void become(Mail mail, HeaderSection original, Share share) throws MessagingException {
        if (!share.header().equals(original)) {
            RawHeaders.put(mail, share.header(), mail.getMessage());
        }
        mail.setRecipients(share.recipients());
        share.route().ifPresent(route -> {
            MailMarks.put(mail, RuleMarks.ROUTE, route.connector());
            MailMarks.put(mail, RuleMarks.ROUTE_RULE, route.rule());
        });
        if (share.requireTls()) {
            mail.setAttribute(new Attribute(DeliveryService.REQUIRE_TLS, AttributeValue.of(true)));
        }
        share.scl()
                .ifPresent(
                        level -> mail.setAttribute(new Attribute(MarkConnectionVerdict.SCL, AttributeValue.of(level))));
    }

    private void send(Mail mail, HeaderSection original, Share share, int number) throws MessagingException {
        Mail copy = copy(mail, original, share, number);
        try {
            if (processor.isEmpty()) {
                MailMarks.put(copy, RuleMarks.COPY, "true");
            }
            getMailetContext().sendMail(copy, processor.orElse(mail.getState()));
        } finally {
            LifecycleUtil.dispose(copy);
        }
    }

    private void end(Mail mail, HeaderSection original, Share share, int number) throws MessagingException {
        if (share.disposition() instanceof Disposition.Discard) {
            return;
        }
        Mail copy = copy(mail, original, share, number);
        try {
            copy.setState(mail.getState());
            endOrWait(copy, share.disposition(), RuleBacklog.of(share.disposition(), clock.instant()));
            if (copy.getState().equals(Mail.ERROR)) {
                throw new MessagingException(copy.getErrorMessage());
            }
        } finally {
            LifecycleUtil.dispose(copy);
        }
    }

    /** Does what was decided for all recipients of the mail; what cannot be done now is tried again later. */
    private void endOrWait(Mail mail, Disposition disposition, RuleBacklog backlog) {
        try {
            if (disposition instanceof Disposition.Reject reject) {
                delivery.fail(
                        getMailetContext(),
                        heloName.orElseGet(delivery::ownName),
                        mail,
                        List.copyOf(mail.getRecipients()),
                        "5.7.1",
                        reject.reason().replaceAll("\\R", " "));
            } else if (disposition instanceof Disposition.Quarantine to) {
                store(mail, to);
            }
            mail.setState(Mail.GHOST);
        } catch (MessagingException | MailRepositoryStore.MailRepositoryStoreException | RuntimeException e) {
            LOGGER.error("Mail {}: {} is tried again", mail.getName(), disposition, e);
            defer(mail, backlog, disposition + " cannot be done now: " + e);
        }
    }

    private void store(Mail mail, Disposition.Quarantine quarantined)
            throws MessagingException, MailRepositoryStore.MailRepositoryStoreException {
        mail.setErrorMessage("Quarantined by transport rule '" + quarantined.rule() + "'");
        RuleBacklog.removeFrom(mail);
        repositories
                .select(MailRepositoryUrl.from(repositoryUrl(quarantined.repository())))
                .store(mail);
    }

    private String repositoryUrl(String repository) {
        return repository.contains("://") ? repository : quarantine + repository + "/";
    }

    /** Puts the mail back into the spool, to come by here again. */
    private void defer(Mail mail, RuleBacklog backlog, String reason) {
        String state = mail.getState();
        Instant now = clock.instant();
        RuleBacklog later = backlog.afterAttempt();
        try {
            if (!now.isBefore(backlog.first().plus(PATIENCE.expireAfter()))) {
                giveUp(mail, reason);
                return;
            }
            Duration wait = PATIENCE.waitAfter(later.attempts());
            later.putOn(mail);
            mail.setErrorMessage(reason);
            getMailetContext().sendMail(mail, state, wait.toMillis(), TimeUnit.MILLISECONDS);
            mail.setState(Mail.GHOST);
            events.publish(new MailFlowEvent.RulesDeferred(
                    MailMarks.reference(mail), recipients(mail), reason, later.attempts(), now.plus(wait)));
        } catch (MessagingException | RuntimeException e) {
            toError(mail, mail.getRecipients(), e);
        }
    }

    /** The sender learns that nobody got it; mail without a sender waits for an administrator. */
    private void giveUp(Mail mail, String reason) throws MessagingException {
        if (MailMarks.sender(mail).isEmpty()) {
            mail.setErrorMessage(reason);
            mail.setState(Mail.ERROR);
            return;
        }
        delivery.fail(
                getMailetContext(),
                heloName.orElseGet(delivery::ownName),
                mail,
                List.copyOf(mail.getRecipients()),
                "5.3.0",
                "The mail could not be processed in time");
        LOGGER.error("Mail {} was returned to its sender after {}: {}", mail.getName(), PATIENCE.expireAfter(), reason);
        mail.setState(Mail.GHOST);
    }

    private static List<String> recipients(Mail mail) {
        return mail.getRecipients().stream().map(MailAddress::asString).toList();
    }

    @Override
    public String getMailetInfo() {
        return "ApplyTransportRules";
    }
}
