/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

import org.apache.james.protocols.api.Request;
import org.apache.james.protocols.api.Response;
import org.apache.james.protocols.api.handler.CommandHandler;
import org.apache.james.protocols.smtp.SMTPResponse;
import org.apache.james.protocols.smtp.SMTPSession;

import dev.mailflow.policy.envelope.EsmtpParameters;

/**
 * Parameters of MAIL and RCPT, read before James does: it sees only part of them, compares keywords alone by case, and
 * ends the session with an error when one is repeated. What is wrong is refused, never guessed or dropped.
 */
abstract class EnvelopeExtension implements CommandHandler<SMTPSession> {
    private static final String SYNTAX_ERROR = "501";

    @Override
    public final Collection<String> getImplCommands() {
        return List.of("MAIL", "RCPT");
    }

    /** Says nothing when all is well, which leaves the command to James. */
    @Override
    public final Response onCommand(SMTPSession session, Request request) {
        try {
            EsmtpParameters parameters = EsmtpParameters.of(
                    Optional.ofNullable(request.getArgument()).orElse(""));
            return (request.getCommand().toUpperCase(Locale.ROOT).equals("MAIL")
                            ? onMail(session, parameters)
                            : onRecipient(session, parameters))
                    .orElse(null);
        } catch (EsmtpParameters.SyntaxException e) {
            return syntaxError(e.getMessage());
        }
    }

    /** The parameters of MAIL that it reads, in upper case; those of RCPT are told by hooks. */
    abstract Set<String> mailParameters();

    /** Empty: nothing wrong. */
    abstract Optional<Response> onMail(SMTPSession session, EsmtpParameters parameters);

    /** Empty: nothing wrong. */
    abstract Optional<Response> onRecipient(SMTPSession session, EsmtpParameters parameters);

    static Response syntaxError(String reason) {
        return new SMTPResponse(SYNTAX_ERROR, "5.5.4 " + reason);
    }
}
