/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.TimeUnit;

import javax.mail.MessagingException;

import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;
import org.apache.mailet.MailetContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes a mail wait whose next step cannot be decided now: back into the spool, durably, with a delay that grows, to begin
 * its processor again. What a processor did before must not harm when it is done twice. After two days the mail goes to the
 * {@code error} processor, where an administrator finds it.
 */
final class TryAgainLater {
    private static final Logger LOGGER = LoggerFactory.getLogger(TryAgainLater.class);
    private static final AttributeName SINCE = AttributeName.of("mailflow.waitingSince");
    private static final AttributeName ATTEMPTS = AttributeName.of("mailflow.waitingAttempts");
    private static final Duration FIRST = Duration.ofSeconds(15);
    private static final Duration LONGEST = Duration.ofMinutes(10);
    private static final Duration EXPIRES_AFTER = Duration.ofDays(2);
    private static final int MOST_DOUBLINGS = 6;

    private final Clock clock;

    TryAgainLater(Clock clock) {
        this.clock = clock;
    }

    /**
     * Ends this passage of the mail.
     *
     * @param reason one sentence for administrators
     * @throws MessagingException when the spool does not take it: James tries the mail again itself then
     */
    void put(MailetContext context, Mail mail, String reason) throws MessagingException {
        Instant now = clock.instant();
        Instant since = AttributeUtils.getValueAndCastFromMail(mail, SINCE, Long.class)
                .map(Instant::ofEpochMilli)
                .orElse(now);
        int attempts = AttributeUtils.getValueAndCastFromMail(mail, ATTEMPTS, Integer.class)
                .orElse(0);
        mail.setErrorMessage(reason);
        if (Duration.between(since, now).compareTo(EXPIRES_AFTER) > 0) {
            LOGGER.error("Mail {} waited since {} in vain, to the error processor: {}", mail.getName(), since, reason);
            mail.setState(Mail.ERROR);
            return;
        }
        Duration delay = FIRST.multipliedBy(1L << Math.min(attempts, MOST_DOUBLINGS));
        delay = delay.compareTo(LONGEST) > 0 ? LONGEST : delay;
        mail.setAttribute(new Attribute(SINCE, AttributeValue.of(since.toEpochMilli())));
        mail.setAttribute(new Attribute(ATTEMPTS, AttributeValue.of(attempts + 1)));
        LOGGER.warn("Mail {} waits for {} s: {}", mail.getName(), delay.toSeconds(), reason);
        context.sendMail(mail, mail.getState(), delay.toSeconds(), TimeUnit.SECONDS);
        mail.setState(Mail.GHOST);
    }
}
