/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
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
import org.junit.jupiter.params.provider.CsvSource;

import com.google.common.base.Stopwatch;

import dev.mailflow.delivery.SmtpTimeouts;
import dev.mailflow.delivery.testing.BlackHole;
import dev.mailflow.delivery.testing.Connectors;
import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.delivery.transport.PooledSmtpTransport;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.file.FilePolicyRepository;

/** A healthy destination and dead ones in one queue: it must not notice them. */
class BlackHoleTest {
    private static final int MAILS = 200;
    private static final double KEPT = 0.95;
    /** The measure is the peer's pace, not the machine's; what else happens on the machine only ever slows us down. */
    private static final int TRIES = 8;

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

    /** How destinations are dead. */
    private enum Death {
        /** The kernel drops what asks for a connection. */
        DROPPED {
            @Override
            Runnable at(String address, int port) {
                return BlackHole.at(address, port)::close;
            }
        },
        /** The connection is taken, and then nobody says anything. */
        NO_GREETING {
            @Override
            Runnable at(String address, int port) {
                return silentAt("CONNECT", address, port);
            }
        },
        /** The message is taken, and then nobody says anything. */
        NO_LAST_REPLY {
            @Override
            Runnable at(String address, int port) {
                return silentAt("BODY", address, port);
            }
        };

        /** @return ends it */
        abstract Runnable at(String address, int port);

        private static Runnable silentAt(String step, String address, int port) {
            return ScriptedSmtpPeer.builder()
                    .address(address)
                    .port(port)
                    .always(step, Action.silence())
                    .start()::close;
        }
    }

    /** How long all mail for the healthy destination takes. */
    private static Duration deliver(Path directory, Death death, int mails, int holes) throws Exception {
        Path file = Files.writeString(directory.resolve("mailflow.xml"), POLICY);
        try (var closer = new Closing();
                var healthy = ScriptedSmtpPeer.builder()
                        .address("127.0.0.3")
                        .always("BODY", Action.delay(Duration.ofMillis(60)))
                        .start();
                var dns = LocalDns.start()
                        .mx("healthy.test", 10, "mx.healthy.test")
                        .a("mx.healthy.test", "127.0.0.3");
                var policies = new FilePolicyRepository(file, directory, Clock.systemUTC())) {
            for (int i = 0; i < holes; i++) {
                String address = "127.1.0." + (i + 1);
                closer.add(death.at(address, healthy.port()));
                dns.mx("hole" + i + ".test", 10, "mx.hole" + i + ".test").a("mx.hole" + i + ".test", address);
            }
            PooledSmtpTransport transport = new PooledSmtpTransport(Outbound.config()
                    .resolver(dns.resolver())
                    .mxPort(healthy.port())
                    .timeouts(SmtpTimeouts.DEFAULT.atMost(Duration.ofSeconds(60)))
                    .build());
            DeliveryService service = new DeliveryService(
                    policies,
                    new MemoryMailQueueFactory(new RawMailQueueItemDecoratorFactory()),
                    new RecordingMetricFactory(),
                    new MailFlowEvents());
            service.start(FakeMailContext.defaultContext(), () -> transport, "gateway.contoso.com");
            try {
                Stopwatch watch = Stopwatch.createStarted();
                for (int i = 0; i < mails; i++) {
                    if (holes > 0) {
                        enqueue(service, "x@hole" + i % holes + ".test");
                    }
                    enqueue(service, "x@healthy.test");
                }
                Awaitility.await()
                        .atMost(Duration.ofSeconds(60))
                        .pollInterval(Duration.ofMillis(10))
                        .until(() -> healthy.messages().size() == mails);
                return watch.elapsed();
            } finally {
                // or the stop would wait for those who wait for black holes
                transport.close();
                service.stop();
            }
        }
    }

    /** Closes many things. */
    private static final class Closing implements AutoCloseable {
        private final List<Runnable> all = new ArrayList<>();

        void add(Runnable each) {
            all.add(each);
        }

        @Override
        public void close() {
            all.forEach(Runnable::run);
        }
    }

    @ParameterizedTest
    @CsvSource({"DROPPED, 20", "DROPPED, 200", "NO_GREETING, 20", "NO_LAST_REPLY, 1", "NO_LAST_REPLY, 20"})
    void healthyDestinationShouldKeepItsThroughput(Death death, int holes, @TempDir Path directory) throws Exception {
        deliver(directory, death, MAILS / 10, holes);
        double best = 0;
        for (int i = 0; i < TRIES && best < KEPT; i++) {
            Duration alone = deliver(directory, death, MAILS, 0);
            Duration beside = deliver(directory, death, MAILS, holes);
            best = Math.max(best, (double) alone.toMillis() / beside.toMillis());
            System.out.printf("%s: alone %s, beside %d %s%n", death, alone, holes, beside);
        }

        assertThat(best).as("share of the throughput that is kept").isGreaterThanOrEqualTo(KEPT);
    }
}
