/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import org.apache.james.metrics.api.MetricFactory;
import org.apache.james.protocols.smtp.SMTPResponse;
import org.apache.james.protocols.smtp.SMTPRetCode;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.server.core.MailImpl;
import org.apache.james.smtpserver.JamesDataCmdHandler;

import com.google.inject.Inject;

import dev.mailflow.gateway.storage.IncomingFiles;

/** James's DATA, for messages that lie where {@link IncomingFiles} says. {@link ReceiveLines} takes what follows. */
@SuppressWarnings("unchecked") // James's list of extensions is a raw type
public final class ReceiveData extends JamesDataCmdHandler {
    private final IncomingFiles files;

    @Inject
    ReceiveData(MetricFactory metrics, IncomingFiles files) {
        super(metrics);
        this.files = files;
    }

    @Override
    protected SMTPResponse doDATA(SMTPSession session, String argument) {
        ((GatewaySmtpSession) session).begin(files.begin(MailImpl.getId()));
        session.pushLineHandler(getLineHandler());
        return new SMTPResponse(SMTPRetCode.DATA_READY, "Ok Send data ending with <CRLF>.<CRLF>");
    }
}
