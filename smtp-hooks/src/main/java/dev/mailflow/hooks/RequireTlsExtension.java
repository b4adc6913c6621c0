/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.util.List;
import java.util.Optional;
import java.util.Set;

import org.apache.james.protocols.api.ProtocolSession.AttachmentKey;
import org.apache.james.protocols.api.ProtocolSession.State;
import org.apache.james.protocols.api.Response;
import org.apache.james.protocols.smtp.SMTPResponse;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.core.esmtp.EhloExtension;
import org.apache.james.protocols.smtp.hook.HookResult;
import org.apache.james.smtpserver.JamesMessageHook;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;

import com.google.inject.Inject;

import dev.mailflow.policy.envelope.EsmtpParameters;
import dev.mailflow.policy.envelope.RequestedTls;

/**
 * {@code REQUIRETLS} (RFC 8689): offered under TLS only, remembered on the mail, and honoured by delivery. A client that
 * asks for it without TLS sees {@code 530 5.7.10}, for the promise is broken already.
 */
public final class RequireTlsExtension extends EnvelopeExtension implements EhloExtension, JamesMessageHook {
    private static final String KEYWORD = "REQUIRETLS";
    private static final AttachmentKey<Boolean> REQUIRED = AttachmentKey.of("mailflow.requiretls", Boolean.class);

    @Inject
    public RequireTlsExtension() {}

    @Override
    public List<String> getImplementedEsmtpFeatures(SMTPSession session) {
        return session.isTLSStarted() ? List.of(KEYWORD) : List.of();
    }

    @Override
    Set<String> mailParameters() {
        return Set.of(KEYWORD);
    }

    @Override
    Optional<Response> onMail(SMTPSession session, EsmtpParameters parameters) {
        session.removeAttachment(REQUIRED, State.Transaction);
        Optional<String> value = parameters.get(KEYWORD);
        if (value.isEmpty()) {
            return Optional.empty();
        }
        if (!value.get().isEmpty()) {
            return Optional.of(syntaxError(KEYWORD + " takes no value"));
        }
        if (!session.isTLSStarted()) {
            return Optional.of(new SMTPResponse("530", "5.7.10 REQUIRETLS needs TLS: issue a STARTTLS command first"));
        }
        session.setAttachment(REQUIRED, true, State.Transaction);
        return Optional.empty();
    }

    @Override
    Optional<Response> onRecipient(SMTPSession session, EsmtpParameters parameters) {
        return Optional.empty();
    }

    @Override
    public HookResult onMessage(SMTPSession session, Mail mail) {
        if (session.getAttachment(REQUIRED, State.Transaction).isPresent()) {
            mail.setAttribute(new Attribute(AttributeName.of(RequestedTls.ATTRIBUTE), AttributeValue.of(true)));
        }
        return HookResult.DECLINED;
    }
}
