/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.util.List;
import java.util.Optional;

import javax.mail.MessagingException;

import org.apache.commons.configuration2.Configuration;
import org.apache.commons.configuration2.ex.ConfigurationException;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.hook.HookResult;
import org.apache.james.smtpserver.JamesMessageHook;
import org.apache.mailet.Mail;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.inject.Inject;

import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.inbound.HopCount;
import dev.mailflow.policy.inbound.SmtpReply;

/**
 * Refuses at the end of DATA mail that goes round in circles, by its Received headers (RFC 5321 section 6.3).
 *
 * <pre>{@code
 * <handler class="dev.mailflow.hooks.HopLimitHook">
 *   <receivedHeaders>30</receivedHeaders>   <!-- default 30: with so many already, it goes no further -->
 *   <ownName>8</ownName>                    <!-- default 8: passages through this server -->
 * </handler>
 * }</pre>
 *
 * <p>The client sees {@code 554 5.4.6 Hop count exceeded - possible mail loop}.
 */
public final class HopLimitHook extends DoorHandler implements JamesMessageHook {
    private static final Logger LOGGER = LoggerFactory.getLogger(HopLimitHook.class);

    private HopCount limit = HopCount.DEFAULT;

    @Inject
    public HopLimitHook(Transactions transactions, MailFlowEvents events) {
        super(transactions, events);
    }

    @Override
    public void init(Configuration configuration) throws ConfigurationException {
        Parameters parameters = Parameters.of(getClass(), configuration, List.of("receivedHeaders", "ownName"));
        limit = new HopCount(
                parameters.positive("receivedHeaders").orElse(HopCount.DEFAULT.received()),
                parameters.positive("ownName").orElse(HopCount.DEFAULT.own()));
    }

    @Override
    public HookResult onMessage(SMTPSession session, Mail mail) {
        return limit.objectionTo(received(mail), session.getConfiguration().getHelloName())
                .map(reason -> refuse(
                        StampFactsHook.messageRef(mail),
                        session,
                        "hops",
                        SmtpReply.hopCountExceeded(),
                        reason,
                        Optional.empty()))
                .orElse(HookResult.DECLINED);
    }

    private static List<String> received(Mail mail) {
        try {
            return Optional.ofNullable(mail.getMessage().getHeader("Received"))
                    .map(List::of)
                    .orElse(List.of());
        } catch (MessagingException e) {
            LOGGER.warn("The Received headers of mail {} cannot be read", mail.getName(), e);
            return List.of();
        }
    }
}
