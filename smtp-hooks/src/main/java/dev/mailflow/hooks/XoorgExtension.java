/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.util.List;
import java.util.regex.Pattern;

import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.core.esmtp.EhloExtension;
import org.apache.james.protocols.smtp.hook.HookResult;
import org.apache.james.protocols.smtp.hook.MailParametersHook;

import com.google.inject.Inject;

import dev.mailflow.policy.event.MailFlowEvents;

/**
 * {@code XOORG}, the extension by which Exchange names the organization a mail comes from: offered at EHLO to sessions of
 * an organization connector that preserves internal headers, and believed only where the transaction is attributed to
 * one. From anybody else the parameter is ignored, as James ignores every parameter it does not know.
 */
public final class XoorgExtension extends DoorHandler implements EhloExtension, MailParametersHook {
    private static final String KEYWORD = "XOORG";
    private static final Pattern DOMAIN = Pattern.compile("[A-Za-z0-9]([A-Za-z0-9.-]{0,253}[A-Za-z0-9])?");

    @Inject
    public XoorgExtension(Transactions transactions, MailFlowEvents events) {
        super(transactions, events);
    }

    @Override
    public List<String> getImplementedEsmtpFeatures(SMTPSession session) {
        return transactions().organization(session).internalHeadersPreserved() ? List.of(KEYWORD) : List.of();
    }

    /** Only remembers: the sender, on which attribution may depend, is not known yet. */
    @Override
    public HookResult doMailParameter(SMTPSession session, String name, String value) {
        if (DOMAIN.matcher(value).matches()) {
            transactions().rememberXoorg(session, value);
        }
        return HookResult.DECLINED;
    }

    @Override
    public String[] getMailParamNames() {
        return new String[] {KEYWORD};
    }
}
