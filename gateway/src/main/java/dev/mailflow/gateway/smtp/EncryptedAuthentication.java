/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import java.util.Collection;
import java.util.List;

import org.apache.commons.configuration2.Configuration;
import org.apache.james.protocols.api.Request;
import org.apache.james.protocols.api.Response;
import org.apache.james.protocols.api.handler.CommandHandler;
import org.apache.james.protocols.smtp.SMTPResponse;
import org.apache.james.protocols.smtp.SMTPSession;

/**
 * Refuses AUTH in plaintext where {@code <auth>} says {@code <requireSSL>true</requireSSL>}: James does not offer it there,
 * but takes it. A password that was sent is known to whoever listened; its owner learns of it by the refusal, where a success
 * would leave the program as it is set up. {@link GatewaySmtpServer} puts this handler before James's.
 *
 * <p>The client sees {@code 538 5.7.11 Encryption required for requested authentication mechanism} (RFC 4954 section 6).
 */
public final class EncryptedAuthentication implements CommandHandler<SMTPSession> {
    /** Attribute of the handler: whether TLS is required. */
    static final String REQUIRED = "[@required]";

    private static final String ENCRYPTION_REQUIRED = "538";

    private boolean required;

    @Override
    public void init(Configuration configuration) {
        required = configuration.getBoolean(REQUIRED, true);
    }

    @Override
    public Collection<String> getImplCommands() {
        return List.of("AUTH");
    }

    /** Says nothing under TLS, which leaves the command to James. */
    @Override
    public Response onCommand(SMTPSession session, Request request) {
        return required && !session.isTLSStarted()
                ? new SMTPResponse(
                        ENCRYPTION_REQUIRED, "5.7.11 Encryption required for requested authentication mechanism")
                : null;
    }
}
