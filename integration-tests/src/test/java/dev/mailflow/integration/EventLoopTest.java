/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.mailflow.integration.DoorClient.Way;

/** What blocks in one SMTP dialogue stops neither the event loop nor any other dialogue. */
class EventLoopTest {
    private static final int SLOW = 40;
    private static final int QUICK = 8;

    @Test
    @Timeout(120)
    void blockedLookUpsShouldDelayNobodyElse(@TempDir Path directory) throws Exception {
        List<DoorClient> waiting = new ArrayList<>();
        ExecutorService clients = Executors.newFixedThreadPool(QUICK);
        ListAppender<ILoggingEvent> log = new ListAppender<>();
        Logger events = (Logger) LoggerFactory.getLogger("mailflow.event");
        log.start();
        events.addAppender(log);
        try (GatewayScenario scenario = GatewayScenario.in(directory)
                .edit("smtpserver.xml", text -> text.replaceFirst(
                                "<verifyIdentity>", "<ioWorkerCount>1</ioWorkerCount><verifyIdentity>")
                        .replaceFirst(
                                "<handler class=\"dev.mailflow.hooks.AcceptedRecipientHook\"/>",
                                "<handler class=\"" + SlowRecipientHook.class.getName()
                                        + "\"/><handler class=\"dev.mailflow.hooks.AcceptedRecipientHook\"/>"))
                .policy(
                        """
                        <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                        <transportRules><rule name="No offers" atSmtp="true"><sieve><![CDATA[
                          require ["body", "reject"];
                          if body :contains "offer" { reject "No offers."; }
                        ]]></sieve></rule></transportRules>""")
                .start()) {
            scenario.gateway().addUser("joe@contoso.com", "secret");
            int port = scenario.gateway().port("smtp");
            for (int i = 0; i < SLOW; i++) {
                DoorClient slow = Way.plain("127.0.0.1").open(port);
                waiting.add(slow);
                slow.command("MAIL FROM:<a@example.test>");
                slow.send("RCPT TO:<slow@contoso.com>\r\n".getBytes(StandardCharsets.US_ASCII));
            }
            assertThat(SlowRecipientHook.ARE_WAITING.tryAcquire(SLOW, 60, TimeUnit.SECONDS))
                    .isTrue();

            List<Future<String>> replies = new ArrayList<>();
            for (int i = 0; i < QUICK; i++) {
                replies.add(clients.submit(() -> {
                    String reply = "";
                    for (int message = 0; message < 20; message++) {
                        try (DoorClient quick = Way.plain("127.0.0.1").open(port)) {
                            reply = quick.deliver("<a@example.test>", "joe@contoso.com", "Subject: quick\r\n\r\n");
                        }
                    }
                    return reply;
                }));
            }
            for (Future<String> reply : replies) {
                assertThat(reply.get(60, TimeUnit.SECONDS)).startsWith("250");
            }
            // rules read whole messages, at the end of DATA
            try (DoorClient offering = Way.plain("127.0.0.1").open(port)) {
                assertThat(offering.deliver("<a@example.test>", "joe@contoso.com", "Subject: x\r\n\r\nAn offer.\r\n"))
                        .isEqualTo("550 5.7.1 No offers.");
            }
            assertThat(threadsOf(log, "stage=rule"))
                    .isNotEmpty()
                    .noneMatch(thread -> thread.contains("-io"))
                    .allMatch(thread -> thread.contains("-dialogue-"));

            SlowRecipientHook.MAY_GO_ON.release(SLOW);
            for (DoorClient slow : waiting) {
                assertThat(slow.reply()).isEqualTo("550 5.1.10 Recipient not found");
            }
            assertThat(SlowRecipientHook.THREADS).isNotEmpty().noneMatch(thread -> thread.contains("-io"));
        } finally {
            events.detachAppender(log);
            SlowRecipientHook.MAY_GO_ON.release(SLOW);
            clients.shutdownNow();
            for (DoorClient slow : waiting) {
                slow.close();
            }
        }
    }

    private static List<String> threadsOf(ListAppender<ILoggingEvent> log, String word) {
        List<ILoggingEvent> lines;
        synchronized (log) {
            lines = List.copyOf(log.list);
        }
        return lines.stream()
                .filter(line -> line.getFormattedMessage().contains(word))
                .map(ILoggingEvent::getThreadName)
                .toList();
    }
}
