/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;

import javax.mail.Session;
import javax.mail.internet.MimeMessage;

import org.apache.james.core.MaybeSender;
import org.apache.james.lifecycle.api.LifecycleUtil;
import org.apache.james.metrics.tests.RecordingMetricFactory;
import org.apache.james.queue.api.RawMailQueueItemDecoratorFactory;
import org.apache.james.queue.memory.MemoryMailQueueFactory;
import org.apache.james.server.core.MailImpl;
import org.apache.mailet.base.test.FakeMailContext;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.SmtpTimeouts;
import dev.mailflow.delivery.testing.Connectors;
import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.delivery.testing.SettableClock;
import dev.mailflow.delivery.transport.PooledSmtpTransport;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.file.FilePolicyRepository;

/** A destination that takes its time gets all its mail as fast as it takes it. */
class SlowDestinationTest {
    private static final String ADDRESS = "127.0.0.3";
    private static final Duration PATIENCE = Duration.ofMinutes(4);
    private static final Duration SLOW = Duration.ofMillis(2500);

    private static final SmtpTimeouts WITHOUT_END = new SmtpTimeouts(
            PATIENCE,
            PATIENCE,
            PATIENCE,
            PATIENCE,
            PATIENCE,
            PATIENCE,
            PATIENCE,
            PATIENCE,
            PATIENCE,
            Duration.ofDays(1));

    @TempDir
    Path directory;

    private final SettableClock clock = new SettableClock(Instant.parse("2026-11-23T12:00:00Z"));
    private final List<AutoCloseable> open = new ArrayList<>();
    private final List<MailFlowEvent> events = new CopyOnWriteArrayList<>();

    private <T extends AutoCloseable> T keep(T each) {
        open.add(0, each);
        return each;
    }

    @AfterEach
    void close() throws Exception {
        for (AutoCloseable each : open) {
            each.close();
        }
    }

    /** What is deferred does not come back while a test waits. */
    private DeliveryService start(int port, int perDestination, Clock transportClock) throws Exception {
        Path file = Files.writeString(
                directory.resolve("mailflow.xml"),
                """
                <mailflow><outboundConnectors><outboundConnector name="internet" type="internet">
                  <recipientDomain>*</recipientDomain><useMx>true</useMx><tls level="none"/>
                  <limits connections="20" perDestination="%d"/>
                  <retry schedule="1h" warnAfter="4h" expireAfter="2d"/>
                </outboundConnector></outboundConnectors></mailflow>
                """
                        .formatted(perDestination));
        LocalDns dns =
                keep(LocalDns.start()).mx("slow.test", 10, "mx.slow.test").a("mx.slow.test", ADDRESS);
        MailFlowEvents observed = new MailFlowEvents();
        observed.add(events::add);
        PooledSmtpTransport transport = new PooledSmtpTransport(Outbound.config()
                .resolver(dns.resolver())
                .mxPort(port)
                .timeouts(WITHOUT_END)
                .clock(transportClock)
                .build());
        DeliveryService service = new DeliveryService(
                keep(new FilePolicyRepository(file, directory, Clock.systemUTC())),
                new MemoryMailQueueFactory(new RawMailQueueItemDecoratorFactory()),
                new RecordingMetricFactory(),
                observed);
        service.start(FakeMailContext.defaultContext(), () -> transport, "gateway.contoso.com");
        keep(() -> {
            transport.close();
            service.stop();
        });
        return service;
    }

    private static void enqueue(DeliveryService service, int mails) throws Exception {
        for (int i = 0; i < mails; i++) {
            MimeMessage message = new MimeMessage(Session.getInstance(new Properties()));
            message.setText("Good morning.");
            message.saveChanges();
            MailImpl mail = MailImpl.builder()
                    .name(MailImpl.getId())
                    .sender(MaybeSender.of(Outbound.SENDER))
                    .addRecipient(Connectors.address("x" + i + "@slow.test"))
                    .mimeMessage(message)
                    .build();
            service.enqueue(mail, "internet");
            LifecycleUtil.dispose(mail);
        }
    }

    private <T extends MailFlowEvent> List<T> events(Class<T> kind) {
        return events.stream().filter(kind::isInstance).map(kind::cast).toList();
    }

    private void awaitDelivered(int mails) {
        await().atMost(PATIENCE).untilAsserted(() -> assertThat(events(MailFlowEvent.Delivered.class))
                .hasSize(mails));
    }

    @Test
    void dozensOfMailsShouldAllLeaveWithoutADeferral() throws Exception {
        ScriptedSmtpPeer slow = keep(ScriptedSmtpPeer.builder()
                .address(ADDRESS)
                .always("BODY", Action.delay(SLOW))
                .start());

        enqueue(start(slow.port(), 5, Clock.systemUTC()), 40);

        awaitDelivered(40);
        assertThat(events(MailFlowEvent.Deferred.class)).isEmpty();
        assertThat(slow.messages()).hasSize(40);
        assertThat(slow.mostOpenConnections()).isLessThanOrEqualTo(5);
    }

    /** All its connections are busy at the same time, so that nothing comes of any of them for long. */
    @Test
    void moreMailThanMayWaitShouldLookAgainSoonAndTakeNoStepOfTheSchedule() throws Exception {
        ScriptedSmtpPeer slow = keep(ScriptedSmtpPeer.builder()
                .address(ADDRESS)
                .always("BODY", Action.delay(SLOW))
                .start());

        enqueue(start(slow.port(), 15, Clock.systemUTC()), 150);

        awaitDelivered(150);
        assertThat(slow.messages()).hasSize(150);
        assertThat(events(MailFlowEvent.Delivered.class))
                .extracting(MailFlowEvent.Delivered::attempt)
                .containsOnly(1);
        assertThat(events(MailFlowEvent.Deferred.class))
                .extracting(MailFlowEvent.Deferred::reason)
                .allMatch(reason -> reason.contains("has made no progress for 1 s or more"));
    }

    /** One mail is under way, another waits for its connection, and the third is turned away. */
    @Test
    void mailThatIsTurnedAwayShouldLeaveSoonAfterItsDestinationAnswers() throws Exception {
        CountDownLatch answer = new CountDownLatch(1);
        ScriptedSmtpPeer hanging = keep(ScriptedSmtpPeer.builder()
                .address(ADDRESS)
                .always("BODY", Action.when(answer))
                .start());
        enqueue(start(hanging.port(), 1, clock), 3);
        await().atMost(PATIENCE).until(() -> hanging.sessions().stream()
                .anyMatch(session -> session.commands().contains("DATA")));

        await().atMost(PATIENCE).untilAsserted(() -> {
            // the reply to DATA may come after any of these
            clock.forward(Duration.ofSeconds(20));
            assertThat(events(MailFlowEvent.Deferred.class)).hasSize(1);
        });
        MailFlowEvent.Deferred turnedAway = events(MailFlowEvent.Deferred.class).get(0);
        assertThat(turnedAway.status()).isEqualTo("4.4.5");
        assertThat(turnedAway.reason()).contains("has made no progress for 60 s or more");
        assertThat(turnedAway.attempt()).isEqualTo(1);
        answer.countDown();

        awaitDelivered(3);
        assertThat(hanging.messages()).hasSize(3);
        assertThat(events(MailFlowEvent.Delivered.class))
                .extracting(MailFlowEvent.Delivered::attempt)
                .containsOnly(1);
        assertThat(events(MailFlowEvent.Deferred.class)).as("told once").hasSize(1);
    }
}
