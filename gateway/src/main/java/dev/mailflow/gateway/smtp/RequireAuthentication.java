/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import org.apache.james.core.MaybeSender;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.hook.HookResult;
import org.apache.james.protocols.smtp.hook.HookReturnCode;
import org.apache.james.protocols.smtp.hook.MailHook;

/**
 * Refuses MAIL before authentication, as RFC 6409 section 4.3 asks of a submission server; James by itself asks for it
 * only when the mail is to leave. Clients see {@code 530 5.7.0}, with the way to get there.
 */
public final class RequireAuthentication implements MailHook {
    private static final String AUTHENTICATION_REQUIRED = "530";

    @Override
    public HookResult doMail(SMTPSession session, MaybeSender sender) {
        if (session.getUsername() != null) {
            return HookResult.DECLINED;
        }
        boolean needsTls = session.isStartTLSSupported() && !session.isTLSStarted();
        return HookResult.builder()
                .hookReturnCode(HookReturnCode.deny())
                .smtpReturnCode(AUTHENTICATION_REQUIRED)
                .smtpDescription(
                        needsTls
                                ? "5.7.0 Must issue a STARTTLS command and authenticate first"
                                : "5.7.0 Authentication required")
                .build();
    }
}
