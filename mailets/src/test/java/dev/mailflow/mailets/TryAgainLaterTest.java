/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Proxy;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

import javax.mail.MessagingException;

import org.apache.james.core.builder.MimeMessageBuilder;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;
import org.apache.mailet.MailetContext;
import org.apache.mailet.base.test.FakeMail;
import org.apache.mailet.base.test.FakeMailContext;
import org.apache.mailet.base.test.FakeMailContext.Delay;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TryAgainLaterTest {
    private static final Instant NOW = Instant.parse("2026-11-29T12:00:00Z");
    private static final AttributeName SINCE = AttributeName.of("mailflow.waitingSince");
    private static final AttributeName ATTEMPTS = AttributeName.of("mailflow.waitingAttempts");
    private static final String WHY = "the directory server does not answer";

    private final FakeMailContext context = FakeMailContext.defaultContext();
    private FakeMail mail;

    @BeforeEach
    void mail() throws Exception {
        mail = FakeMail.builder()
                .name("mail-1")
                .sender("joe@contoso.com")
                .recipients("jane@contoso.com", "d@contoso.com")
                .state("transport")
                .mimeMessage(MimeMessageBuilder.mimeMessageBuilder().setSubject("x"))
                .build();
    }

    private void put(Instant now) throws MessagingException {
        new TryAgainLater(Clock.fixed(now, ZoneOffset.UTC)).put(context, mail, WHY);
    }

    private Optional<Long> since() {
        return AttributeUtils.getValueAndCastFromMail(mail, SINCE, Long.class);
    }

    private Optional<Integer> attempts() {
        return AttributeUtils.getValueAndCastFromMail(mail, ATTEMPTS, Integer.class);
    }

    @Test
    void mailShouldGoBackToItsProcessorWholeAndEndHere() throws Exception {
        put(NOW);

        assertThat(context.getSentMails()).singleElement().satisfies(sent -> {
            assertThat(sent.getState()).isEqualTo("transport");
            assertThat(sent.getDelay()).contains(new Delay(15, TimeUnit.SECONDS));
            assertThat(sent.getSender()).hasToString("joe@contoso.com");
            assertThat(sent.getRecipients())
                    .extracting(Object::toString)
                    .containsExactlyInAnyOrder("jane@contoso.com", "d@contoso.com");
            // what it has waited for so far goes with it
            assertThat(sent.getAttributes()).containsKeys(SINCE, ATTEMPTS);
        });
        assertThat(mail.getState()).isEqualTo(Mail.GHOST);
        assertThat(mail.getErrorMessage()).isEqualTo(WHY);
        assertThat(since()).contains(NOW.toEpochMilli());
        assertThat(attempts()).contains(1);
    }

    @ParameterizedTest
    @CsvSource({"0, 15", "1, 30", "2, 60", "5, 480", "6, 600", "7, 600", "63, 600", "64, 600", "2147483646, 600"})
    void delayShouldDoubleUpToTenMinutes(int before, long seconds) throws Exception {
        mail.setAttribute(new Attribute(SINCE, AttributeValue.of(NOW.toEpochMilli())));
        mail.setAttribute(new Attribute(ATTEMPTS, AttributeValue.of(before)));

        put(NOW.plusSeconds(1));

        assertThat(context.getSentMails())
                .singleElement()
                .extracting(FakeMailContext.SentMail::getDelay)
                .isEqualTo(Optional.of(new Delay(seconds, TimeUnit.SECONDS)));
        assertThat(attempts()).contains(before + 1);
        assertThat(since()).as("since the first time").contains(NOW.toEpochMilli());
    }

    @Test
    void mailShouldWaitForTwoDaysAndNoLonger() throws Exception {
        put(NOW);
        context.resetSentMails();
        mail.setState("transport");
        Duration twoDays = Duration.ofDays(2);

        put(NOW.plus(twoDays));
        assertThat(context.getSentMails()).hasSize(1);
        assertThat(mail.getState()).isEqualTo(Mail.GHOST);

        context.resetSentMails();
        mail.setState("transport");
        put(NOW.plus(twoDays).plusMillis(1));
        assertThat(context.getSentMails()).isEmpty();
        assertThat(mail.getState()).as("where an administrator finds it").isEqualTo(Mail.ERROR);
        assertThat(mail.getErrorMessage()).isEqualTo(WHY);
    }

    @Test
    void clockThatWasSetBackShouldNotEndTheWaiting() throws Exception {
        put(NOW);
        mail.setState("transport");

        put(NOW.minus(Duration.ofDays(30)));

        assertThat(context.getSentMails()).hasSize(2);
        assertThat(mail.getState()).isEqualTo(Mail.GHOST);
    }

    @Test
    void mailThatTheSpoolDoesNotTakeShouldNotEndHere() {
        MailetContext full = (MailetContext) Proxy.newProxyInstance(
                MailetContext.class.getClassLoader(),
                new Class<?>[] {MailetContext.class},
                (proxy, method, arguments) -> {
                    throw new MessagingException("the disk is full");
                });

        assertThatThrownBy(() -> new TryAgainLater(Clock.fixed(NOW, ZoneOffset.UTC)).put(full, mail, WHY))
                .isInstanceOf(MessagingException.class)
                .hasMessage("the disk is full");

        assertThat(mail.getState()).as("James still has it").isEqualTo("transport");
    }
}
