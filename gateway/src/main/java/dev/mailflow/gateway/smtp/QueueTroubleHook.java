/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import java.util.Optional;

import javax.mail.MessagingException;

import org.apache.james.core.MaybeSender;
import org.apache.james.metrics.api.Metric;
import org.apache.james.metrics.api.MetricFactory;
import org.apache.james.protocols.api.ProtocolSession.AttachmentKey;
import org.apache.james.protocols.api.ProtocolSession.State;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.hook.Hook;
import org.apache.james.protocols.smtp.hook.HookResult;
import org.apache.james.protocols.smtp.hook.HookResultHook;
import org.apache.james.protocols.smtp.hook.HookReturnCode;
import org.apache.james.protocols.smtp.hook.MailHook;
import org.apache.james.smtpserver.JamesMessageHook;
import org.apache.james.smtpserver.SendMailHandler;
import org.apache.mailet.Mail;

import com.google.inject.Inject;

import dev.mailflow.gateway.queue.DurableMailQueueFactory;
import dev.mailflow.gateway.queue.QueueTrouble;
import dev.mailflow.policy.inbound.SmtpReply;

/**
 * Refuses mail at once, and by its right name, that the queues would not take: at MAIL, by the size that the client declares,
 * and at the end of DATA, by the size it has or because of what happened meanwhile. The gateway adds it to every SMTP server.
 *
 * <p>Clients see {@code 452 4.3.1 Insufficient system storage…} while the disk is full, {@code 451 4.3.0 Mail queue is not
 * available…} when it failed, and come again. Administrators see when it begins and ends in the log of the queues, and
 * the metric {@value #METRIC}.
 */
public final class QueueTroubleHook implements MailHook, JamesMessageHook, HookResultHook {
    /** Mails that were refused. */
    static final String METRIC = "mailflow.queue.refused";

    /** James's own: SIZE of MAIL (RFC 1870). */
    private static final AttachmentKey<Integer> DECLARED_SIZE = AttachmentKey.of("MESG_SIZE", Integer.class);

    private final DurableMailQueueFactory queues;
    private final Metric refused;

    @Inject
    QueueTroubleHook(DurableMailQueueFactory queues, MetricFactory metrics) {
        this.queues = queues;
        this.refused = metrics.generate(METRIC);
    }

    @Override
    public HookResult doMail(SMTPSession session, MaybeSender sender) {
        return refusal(session.getAttachment(DECLARED_SIZE, State.Transaction).orElse(0))
                .orElse(HookResult.DECLINED);
    }

    @Override
    public HookResult onMessage(SMTPSession session, Mail mail) {
        return refusal(size(mail)).orElse(HookResult.DECLINED);
    }

    /** What the queue refused all the same is not an error of the gateway, as James would have it. */
    @Override
    public HookResult onHookResult(SMTPSession session, HookResult result, long executionTime, Hook hook) {
        boolean failed =
                hook instanceof SendMailHandler && result.getResult().getAction() == HookReturnCode.Action.DENYSOFT;
        return failed ? refusal(session.currentMessageSize()).orElse(result) : result;
    }

    private static long size(Mail mail) {
        try {
            return mail.getMessageSize();
        } catch (MessagingException e) {
            // whoever reads it next has more to say
            return 0;
        }
    }

    private Optional<HookResult> refusal(long bytes) {
        return queues.troubleWith(bytes).map(trouble -> {
            refused.increment();
            SmtpReply reply = trouble.kind() == QueueTrouble.Kind.NO_ROOM
                    ? SmtpReply.insufficientStorage()
                    : SmtpReply.queueUnavailable();
            return HookResult.builder()
                    .hookReturnCode(HookReturnCode.denySoft())
                    .smtpReturnCode(Integer.toString(reply.code()))
                    .smtpDescription(reply.textWithStatus())
                    .build();
        });
    }
}
