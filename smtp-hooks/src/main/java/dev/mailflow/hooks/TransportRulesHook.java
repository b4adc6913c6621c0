/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.io.IOException;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

import javax.mail.MessagingException;
import javax.mail.internet.MimeMessage;

import org.apache.james.core.MailAddress;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.hook.HookResult;
import org.apache.james.server.core.MimeMessageInputStream;
import org.apache.james.smtpserver.JamesMessageHook;
import org.apache.mailet.Mail;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.inject.Inject;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.header.InternalHeaderScreen;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.SmtpReply;
import dev.mailflow.policy.rewrite.AddressRewriter;
import dev.mailflow.policy.rewrite.Direction;
import dev.mailflow.policy.rule.RuleMessage;
import dev.mailflow.policy.rule.RuleOutcome;
import dev.mailflow.policy.rule.RuleOutcome.Disposition;
import dev.mailflow.policy.rule.TransportRules;
import dev.mailflow.policy.rule.TransportRules.Stage;

/**
 * Refuses at the end of DATA what transport rules with {@code atSmtp="true"} reject, so that the client's server tells the
 * sender and none of our reports goes to a forged address. Only when every recipient is rejected so: there is one reply for
 * all. Everything else, a failing script too, is left to {@code ApplyTransportRules}.
 *
 * <pre>{@code
 * <handler class="dev.mailflow.hooks.TransportRulesHook"/>
 * }</pre>
 *
 * <p>The rules see the message as they will once it is accepted: screened by the header firewall and rewritten inbound. All
 * rules up to the last one with {@code atSmtp} are asked, so that an earlier {@code stop} protects here too.
 *
 * <p>The client sees {@code 550 5.7.1} and the reason that the script gives, in one line.
 */
public final class TransportRulesHook extends DoorHandler implements JamesMessageHook {
    private static final Logger LOGGER = LoggerFactory.getLogger(TransportRulesHook.class);

    private final Clock clock;

    @Inject
    public TransportRulesHook(Transactions transactions, MailFlowEvents events) {
        this(transactions, events, Clock.systemUTC());
    }

    TransportRulesHook(Transactions transactions, MailFlowEvents events, Clock clock) {
        super(transactions, events);
        this.clock = clock;
    }

    @Override
    public HookResult onMessage(SMTPSession session, Mail mail) {
        Transaction transaction = transactions().current(session);
        TransportRules rules = transaction.policy().transportRules();
        Instant now = clock.instant();
        if (!rules.isHeardAt(Stage.SMTP, now)) {
            return HookResult.DECLINED;
        }
        try {
            RuleOutcome outcome =
                    rules.apply(accepted(transaction, transactions().facts(session), mail), Stage.SMTP, now);
            return outcome.refusal()
                    .map(refusal -> refuse(session, mail, outcome, refusal))
                    .orElse(HookResult.DECLINED);
        } catch (IOException | MessagingException | RuntimeException e) {
            // refusing would lose what the rules may want; the mailet reads it again and defers what it cannot judge
            LOGGER.warn("Transport rules could not read mail {} at the SMTP door", mail.getName(), e);
            return HookResult.DECLINED;
        }
    }

    private HookResult refuse(SMTPSession session, Mail mail, RuleOutcome outcome, Disposition.Reject refusal) {
        MailFlowEvent.MessageRef reference = StampFactsHook.messageRef(mail);
        outcome.hits().forEach(hit -> events().publish(hit.event(reference)));
        return refuse(
                reference,
                session,
                "rule",
                SmtpReply.rejectedByRule(refusal.reason()),
                "transport rule '" + refusal.rule() + "' rejects it",
                Optional.empty());
    }

    /** The message as the mailets before {@code ApplyTransportRules} will leave it. */
    private static RuleMessage accepted(Transaction transaction, InboundFacts facts, Mail mail)
            throws MessagingException, IOException {
        MailFlowPolicy policy = transaction.policy();
        MimeMessage message = mail.getMessage();
        Optional<MailAddress> sender = mail.getMaybeSender().asOptional();
        AddressRewriter rewriter = new AddressRewriter(policy, Direction.INBOUND);
        boolean rewrites =
                rewriter.scope(Optional.of(facts.origin()), sender, "").applies();
        RuleMessage atDoor = RuleMessage.read(
                () -> {
                    try {
                        return new MimeMessageInputStream(message);
                    } catch (MessagingException e) {
                        throw new IOException("the message cannot be read", e);
                    }
                },
                mail.getMessageSize(),
                sender,
                mail.getRecipients().stream()
                        .map(recipient -> AcceptedRecipientHook.inside(transaction, mail.getMaybeSender(), recipient))
                        .toList(),
                Optional.of(facts),
                policy.acceptedDomains());
        HeaderSection screened = InternalHeaderScreen.onArrival(atDoor.header(), facts.internalHeadersPreserved())
                .section();
        HeaderSection rewritten =
                rewrites ? rewriter.rewrite(screened, Set.of()).section() : screened;
        List<HeaderField> fields = new ArrayList<>();
        fields.add(HeaderField.of(
                InboundFacts.VERDICT_HEADER, InboundFacts.verdictHeader(facts.clientIp(), facts.verdict())));
        fields.addAll(rewritten.fields());
        return atDoor.with(rewritten.with(fields));
    }
}
