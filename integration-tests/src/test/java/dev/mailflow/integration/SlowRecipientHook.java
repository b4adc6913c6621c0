/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;

import org.apache.james.core.MailAddress;
import org.apache.james.core.MaybeSender;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.hook.HookResult;
import org.apache.james.protocols.smtp.hook.RcptHook;

/** A hook that blocks as a slow directory server would, for recipients named "slow", until a test lets it go on. */
public final class SlowRecipientHook implements RcptHook {
    static final Set<String> THREADS = ConcurrentHashMap.newKeySet();
    static final Semaphore MAY_GO_ON = new Semaphore(0);
    static final Semaphore ARE_WAITING = new Semaphore(0);

    @Override
    public HookResult doRcpt(SMTPSession session, MaybeSender sender, MailAddress recipient) {
        THREADS.add(Thread.currentThread().getName());
        if (recipient.getLocalPart().equals("slow")) {
            ARE_WAITING.release();
            MAY_GO_ON.acquireUninterruptibly();
        }
        return HookResult.DECLINED;
    }
}
