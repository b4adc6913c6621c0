/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

import org.apache.james.protocols.api.Response;
import org.apache.james.protocols.api.handler.ExtensibleHandler;
import org.apache.james.protocols.smtp.SMTPResponse;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.hook.MailParametersHook;
import org.apache.james.protocols.smtp.hook.RcptHook;

import com.google.inject.Inject;

import dev.mailflow.policy.envelope.EsmtpParameters;

/**
 * Refuses parameters of MAIL and RCPT that nobody in the handler chain knows (RFC 5321 section 4.1.1.11): James drops them,
 * and a client that was told nothing relies on what it asked for, such as an address in UTF-8 or a binary body.
 *
 * <p>The client sees {@code 555 5.5.4} with the parameter.
 */
public final class KnownParameters extends EnvelopeExtension implements ExtensibleHandler {
    private static final String BODY = "BODY";
    private static final Set<String> BODIES = Set.of("7BIT", "8BITMIME");

    /** What the server reads although no hook says so, and XOORG, which is ignored from those who may not say it. */
    private final Set<String> ofMail = new HashSet<>(Set.of(BODY, "XOORG"));

    private final Set<String> ofRecipients = new HashSet<>();

    @Inject
    public KnownParameters() {}

    @Override
    public List<Class<?>> getMarkerInterfaces() {
        return List.of(MailParametersHook.class, RcptHook.class, EnvelopeExtension.class);
    }

    @Override
    public void wireExtensions(Class<?> type, List<?> handlers) {
        for (Object handler : handlers) {
            if (type == MailParametersHook.class) {
                for (String name : ((MailParametersHook) handler).getMailParamNames()) {
                    ofMail.add(name.toUpperCase(Locale.ROOT));
                }
            } else if (type == RcptHook.class) {
                ((RcptHook) handler)
                        .supportedParameters()
                        .forEach(name -> ofRecipients.add(name.toUpperCase(Locale.ROOT)));
            } else {
                ofMail.addAll(((EnvelopeExtension) handler).mailParameters());
            }
        }
    }

    @Override
    Set<String> mailParameters() {
        return Set.of();
    }

    @Override
    Optional<Response> onMail(SMTPSession session, EsmtpParameters parameters) {
        Optional<String> body = parameters.get(BODY).map(value -> value.toUpperCase(Locale.ROOT));
        if (body.isPresent() && !BODIES.contains(body.get())) {
            return Optional.of(
                    body.get().equals("BINARYMIME")
                            ? unknown("MAIL parameter BODY=BINARYMIME")
                            : syntaxError("BODY: expected 7BIT or 8BITMIME"));
        }
        return firstUnknown("MAIL", parameters, ofMail);
    }

    @Override
    Optional<Response> onRecipient(SMTPSession session, EsmtpParameters parameters) {
        return firstUnknown("RCPT", parameters, ofRecipients);
    }

    private static Optional<Response> firstUnknown(String command, EsmtpParameters parameters, Set<String> known) {
        return parameters.values().keySet().stream()
                .filter(keyword -> !known.contains(keyword))
                .findFirst()
                .map(keyword -> unknown(command + " parameter " + shown(keyword)));
    }

    private static Response unknown(String what) {
        return new SMTPResponse("555", "5.5.4 " + what + " is not offered by this server");
    }

    private static String shown(String keyword) {
        String printable = keyword.replaceAll("[^\\x21-\\x7e]", "?");
        return printable.length() <= 40 ? printable : printable.substring(0, 40) + "...";
    }
}
