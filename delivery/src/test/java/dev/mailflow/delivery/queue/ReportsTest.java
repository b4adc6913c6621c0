/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CopyOnWriteArrayList;

import javax.mail.Session;
import javax.mail.internet.MimeMessage;

import org.apache.james.core.MaybeSender;
import org.apache.james.metrics.tests.RecordingMetricFactory;
import org.apache.james.queue.api.RawMailQueueItemDecoratorFactory;
import org.apache.james.queue.memory.MemoryMailQueueFactory;
import org.apache.james.server.core.MailImpl;
import org.apache.james.server.core.MimeMessageSource;
import org.apache.james.server.core.MimeMessageWrapper;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.DsnParameters;
import org.apache.mailet.base.test.FakeMailContext;
import org.apache.mailet.base.test.FakeMailContext.SentMail;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.delivery.testing.Connectors;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.delivery.testing.SettableClock;
import dev.mailflow.delivery.transport.PooledSmtpTransport;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.file.FilePolicyRepository;
import dev.mailflow.policy.testing.TestCertificates;

/** What senders are told of mail in the queues. */
class ReportsTest {
    private static final String TEXT = "Subject: of the header\r\nFrom: joe@contoso.com\r\n\r\nof the body\r\n";

    private final SettableClock clock = new SettableClock(Instant.parse("2026-11-23T12:00:00Z"));
    private final FakeMailContext context = FakeMailContext.builder()
            .postmaster(Connectors.address("postmaster@contoso.com"))
            .build();
    private final List<MailFlowEvent> told = new CopyOnWriteArrayList<>();
    private ScriptedSmtpPeer away;
    private ScriptedSmtpPeer home;
    private FilePolicyRepository policies;
    private DeliveryService service;
    private boolean started;

    @BeforeEach
    void prepare(@TempDir Path directory) throws Exception {
        away = ScriptedSmtpPeer.builder()
                .startTls(TestCertificates.selfSigned("away.test"))
                .when("RCPT", "nobody", Action.reply("550 5.1.1 no such user here"))
                .always("RCPT", Action.reply("451 4.3.2 not now"))
                .start();
        home = ScriptedSmtpPeer.builder().start();
        Path file = Files.writeString(
                directory.resolve("mailflow.xml"),
                "<mailflow><outboundConnectors>" + connector("away", away, "opportunistic")
                        + connector("home", home, "opportunistic") + connector("house", home, "none")
                        + "</outboundConnectors></mailflow>");
        policies = new FilePolicyRepository(file, directory, Clock.systemUTC());
        MailFlowEvents events = new MailFlowEvents();
        events.add(told::add);
        service = new DeliveryService(
                policies,
                new MemoryMailQueueFactory(new RawMailQueueItemDecoratorFactory()),
                new RecordingMetricFactory(),
                events,
                clock);
    }

    private static String connector(String name, ScriptedSmtpPeer peer, String level) {
        return "<outboundConnector name=\"" + name + "\" type=\"partner\"><recipientDomain>" + name
                + ".test</recipientDomain><smartHost>127.0.0.1:" + peer.port() + "</smartHost><tls level=\"" + level
                + "\"/><retry schedule=\"1h\" warnAfter=\"4h\" expireAfter=\"2d\"/></outboundConnector>";
    }

    private void start() {
        started = true;
        service.start(context, () -> new PooledSmtpTransport(Outbound.config().build()), "gateway.contoso.com");
    }

    @AfterEach
    void stop() {
        if (started) {
            service.stop();
        }
        policies.close();
        away.close();
        home.close();
    }

    private static MimeMessage message() throws Exception {
        return new MimeMessage(
                Session.getInstance(new Properties()),
                new ByteArrayInputStream(TEXT.getBytes(StandardCharsets.US_ASCII)));
    }

    private static MailImpl mail(String recipient) throws Exception {
        return MailImpl.builder()
                .name(MailImpl.getId())
                .sender(Outbound.SENDER)
                .addRecipient(recipient)
                .mimeMessage(message())
                .build();
    }

    private SentMail report() {
        await().atMost(Duration.ofSeconds(60))
                .until(() -> !context.getSentMails().isEmpty());
        return context.getSentMails().get(0);
    }

    private static String text(SentMail mail) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        mail.getMsg().writeTo(bytes);
        return bytes.toString(StandardCharsets.UTF_8);
    }

    private void send(SentMail report, String connector) throws Exception {
        MailImpl mail = MailImpl.builder()
                .name(MailImpl.getId())
                .sender(MaybeSender.nullSender())
                .addRecipients(report.getRecipients())
                .mimeMessage(report.getMsg())
                .build();
        report.getAttributes().values().forEach(mail::setAttribute);
        service.enqueue(mail, connector);
    }

    @Test
    void reportOfMailThatARuleKeepsFromPlaintextShouldNotLeaveInItEither() throws Exception {
        start();
        MailImpl secret = mail("nobody@away.test");
        secret.setAttribute(new Attribute(DeliveryService.REQUIRE_TLS, AttributeValue.of(true)));
        secret.setDsnParameters(
                DsnParameters.builder().ret(DsnParameters.Ret.FULL).build().orElseThrow());
        service.enqueue(secret, "away");

        SentMail report = report();
        assertThat(text(report)).contains("of the header").doesNotContain("of the body");
        send(report, "home");
        await().atMost(Duration.ofSeconds(60)).untilAsserted(() -> assertThat(told)
                .filteredOn(MailFlowEvent.Deferred.class::isInstance)
                .hasSize(1));
        assertThat(home.messages()).isEmpty();
        // or its sender would never know
        send(report, "house");
        await().atMost(Duration.ofSeconds(60))
                .untilAsserted(() -> assertThat(home.messages()).hasSize(1));
    }

    /** A message of which not more can be read than the text. */
    private static MimeMessageWrapper broken(String readable) throws Exception {
        return new MimeMessageWrapper(new MimeMessageSource() {
            @Override
            public String getSourceId() {
                return "broken";
            }

            @Override
            public InputStream getInputStream() {
                return new SequenceInputStream(
                        new ByteArrayInputStream(readable.getBytes(StandardCharsets.US_ASCII)), new InputStream() {
                            @Override
                            public int read() throws IOException {
                                throw new IOException("bad sector");
                            }

                            @Override
                            public int read(byte[] bytes, int from, int length) throws IOException {
                                throw new IOException("bad sector");
                            }
                        });
            }
        });
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "'Subject: of the header\r\n\r\nof the b' | text/rfc822-headers",
                "'Subject: of the hea' | 'can no longer be read here'",
                "'' | 'can no longer be read here'"
            })
    void senderOfMailThatCannotBeReadShouldBeToldAllTheSame(String readable, String expected) throws Exception {
        MailImpl mail = mail("ann@away.test");
        mail.setMessageNoCopy(broken(readable.translateEscapes()));

        service.fail(
                context,
                "gateway.contoso.com",
                mail,
                List.of(Connectors.address("ann@away.test")),
                "5.4.7",
                "not delivered within 2d");

        assertThat(text(report()))
                .contains("Final-Recipient: rfc822; ann@away.test", "Status: 5.4.7", expected)
                .doesNotContain("of the b");
        assertThat(told).hasAtLeastOneElementOfType(MailFlowEvent.Failed.class);
    }

    private static void arrived(MailImpl mail, Instant when) {
        mail.setAttribute(new Attribute(
                AttributeName.of("dsn-arrival-date"),
                AttributeValue.of(ZonedDateTime.ofInstant(when, ZoneOffset.UTC))));
    }

    @Test
    void ageShouldCountFromWhenTheMailCameIn() throws Exception {
        MailImpl mail = mail("ann@away.test");
        arrived(mail, clock.instant());
        // it waits for a directory, say
        clock.forward(Duration.ofHours(47));
        service.enqueue(mail, "away");
        clock.forward(Duration.ofHours(1));
        start();

        assertThat(text(report())).contains("Status: 5.4.7", "Arrival-Date: Mon, 23 Nov 2026 12:00:00 +0000");
    }

    @Test
    void mailThatWasHeldUntilItWouldExpireShouldHaveItsWholeTimeOnceItIsReleased() throws Exception {
        MailImpl mail = mail("ann@away.test");
        arrived(mail, clock.instant());
        // it lies in quarantine
        clock.forward(Duration.ofDays(3));
        service.enqueue(mail, "away");
        start();

        await().atMost(Duration.ofSeconds(60))
                .untilAsserted(() -> assertThat(told).anyMatch(MailFlowEvent.Deferred.class::isInstance));
        assertThat(context.getSentMails()).isEmpty();
    }

    @Test
    void mailThatWasMadeHereShouldCountFromWhenItWasQueuedAndNoneFromTheFuture() throws Exception {
        MailImpl future = mail("nobody@away.test");
        arrived(future, clock.instant().plus(Duration.ofDays(99)));
        service.enqueue(future, "away");
        service.enqueue(mail("nobody@away.test"), "away");
        start();

        await().atMost(Duration.ofSeconds(60))
                .untilAsserted(() -> assertThat(context.getSentMails()).hasSize(2));
        for (SentMail each : context.getSentMails()) {
            assertThat(text(each)).contains("Arrival-Date: Mon, 23 Nov 2026 12:00:00 +0000");
        }
    }
}
