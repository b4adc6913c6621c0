/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

import javax.mail.MessagingException;
import javax.mail.internet.MimeMessage;

import org.apache.james.core.MailAddress;
import org.apache.james.server.core.MailImpl;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;
import org.apache.mailet.base.GenericMailet;

import com.google.inject.Inject;

import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.rewrite.AddressRewriter;
import dev.mailflow.policy.rewrite.Direction;
import dev.mailflow.policy.rewrite.Rewrite;
import dev.mailflow.policy.rewrite.RewrittenFields;
import dev.mailflow.policy.rewrite.RewrittenHeader;

/**
 * Rewrites the addresses of a mail by {@code <addressRewrite>} of {@code mailflow.xml} (mail-flow behaviour, section 5):
 * outbound the envelope sender and who the mail says it is from, inbound the envelope recipients and who it is to. Of the
 * message only the bytes of rewritten addresses change.
 *
 * <pre>{@code
 * <mailet match="All" class="dev.mailflow.mailets.AddressRewrite">
 *   <direction>outbound</direction>      <!-- required: outbound or inbound -->
 *   <headers>+To</headers>               <!-- optional: the fields to rewrite, or changes to the defaults -->
 * </mailet>
 * }</pre>
 *
 * <p>Inbound belongs first in {@code root}, before recipients are looked up and rules run; outbound directly before
 * {@link RouteToConnector}, and before DKIM signing. A second pass over the same mail changes nothing. An unreadable field
 * is left byte for byte and told in an event.
 */
public final class AddressRewrite extends GenericMailet {
    private static final String PARAMETER = "parameter <%s> of mailet " + AddressRewrite.class.getName() + ": ";

    /** Addresses in the mail that are the outcome of rewriting and would be rewritten again, by direction. */
    private static final String SETTLED = "mailflow.rewritten.";

    private final PolicyRepository policies;
    private final MailFlowEvents events;
    private Direction direction = Direction.OUTBOUND;
    private RewrittenFields fields = RewrittenFields.defaults(Direction.OUTBOUND);

    @Inject
    public AddressRewrite(PolicyRepository policies, MailFlowEvents events) {
        this.policies = policies;
        this.events = events;
    }

    @Override
    public void init() throws MessagingException {
        String word = getInitParameter("direction", "").trim();
        direction = switch (word) {
            case "outbound" -> Direction.OUTBOUND;
            case "inbound" -> Direction.INBOUND;
            default -> throw new MessagingException(
                    PARAMETER.formatted("direction") + "found '" + word + "', expected outbound or inbound");
        };
        Optional<String> headers = Optional.ofNullable(getInitParameter("headers"));
        try {
            fields = headers.map(text -> RewrittenFields.parse(text, direction))
                    .orElseGet(() -> RewrittenFields.defaults(direction));
        } catch (IllegalArgumentException e) {
            throw new MessagingException(PARAMETER.formatted("headers") + e.getMessage(), e);
        }
    }

    @Override
    public void service(Mail mail) throws MessagingException {
        if (direction == Direction.INBOUND && MailMarks.isCopyOfRules(mail)) {
            return;
        }
        AddressRewriter rewriter = new AddressRewriter(policies.current(), direction, fields);
        if (!applies(rewriter, mail)) {
            return;
        }
        Pass pass = new Pass(mail, rewriter);
        switch (direction) {
            case OUTBOUND -> pass.sender();
            case INBOUND -> pass.recipients();
        }
        pass.header();
        pass.finish();
    }

    private static boolean applies(AddressRewriter rewriter, Mail mail) {
        Optional<InboundFacts> facts = InboundFacts.stampedOn(
                AttributeUtils.getValueAndCastFromMail(mail, AttributeName.of(InboundFacts.ATTRIBUTE), String.class));
        return rewriter.scope(
                        facts.map(InboundFacts::origin), mail.getMaybeSender().asOptional(), mail.getRemoteAddr())
                .applies();
    }

    /** One mail on its way through one direction. */
    private final class Pass {
        private final Mail mail;
        private final AddressRewriter rewriter;
        private final MailFlowEvent.MessageRef reference;
        private final Set<String> settled;
        private final List<Rewrite.Changed> rewrites = new ArrayList<>();
        private final List<MailFlowEvent.Rewritten.Change> changes = new ArrayList<>();
        private final List<String> removedSignatures = new ArrayList<>();

        Pass(Mail mail, AddressRewriter rewriter) throws MessagingException {
            this.mail = mail;
            this.rewriter = rewriter;
            this.reference = new MailFlowEvent.MessageRef(
                    mail.getName(), Optional.ofNullable(mail.getMessage().getMessageID()));
            this.settled = AttributeUtils.getValueAndCastFromMail(mail, attribute(), Collection.class)
                    .map(Pass::texts)
                    .orElse(Set.of());
        }

        private AttributeName attribute() {
            return AttributeName.of(SETTLED + direction);
        }

        private static Set<String> texts(Collection<?> values) {
            return values.stream()
                    .map(AttributeValue.class::cast)
                    .map(value -> String.valueOf(value.value()))
                    .collect(Collectors.toCollection(LinkedHashSet::new));
        }

        void sender() throws MessagingException {
            Optional<MailAddress> sender = mail.getMaybeSender().asOptional();
            if (sender.isEmpty()) {
                return;
            }
            MailAddress after = envelope("envelope-from", sender.get());
            if (!after.equals(sender.get())) {
                if (!(mail instanceof MailImpl ofJames)) {
                    throw new MessagingException("the sender of "
                            + mail.getClass().getName() + " cannot be changed, expected a mail of James");
                }
                ofJames.setSender(after);
            }
        }

        void recipients() {
            Map<MailAddress, MailAddress> after = new LinkedHashMap<>();
            mail.getRecipients().forEach(recipient -> after.put(recipient, envelope("envelope-to", recipient)));
            if (!rewrites.isEmpty()) {
                mail.setRecipients(new LinkedHashSet<>(after.values()));
                WishesOfSender.follow(mail, after);
            }
        }

        private MailAddress envelope(String where, MailAddress address) {
            if (!(rewriter.rewrite(address, settled) instanceof Rewrite.Changed changed)) {
                return address;
            }
            Optional<MailAddress> after = AddressRewriter.envelopeAddress(changed);
            if (after.isEmpty()) {
                events.publish(new MailFlowEvent.NotRewritten(
                        reference,
                        direction.toString(),
                        where,
                        changed.after() + " cannot stand in an envelope of James"));
                return address;
            }
            note(where, changed);
            return after.get();
        }

        private void note(String where, Rewrite.Changed changed) {
            rewrites.add(changed);
            changes.add(new MailFlowEvent.Rewritten.Change(
                    where, changed.before(), changed.after(), changed.entry().toString()));
        }

        void header() throws MessagingException {
            MimeMessage message = mail.getMessage();
            RewrittenHeader header = rewriter.rewrite(RawHeaders.of(message), settled);
            header.unreadable()
                    .forEach(field -> events.publish(new MailFlowEvent.NotRewritten(
                            reference, direction.toString(), field.name(), field.reason())));
            if (header.isChanged()) {
                RawHeaders.put(mail, header.section(), message);
                header.changes().forEach(change -> change.rewrites().forEach(changed -> note(change.name(), changed)));
                header.removedSignatures()
                        .forEach(signature ->
                                removedSignatures.add("d=" + signature.domain() + " (" + signature.field() + ")"));
            }
        }

        void finish() {
            if (rewrites.isEmpty()) {
                return;
            }
            Set<String> all = new LinkedHashSet<>(settled);
            all.addAll(rewriter.settled(rewrites));
            if (!all.isEmpty()) {
                mail.setAttribute(new Attribute(
                        attribute(),
                        AttributeValue.of(all.stream()
                                .<AttributeValue<?>>map(AttributeValue::of)
                                .toList())));
            }
            events.publish(new MailFlowEvent.Rewritten(reference, direction.toString(), changes, removedSignatures));
        }
    }

    @Override
    public String getMailetInfo() {
        return "AddressRewrite: " + direction;
    }
}
