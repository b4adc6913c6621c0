/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.time.Clock;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

import javax.mail.internet.AddressException;

import org.apache.james.core.MailAddress;
import org.apache.james.core.MaybeSender;
import org.apache.james.protocols.api.ProtocolSession.AttachmentKey;
import org.apache.james.protocols.api.ProtocolSession.State;
import org.apache.james.protocols.api.Response;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.core.esmtp.EhloExtension;
import org.apache.james.protocols.smtp.hook.HookResult;
import org.apache.james.protocols.smtp.hook.RcptHook;
import org.apache.james.smtpserver.JamesMessageHook;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.DsnParameters;
import org.apache.mailet.DsnParameters.Notify;
import org.apache.mailet.DsnParameters.RecipientDsnParameters;
import org.apache.mailet.Mail;

import com.google.common.base.Splitter;
import com.google.common.collect.ImmutableMap;
import com.google.inject.Inject;

import dev.mailflow.policy.envelope.EsmtpParameters;
import dev.mailflow.policy.envelope.OriginalRecipient;
import dev.mailflow.policy.envelope.Xtext;

/**
 * {@code DSN} (RFC 3461): what senders want to be told of, by RET and ENVID on MAIL, NOTIFY and ORCPT on RCPT. The wishes
 * go on the mail as James's {@link DsnParameters}, by which its mailets and our delivery act. In the place of James's own
 * four handlers, with which a recipient that is named twice ends the transaction in an error, and which take values that
 * mean nothing.
 *
 * <p>Of a recipient named twice the later wishes count. The client sees {@code 501 5.5.4} with the parameter and what was
 * expected.
 */
public final class DsnExtension extends EnvelopeExtension implements EhloExtension, RcptHook, JamesMessageHook {
    private static final AttachmentKey<MailWishes> MAIL = AttachmentKey.of("mailflow.dsn.mail", MailWishes.class);
    private static final AttachmentKey<RecipientWishes> RECIPIENTS =
            AttachmentKey.of("mailflow.dsn.recipients", RecipientWishes.class);
    /** Where James's DSNBounce looks for the Arrival-Date of its reports. */
    private static final AttributeName ARRIVAL = AttributeName.of("dsn-arrival-date");

    private static final int LONGEST_ENVELOPE_ID = 100;

    private final Clock clock;

    @Inject
    public DsnExtension() {
        this(Clock.systemUTC());
    }

    DsnExtension(Clock clock) {
        this.clock = clock;
    }

    private record MailWishes(Optional<DsnParameters.Ret> ret, Optional<DsnParameters.EnvId> envelopeId) {}

    private record Wishes(Optional<EnumSet<Notify>> notifyOn, Optional<OriginalRecipient> original) {}

    private record RecipientWishes(Map<MailAddress, Wishes> byRecipient) {}

    @Override
    public List<String> getImplementedEsmtpFeatures(SMTPSession session) {
        return List.of("DSN");
    }

    @Override
    Set<String> mailParameters() {
        return Set.of(DsnParameters.RET_PARAMETER, DsnParameters.ENVID_PARAMETER);
    }

    @Override
    Optional<Response> onMail(SMTPSession session, EsmtpParameters parameters) {
        session.removeAttachment(RECIPIENTS, State.Transaction);
        Optional<String> ret = parameters.get(DsnParameters.RET_PARAMETER);
        Optional<DsnParameters.Ret> known =
                ret.map(value -> value.toUpperCase(Locale.ROOT)).flatMap(DsnParameters.Ret::parse);
        if (ret.isPresent() && known.isEmpty()) {
            return Optional.of(syntaxError("RET: found '" + shown(ret.get()) + "', expected FULL or HDRS"));
        }
        Optional<String> envelopeId = parameters.get(DsnParameters.ENVID_PARAMETER);
        if (envelopeId
                .filter(value -> value.isEmpty() || value.length() > LONGEST_ENVELOPE_ID || !Xtext.isValid(value))
                .isPresent()) {
            return Optional.of(
                    syntaxError("ENVID: expected xtext (RFC 3461) of 1 to " + LONGEST_ENVELOPE_ID + " characters"));
        }
        session.setAttachment(MAIL, new MailWishes(known, envelopeId.map(DsnParameters.EnvId::of)), State.Transaction);
        return Optional.empty();
    }

    @Override
    Optional<Response> onRecipient(SMTPSession session, EsmtpParameters parameters) {
        Optional<String> notify = parameters.get(DsnParameters.NOTIFY_PARAMETER);
        if (notify.isPresent() && notifyOn(notify.get()).isEmpty()) {
            return Optional.of(syntaxError(
                    "NOTIFY: found '" + shown(notify.get()) + "', expected NEVER or any of SUCCESS,FAILURE,DELAY"));
        }
        Optional<String> original = parameters.get(DsnParameters.ORCPT_PARAMETER);
        if (original.isPresent() && OriginalRecipient.parse(original.get()).isEmpty()) {
            return Optional.of(syntaxError("ORCPT: expected an address type, ';' and an address in xtext (RFC 3461)"));
        }
        return Optional.empty();
    }

    private static Optional<EnumSet<Notify>> notifyOn(String value) {
        EnumSet<Notify> wishes = EnumSet.noneOf(Notify.class);
        for (String word : Splitter.on(',').split(value)) {
            Optional<Notify> wish = Notify.parseValue(word.toUpperCase(Locale.ROOT));
            if (wish.isEmpty()) {
                return Optional.empty();
            }
            wishes.add(wish.get());
        }
        return wishes.contains(Notify.NEVER) && wishes.size() > 1 ? Optional.empty() : Optional.of(wishes);
    }

    private static String shown(String value) {
        return value.length() <= 40 ? value : value.substring(0, 40) + "...";
    }

    @Override
    public Set<String> supportedParameters() {
        return Set.of(DsnParameters.NOTIFY_PARAMETER, DsnParameters.ORCPT_PARAMETER);
    }

    @Override
    public HookResult doRcpt(
            SMTPSession session, MaybeSender sender, MailAddress recipient, Map<String, String> parameters) {
        Map<MailAddress, Wishes> all = new HashMap<>(session.getAttachment(RECIPIENTS, State.Transaction)
                .map(RecipientWishes::byRecipient)
                .orElse(Map.of()));
        all.put(
                recipient,
                new Wishes(
                        Optional.ofNullable(parameters.get(DsnParameters.NOTIFY_PARAMETER))
                                .flatMap(DsnExtension::notifyOn),
                        Optional.ofNullable(parameters.get(DsnParameters.ORCPT_PARAMETER))
                                .flatMap(OriginalRecipient::parse)));
        session.setAttachment(RECIPIENTS, new RecipientWishes(all), State.Transaction);
        return HookResult.DECLINED;
    }

    @Override
    public HookResult onMessage(SMTPSession session, Mail mail) {
        mail.setAttribute(
                new Attribute(ARRIVAL, AttributeValue.of(ZonedDateTime.ofInstant(clock.instant(), ZoneOffset.UTC))));
        Map<MailAddress, Wishes> wishes = session.getAttachment(RECIPIENTS, State.Transaction)
                .map(RecipientWishes::byRecipient)
                .orElse(Map.of());
        ImmutableMap.Builder<MailAddress, RecipientDsnParameters> byRecipient = ImmutableMap.builder();
        ImmutableMap.Builder<String, AttributeValue<?>> others = ImmutableMap.builder();
        int placeholders = 0;
        for (MailAddress recipient : Set.copyOf(mail.getRecipients())) {
            Optional<Wishes> wish = Optional.ofNullable(wishes.get(recipient));
            Optional<OriginalRecipient> original = wish.flatMap(Wishes::original);
            Optional<MailAddress> address = original.flatMap(DsnExtension::mailAddress);
            if (original.isPresent() && address.isEmpty()) {
                MailAddress placeholder = placeholder(placeholders++);
                others.put(
                        placeholder.asString(), AttributeValue.of(original.get().toString()));
                address = Optional.of(placeholder);
            }
            RecipientDsnParameters.of(wish.flatMap(Wishes::notifyOn), address)
                    .ifPresent(parameters -> byRecipient.put(recipient, parameters));
        }
        Optional<MailWishes> ofMail = session.getAttachment(MAIL, State.Transaction);
        DsnParameters.of(ofMail.flatMap(MailWishes::envelopeId), ofMail.flatMap(MailWishes::ret), byRecipient.build())
                .ifPresent(mail::setDsnParameters);
        Map<String, AttributeValue<?>> kept = others.build();
        if (!kept.isEmpty()) {
            mail.setAttribute(new Attribute(AttributeName.of(OriginalRecipient.ATTRIBUTE), AttributeValue.of(kept)));
        }
        return HookResult.DECLINED;
    }

    private static MailAddress placeholder(int number) {
        try {
            return new MailAddress(OriginalRecipient.placeholder(number));
        } catch (AddressException e) {
            throw new IllegalStateException(e);
        }
    }

    /** James holds an original recipient as a mail address, in xtext as it came. */
    private static Optional<MailAddress> mailAddress(OriginalRecipient original) {
        if (!original.type().equals(OriginalRecipient.RFC822)) {
            return Optional.empty();
        }
        try {
            MailAddress address = new MailAddress(original.address());
            return address.asString().equals(original.address()) ? Optional.of(address) : Optional.empty();
        } catch (AddressException e) {
            return Optional.empty();
        }
    }
}
