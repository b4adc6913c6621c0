/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.Properties;

import javax.mail.Session;
import javax.mail.internet.MimeMessage;

import org.apache.james.core.MaybeSender;
import org.apache.james.lifecycle.api.LifecycleUtil;
import org.apache.james.metrics.tests.RecordingMetricFactory;
import org.apache.james.queue.api.RawMailQueueItemDecoratorFactory;
import org.apache.james.queue.memory.MemoryMailQueueFactory;
import org.apache.james.server.core.MailImpl;
import org.apache.mailet.base.test.FakeMailContext;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import com.google.common.base.Stopwatch;

import dev.mailflow.delivery.SmtpTimeouts;
import dev.mailflow.delivery.testing.Connectors;
import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.delivery.transport.PooledSmtpTransport;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.file.FilePolicyRepository;

/** Two destinations in one queue, one of them a black hole: the other must not notice. */
class BlackHoleTest {
    private static final int MAILS = 400;
    private static final double KEPT = 0.95;
    /** The measure is the peer's pace, not the machine's; what else happens on the machine only ever slows us down. */
    private static final int TRIES = 3;

    private static final String POLICY =
            """
            <mailflow><outboundConnectors><outboundConnector name="internet" type="internet">
              <recipientDomain>*</recipientDomain><useMx>true</useMx><tls level="none"/>
              <limits connections="20" perDestination="4"/>
            </outboundConnector></outboundConnectors></mailflow>
            """;

    private static void enqueue(DeliveryService service, String recipient) throws Exception {
        MailImpl mail = mail(recipient);
        service.enqueue(mail, "internet");
        LifecycleUtil.dispose(mail);
    }

    private static MailImpl mail(String recipient) throws Exception {
        MimeMessage message = new MimeMessage(Session.getInstance(new Properties()));
        message.setText("Good morning.");
        message.saveChanges();
        return MailImpl.builder()
                .name(MailImpl.getId())
                .sender(MaybeSender.of(Outbound.SENDER))
                .addRecipient(Connectors.address(recipient))
                .mimeMessage(message)
                .build();
    }

    /** How long all mail for the healthy destination takes. */
    private static Duration deliver(Path directory, String step, int mails, boolean withBlackHole) throws Exception {
        Path file = Files.writeString(directory.resolve("mailflow.xml"), POLICY);
        try (var hole = ScriptedSmtpPeer.builder()
                        .address("127.0.0.2")
                        .always(step, Action.silence())
                        .start();
                var healthy = ScriptedSmtpPeer.builder()
                        .address("127.0.0.3")
                        .port(hole.port())
                        .always("BODY", Action.delay(Duration.ofMillis(60)))
                        .start();
                var dns = LocalDns.start()
                        .mx("hole.test", 10, "mx.hole.test")
                        .a("mx.hole.test", "127.0.0.2")
                        .mx("healthy.test", 10, "mx.healthy.test")
                        .a("mx.healthy.test", "127.0.0.3");
                var policies = new FilePolicyRepository(file, directory, Clock.systemUTC())) {
            DeliveryService service = new DeliveryService(
                    policies,
                    new MemoryMailQueueFactory(new RawMailQueueItemDecoratorFactory()),
                    new RecordingMetricFactory(),
                    new MailFlowEvents());
            service.start(
                    FakeMailContext.defaultContext(),
                    () -> new PooledSmtpTransport(Outbound.config()
                            .resolver(dns.resolver())
                            .mxPort(hole.port())
                            .timeouts(SmtpTimeouts.DEFAULT.atMost(Duration.ofSeconds(60)))
                            .build()),
                    "gateway.contoso.com");
            try {
                Stopwatch watch = Stopwatch.createStarted();
                for (int i = 0; i < mails; i++) {
                    if (withBlackHole) {
                        enqueue(service, "x@hole.test");
                    }
                    enqueue(service, "x@healthy.test");
                }
                Awaitility.await()
                        .atMost(Duration.ofSeconds(60))
                        .pollInterval(Duration.ofMillis(10))
                        .until(() -> healthy.messages().size() == mails);
                return watch.elapsed();
            } finally {
                service.stop();
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"CONNECT", "BODY"})
    void healthyDestinationShouldKeepItsThroughput(String step, @TempDir Path directory) throws Exception {
        deliver(directory, step, MAILS / 10, true);
        double best = 0;
        for (int i = 0; i < TRIES && best < KEPT; i++) {
            Duration alone = deliver(directory, step, MAILS, false);
            Duration beside = deliver(directory, step, MAILS, true);
            best = Math.max(best, (double) alone.toMillis() / beside.toMillis());
            System.out.printf("%s: alone %s, beside a black hole %s%n", step, alone, beside);
        }

        assertThat(best).as("share of the throughput that is kept").isGreaterThanOrEqualTo(KEPT);
    }
}
