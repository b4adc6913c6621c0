/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import java.io.Closeable;
import java.io.IOException;
import java.util.List;

import javax.mail.MessagingException;

import org.apache.james.core.MaybeSender;
import org.apache.james.lifecycle.api.LifecycleUtil;
import org.apache.james.metrics.api.Metric;
import org.apache.james.metrics.api.MetricFactory;
import org.apache.james.protocols.api.ProtocolSession.State;
import org.apache.james.protocols.api.Response;
import org.apache.james.protocols.api.handler.LineHandler;
import org.apache.james.protocols.smtp.SMTPResponse;
import org.apache.james.protocols.smtp.SMTPRetCode;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.core.SMTPMDCContextFactory;
import org.apache.james.protocols.smtp.dsn.DSNStatus;
import org.apache.james.server.core.MailImpl;
import org.apache.james.server.core.MimeMessageInputStreamSource;
import org.apache.james.smtpserver.DataLineJamesMessageHookHandler;
import org.apache.james.smtpserver.SMTPConstants;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.inject.Inject;

import dev.mailflow.gateway.storage.IncomingMessage;
import dev.mailflow.policy.inbound.SmtpReply;

/**
 * Takes the lines of a message and hands the whole to James's message hooks. A message that cannot be written is read to its
 * end and refused there, and the session goes on: clients see {@code 452 4.3.1 Insufficient system storage…} when the
 * disk is full, {@code 451 4.3.0 Message cannot be stored…} when it fails otherwise. James ends the connection
 * in the midst of the message instead, and clients read no reply.
 */
public final class ReceiveLines extends DataLineJamesMessageHookHandler {
    private static final Logger LOGGER = LoggerFactory.getLogger(ReceiveLines.class);

    private final Metric refused;

    @Inject
    ReceiveLines(MetricFactory metrics) {
        this.refused = metrics.generate(QueueTroubleHook.METRIC);
    }

    @Override
    public Response onLine(SMTPSession session, byte[] line, LineHandler<SMTPSession> next) {
        IncomingMessage message = ((GatewaySmtpSession) session).incoming();
        if (DETECT_SMTP_SMUGGLING && !endsWithCrLf(line)) {
            message.dispose();
            session.popLineHandler();
            LOGGER.info("event=bare-line-end client={}", session.getRemoteAddress());
            SMTPResponse response = new SMTPResponse(
                    SMTPRetCode.SYNTAX_ERROR_COMMAND_UNRECOGNIZED,
                    DSNStatus.getStatus(DSNStatus.PERMANENT, DSNStatus.UNDEFINED_STATUS)
                            + " line delimiter must be CRLF");
            response.setEndSession(true);
            return response;
        }
        if (line.length == 3 && line[0] == '.') {
            try {
                return end(session, message);
            } finally {
                message.dispose();
            }
        }
        int stuffed = line.length > 1 && line[0] == '.' && line[1] == '.' ? 1 : 0;
        message.write(line, stuffed, line.length - stuffed);
        return null;
    }

    /** Servers that take less for the end of a line may find another end of the message, and commands behind it. */
    private static boolean endsWithCrLf(byte[] line) {
        return line.length >= 2 && line[line.length - 2] == '\r' && line[line.length - 1] == '\n';
    }

    @SuppressWarnings("try") // the context of log lines
    private Response end(SMTPSession session, IncomingMessage message) {
        if (message.end().isPresent()) {
            refused.increment();
            session.resetState();
            session.popLineHandler();
            return response(message.isOutOfRoom() ? SmtpReply.insufficientStorage() : SmtpReply.messageNotStored());
        }
        String name = message.getSourceId();
        try (Closeable context = SMTPMDCContextFactory.forSession(session)
                .addToContext("mail", name)
                .build()) {
            MailImpl mail = mail(session, name);
            // James disposes of it when the connection is lost
            session.setAttachment(SMTPConstants.MAIL, mail, State.Transaction);
            // what hooks of protocols-api may write to, which James never reads
            MimeMessageInputStreamSource nothing = MimeMessageInputStreamSource.create(name);
            try {
                mail.setMessageContent(message);
                Response response = processExtensions(session, mail, nothing);
                session.popLineHandler();
                return response;
            } finally {
                LifecycleUtil.dispose(nothing);
                LifecycleUtil.dispose(mail);
            }
        } catch (IOException | MessagingException e) {
            LOGGER.warn("event=message-not-read mail={}", name, e);
            session.resetState();
            session.popLineHandler();
            return response(SmtpReply.messageNotStored());
        }
    }

    private static MailImpl mail(SMTPSession session, String name) {
        return MailImpl.builder()
                .name(name)
                .sender(session.getAttachment(SMTPSession.SENDER, State.Transaction)
                        .orElse(MaybeSender.nullSender()))
                .addRecipients(session.getAttachment(SMTPSession.RCPT_LIST, State.Transaction)
                        .orElse(List.of()))
                .build();
    }

    private static SMTPResponse response(SmtpReply reply) {
        return new SMTPResponse(Integer.toString(reply.code()), reply.textWithStatus());
    }
}
