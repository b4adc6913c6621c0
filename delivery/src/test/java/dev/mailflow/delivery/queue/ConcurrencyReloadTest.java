/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.stream.IntStream;

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
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.SmtpTimeouts;
import dev.mailflow.delivery.testing.Connectors;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.delivery.transport.PooledSmtpTransport;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.file.FilePolicyRepository;

/** How many mails of a queue are under way at once is what the policy in force says. */
class ConcurrencyReloadTest {
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final int MAILS = 40;

    @TempDir
    Path directory;

    private final CountDownLatch answer = new CountDownLatch(1);
    private final List<MailFlowEvent> deferred = new CopyOnWriteArrayList<>();
    private ScriptedSmtpPeer smartHost;
    private FilePolicyRepository policies;
    private DeliveryService service;

    @BeforeEach
    void start() {
        smartHost =
                ScriptedSmtpPeer.builder().always("BODY", Action.when(answer)).start();
    }

    private void startWith(String policy) throws Exception {
        write(policy);
        MailFlowEvents events = new MailFlowEvents();
        events.add(event -> {
            if (event instanceof MailFlowEvent.Deferred) {
                deferred.add(event);
            }
        });
        policies = new FilePolicyRepository(directory.resolve("mailflow.xml"), directory, Clock.systemUTC());
        service = new DeliveryService(
                policies,
                new MemoryMailQueueFactory(new RawMailQueueItemDecoratorFactory()),
                new RecordingMetricFactory(),
                events);
        service.start(
                FakeMailContext.defaultContext(),
                () -> new PooledSmtpTransport(
                        Outbound.config().timeouts(SmtpTimeouts.DEFAULT).build()),
                "gateway.contoso.com");
    }

    @AfterEach
    void stop() {
        answer.countDown();
        service.stop();
        policies.close();
        smartHost.close();
    }

    private String connector(int connections) {
        return """
                <outboundConnector name="relay" type="internet">
                  <recipientDomain>*</recipientDomain><smartHost port="%d">127.0.0.1</smartHost><tls level="none"/>
                  <limits connections="%d" perDestination="%d"/>
                </outboundConnector>
                """
                .formatted(smartHost.port(), connections, connections);
    }

    private void write(String connectors) throws Exception {
        Path draft = Files.writeString(
                directory.resolve("draft.xml"),
                "<mailflow><outboundConnectors>" + connectors + "</outboundConnectors></mailflow>");
        Files.move(draft, directory.resolve("mailflow.xml"), StandardCopyOption.REPLACE_EXISTING);
    }

    private void reload(String connectors) throws Exception {
        String before = policies.current().version();
        write(connectors);
        await().atMost(PATIENCE).until(() -> !policies.current().version().equals(before));
    }

    private void enqueueMany() throws Exception {
        for (int i = 0; i < MAILS; i++) {
            enqueue("x" + i);
        }
    }

    private void enqueue(String localPart) throws Exception {
        MimeMessage message = new MimeMessage(Session.getInstance(new Properties()));
        message.setText("Good morning.");
        message.saveChanges();
        MailImpl mail = MailImpl.builder()
                .name(MailImpl.getId())
                .sender(MaybeSender.of(Outbound.SENDER))
                .addRecipient(Connectors.address(localPart + "@fabrikam.com"))
                .mimeMessage(message)
                .build();
        service.enqueue(mail, "relay");
        LifecycleUtil.dispose(mail);
    }

    private void awaitAtOnce(int number) {
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(smartHost.openConnections()).isEqualTo(number));
    }

    private void assertThatAllArriveOnce() {
        answer.countDown();
        List<String> expected = IntStream.range(0, MAILS)
                .mapToObj(i -> "RCPT TO:<x" + i + "@fabrikam.com>")
                .toList();
        await().atMost(PATIENCE).untilAsserted(() -> assertThat(smartHost.messages().stream()
                        .flatMap(message -> message.recipients().stream())
                        // the one that was deferred at first comes in its own time
                        .filter(recipient -> !recipient.contains("first")))
                .containsExactlyInAnyOrderElementsOf(expected));
    }

    @Test
    void moreConnectionsShouldBeUsedForMailThatIsQueuedAlready() throws Exception {
        startWith(connector(1));
        enqueueMany();
        awaitAtOnce(1);

        reload(connector(20));

        awaitAtOnce(20);
        assertThatAllArriveOnce();
    }

    @Test
    void connectorThatWasNotThereAtTheStartShouldUseAllItsConnections() throws Exception {
        startWith("");
        enqueue("first");
        await().atMost(PATIENCE).until(() -> !deferred.isEmpty());

        reload(connector(20));
        enqueueMany();

        awaitAtOnce(20);
        assertThatAllArriveOnce();
    }
}
