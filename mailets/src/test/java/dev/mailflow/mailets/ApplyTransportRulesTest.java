/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

import javax.mail.MessagingException;
import javax.mail.internet.AddressException;

import org.apache.james.core.MailAddress;
import org.apache.james.core.MaybeSender;
import org.apache.james.mailrepository.api.MailKey;
import org.apache.james.mailrepository.api.MailRepository;
import org.apache.james.mailrepository.api.MailRepositoryPath;
import org.apache.james.mailrepository.api.MailRepositoryStore;
import org.apache.james.mailrepository.api.MailRepositoryUrl;
import org.apache.james.mailrepository.api.Protocol;
import org.apache.james.metrics.tests.RecordingMetricFactory;
import org.apache.james.queue.api.RawMailQueueItemDecoratorFactory;
import org.apache.james.queue.memory.MemoryMailQueueFactory;
import org.apache.james.server.core.MailImpl;
import org.apache.james.server.core.MimeMessageInputStreamSource;
import org.apache.mailet.Mail;
import org.apache.mailet.MailetContext;
import org.apache.mailet.base.test.FakeMailContext;
import org.apache.mailet.base.test.FakeMailContext.SentMail;
import org.apache.mailet.base.test.FakeMailetConfig;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import dev.mailflow.delivery.queue.DeliveryService;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.testing.GivenPolicy;

/** What becomes of mail when something cannot be done: nothing is lost, let through or done twice. */
class ApplyTransportRulesTest {
    private static final String CONTENT = "Subject: hello\r\n\r\nbody\r\n";
    private static final String ONE = "one@away.test";
    private static final String TWO = "two@away.test";

    private final GivenPolicy policy = GivenPolicy.of(
            """
            <transportRules>
              <rule name="quarantine"><sieve><![CDATA[
                require ["envelope", "vnd.mailflow"];
                if envelope "to" "held@away.test" { quarantine "held"; }
              ]]></sieve></rule>
              <rule name="tag"><sieve><![CDATA[
                require ["envelope", "editheader"];
                if envelope "to" "two@away.test" { addheader "X-Two" "yes"; }
              ]]></sieve></rule>
              <rule name="fails"><sieve><![CDATA[
                require ["variables"];
                if header :matches "X-To" "*" { redirect "${1}"; }
              ]]></sieve></rule>
            </transportRules>""");
    private final AdjustableClock clock = new AdjustableClock();
    private final List<MailFlowEvent> events = new ArrayList<>();
    private final List<MailImpl> mails = new ArrayList<>();
    private final Repositories repositories = new Repositories();
    private final FakeMailContext context =
            FakeMailContext.builder().postmaster(postmaster()).build();

    private static MailAddress postmaster() {
        try {
            return new MailAddress("postmaster@contoso.test");
        } catch (AddressException e) {
            throw new IllegalStateException(e);
        }
    }

    @AfterEach
    void disposeOfMails() {
        mails.forEach(MailImpl::dispose);
    }

    private static final class AdjustableClock extends Clock {
        private Instant now = Instant.parse("2026-11-24T12:00:00Z");

        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            return this;
        }

        @Override
        public Instant instant() {
            return now;
        }
    }

    /** Repositories in memory that can be out of order. */
    private static final class Repositories implements MailRepositoryStore {
        private final Map<MailRepositoryUrl, List<String>> stored = new LinkedHashMap<>();
        private boolean broken;

        @Override
        public MailRepository select(MailRepositoryUrl url) {
            return new MailRepository() {
                @Override
                public MailKey store(Mail mail) throws MessagingException {
                    if (broken) {
                        throw new MessagingException("the disk is full");
                    }
                    stored.computeIfAbsent(url, unused -> new ArrayList<>())
                            .add(mail.getName() + " to " + mail.getRecipients());
                    return MailKey.forMail(mail);
                }

                @Override
                public Iterator<MailKey> list() {
                    throw new UnsupportedOperationException();
                }

                @Override
                public Mail retrieve(MailKey key) {
                    throw new UnsupportedOperationException();
                }

                @Override
                public long size() {
                    return stored.getOrDefault(url, List.of()).size();
                }

                @Override
                public void remove(MailKey key) {
                    throw new UnsupportedOperationException();
                }

                @Override
                public void removeAll() {
                    throw new UnsupportedOperationException();
                }
            };
        }

        @Override
        public Optional<Protocol> defaultProtocol() {
            return Optional.empty();
        }

        @Override
        public Optional<MailRepository> get(MailRepositoryUrl url) {
            return Optional.of(select(url));
        }

        @Override
        public Stream<MailRepository> getByPath(MailRepositoryPath path) {
            return Stream.empty();
        }

        @Override
        public Stream<MailRepositoryUrl> getUrls() {
            return stored.keySet().stream();
        }
    }

    private ApplyTransportRules mailet(String... parameters) throws MessagingException {
        return mailet(context, parameters);
    }

    private ApplyTransportRules mailet(MailetContext in, String... parameters) throws MessagingException {
        MailFlowEvents sinks = new MailFlowEvents();
        sinks.add(events::add);
        DeliveryService delivery = new DeliveryService(
                policy,
                new MemoryMailQueueFactory(new RawMailQueueItemDecoratorFactory()),
                new RecordingMetricFactory(),
                sinks,
                clock);
        ApplyTransportRules mailet =
                new ApplyTransportRules(policy, delivery, repositories, new RecordingMetricFactory(), sinks, clock);
        FakeMailetConfig.Builder config = FakeMailetConfig.builder()
                .mailetName("ApplyTransportRules")
                .mailetContext(in)
                .setProperty("heloName", "mx.contoso.test");
        for (int i = 0; i < parameters.length; i += 2) {
            config.setProperty(parameters[i], parameters[i + 1]);
        }
        mailet.init(config.build());
        return mailet;
    }

    private MailImpl mail(String sender, String content, String... recipients) throws Exception {
        MailImpl.Builder builder = MailImpl.builder()
                .name("m1")
                .state("root")
                .sender(MaybeSender.getMailSender(sender))
                .remoteAddr("192.0.2.1");
        for (String recipient : recipients) {
            builder.addRecipient(recipient);
        }
        MailImpl mail = builder.build();
        mail.setMessageContent(MimeMessageInputStreamSource.create(
                "m1", new ByteArrayInputStream(content.getBytes(StandardCharsets.UTF_8))));
        mails.add(mail);
        return mail;
    }

    private static List<String> recipients(Mail mail) {
        return mail.getRecipients().stream().map(Object::toString).toList();
    }

    @Test
    void copiesShouldGoOnInTheProcessorAndNotBeJudgedAgain() throws Exception {
        ApplyTransportRules mailet = mailet("processor", "filtering");
        MailImpl mail = mail("joe@contoso.test", CONTENT, ONE, TWO);

        mailet.service(mail);

        assertThat(mail.getState()).isEqualTo("filtering");
        assertThat(recipients(mail)).containsExactly(ONE);
        assertThat(mail.getMessage().getHeader("X-Two")).isNull();
        assertThat(context.getSentMails()).singleElement().satisfies(copy -> {
            assertThat(copy.getState()).isEqualTo("filtering");
            assertThat(copy.getRecipients()).extracting(Object::toString).containsExactly(TWO);
            assertThat(copy.getMsg().getHeader("X-Two")).containsExactly("yes");
        });
        int before = events.size();
        mailet.service(mail);
        assertThat(events).hasSize(before);
    }

    @Test
    void copiesWithoutAProcessorShouldComeBackMarked() throws Exception {
        ApplyTransportRules mailet = mailet();
        MailImpl mail = mail("joe@contoso.test", CONTENT, ONE, TWO);

        mailet.service(mail);

        assertThat(mail.getState()).isEqualTo("root");
        SentMail copy = context.getSentMails().get(0);
        assertThat(copy.getState()).isEqualTo("root");
        MailImpl back = mail("joe@contoso.test", "X-MS-Exchange-Organization-SCL: 5\r\n" + CONTENT, TWO);
        copy.getAttributes().values().forEach(back::setAttribute);
        new HeaderFirewall(policy, new MailFlowEvents()).service(back);
        assertThat(back.getMessage().getHeader("X-MS-Exchange-Organization-SCL"))
                .containsExactly("5");
        mailet.service(back);
        assertThat(back.getState()).isEqualTo("root");
        assertThat(context.getSentMails()).hasSize(1);
        assertThat(MailMarks.isCopyOfRules(back)).isFalse();
    }

    @Test
    void actionThatCannotBeDoneShouldWaitAlone() throws Exception {
        repositories.broken = true;
        ApplyTransportRules mailet = mailet();
        MailImpl mail = mail("joe@contoso.test", CONTENT, ONE, "held@away.test");

        mailet.service(mail);

        assertThat(recipients(mail)).containsExactly(ONE);
        assertThat(mail.getState()).isEqualTo("root");
        SentMail waiting = context.getSentMails().get(0);
        assertThat(waiting.getRecipients()).extracting(Object::toString).containsExactly("held@away.test");
        assertThat(waiting.getState()).isEqualTo("root");
        assertThat(waiting.getDelay())
                .contains(new FakeMailContext.Delay(Duration.ofMinutes(1).toMillis(), TimeUnit.MILLISECONDS));

        repositories.broken = false;
        MailImpl again = mail("joe@contoso.test", CONTENT, "held@away.test");
        waiting.getAttributes().values().forEach(again::setAttribute);
        // whatever the rules say by now, this was decided
        policy.replace("");
        mailet.service(again);

        assertThat(again.getState()).isEqualTo(Mail.GHOST);
        assertThat(repositories.stored).hasSize(1).allSatisfy((url, kept) -> {
            assertThat(url).isEqualTo(MailRepositoryUrl.from("file://var/mail/held/"));
            assertThat(kept).hasSize(1);
        });
    }

    @Test
    void failingScriptShouldDeferTheMailAndGiveItBackInTheEnd() throws Exception {
        ApplyTransportRules mailet = mailet();
        MailImpl mail = mail("joe@contoso.test", "X-To: nobody at all\r\n" + CONTENT, ONE, TWO);
        List<Duration> waits = new ArrayList<>();

        for (int attempt = 1; attempt <= 6; attempt++) {
            mail.setState("root");
            mailet.service(mail);
            assertThat(mail.getState()).isEqualTo(Mail.GHOST);
            SentMail waiting = context.getSentMails().get(attempt - 1);
            assertThat(waiting.getRecipients()).hasSize(2);
            waits.add(Duration.ofMillis(((MailFlowEvent.RulesDeferred) events.get(events.size() - 1))
                            .nextAttempt()
                            .toEpochMilli()
                    - clock.now.toEpochMilli()));
        }
        assertThat(waits).extracting(Duration::toMinutes).containsExactly(1L, 5L, 15L, 30L, 60L, 60L);

        clock.now = clock.now.plus(Duration.ofDays(2));
        context.resetSentMails();
        mail.setState("root");
        mailet.service(mail);

        assertThat(mail.getState()).isEqualTo(Mail.GHOST);
        assertThat(context.getSentMails()).singleElement().satisfies(report -> {
            assertThat(report.getRecipients()).extracting(Object::toString).containsExactly("joe@contoso.test");
            assertThat(report.getMsg().getContentType()).contains("delivery-status");
        });
    }

    @Test
    void spoolThatTakesNothingShouldLeaveTheRestToTheErrorProcessor() throws Exception {
        ApplyTransportRules mailet = mailet(brokenSpool());
        MailImpl mail = mail("joe@contoso.test", CONTENT, ONE, TWO);

        mailet.service(mail);

        assertThat(mail.getState()).isEqualTo(Mail.ERROR);
        assertThat(recipients(mail)).containsExactlyInAnyOrder(ONE, TWO);
        assertThat(MailMarks.isJudged(mail)).isFalse();
    }

    /** A context whose spool is out of order. */
    private static MailetContext brokenSpool() {
        return (MailetContext) Proxy.newProxyInstance(
                MailetContext.class.getClassLoader(),
                new Class<?>[] {MailetContext.class},
                (proxy, method, arguments) -> {
                    if (method.getName().equals("sendMail")) {
                        throw new MessagingException("the queue is closed");
                    }
                    return method.invoke(FakeMailContext.defaultContext(), arguments);
                });
    }

    @Test
    void mailThatNothingConcernsShouldKeepItsBytes() throws Exception {
        MailImpl mail = mail("joe@contoso.test", CONTENT, ONE);
        Object message = mail.getMessage();

        mailet().service(mail);

        assertThat(mail.getMessage()).isSameAs(message);
        assertThat(mail.getState()).isEqualTo("root");
    }

    @Test
    void wrongQuarantineShouldBeRefusedAtTheStart() {
        assertThatThrownBy(() -> mailet("quarantine", "not a url"))
                .isInstanceOf(MessagingException.class)
                .hasMessageContaining("parameter <quarantine>")
                .hasMessageContaining("'not a url'");
    }
}
