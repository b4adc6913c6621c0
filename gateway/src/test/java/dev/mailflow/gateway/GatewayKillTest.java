/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import javax.mail.MessagingException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The gateway in a process of its own, as bin/gateway starts it, killed without a chance to tidy up. */
class GatewayKillTest {
    private static final int MAILS = 3_000;
    private static final int SENDERS = 8;
    private static final int KILL_AFTER = 120;
    private static final Duration START = Duration.ofSeconds(90);
    private static final Pattern SMTP = Pattern.compile("(?m)^  smtp +127\\.0\\.0\\.1:(\\d+)");

    @TempDir
    Path temporary;

    @Test
    void everyAcknowledgedMailShouldArriveAfterTheProcessWasKilled() throws Exception {
        SampleConfiguration conf = SampleConfiguration.copyTo(temporary.resolve("conf"));
        for (String file : List.of("smtpserver.xml", "imapserver.xml", "lmtpserver.xml")) {
            String text = Files.readString(conf.directory().resolve(file));
            conf.write(file, text.replaceAll("127\\.0\\.0\\.1:\\d+</bind>", "127.0.0.1:0</bind>"));
        }
        conf.replace("webadmin.properties", "port=8000", "port=0");
        Path data = temporary.resolve("data");
        Set<String> acknowledged = ConcurrentHashMap.newKeySet();

        Process process = start(conf.directory(), data);
        try {
            int port = awaitPort();
            List<Future<?>> sending = new ArrayList<>();
            ExecutorService senders = Executors.newFixedThreadPool(SENDERS);
            for (int i = 0; i < MAILS; i++) {
                String subject = "Mail " + i;
                sending.add(senders.submit(() -> sendUnlessDown(port, subject, acknowledged)));
            }
            await().atMost(START).pollInterval(Duration.ofMillis(10)).until(() -> acknowledged.size() >= KILL_AFTER);
            process.destroyForcibly().waitFor();
            senders.shutdown();
            for (Future<?> each : sending) {
                each.get();
            }
        } finally {
            process.destroyForcibly();
        }
        assertThat(acknowledged).hasSizeBetween(KILL_AFTER, MAILS - 1);

        try (Gateway gateway =
                Gateway.builder().conf(conf.directory()).data(data).build().start()) {
            FirstMailbox mailbox = gateway.firstMailbox().orElseThrow();
            await().atMost(Duration.ofSeconds(120))
                    .pollInterval(Duration.ofSeconds(1))
                    .untilAsserted(() ->
                            assertThat(MailClient.subjects(gateway, mailbox)).containsAll(acknowledged));
        }
    }

    private static void sendUnlessDown(int port, String subject, Set<String> acknowledged) {
        try {
            MailClient.send(port, "you@example.net", "postmaster@example.com", subject);
            acknowledged.add(subject);
        } catch (MessagingException e) {
            // a client that got no 250 sends again later; not this test's business
        }
    }

    private Process start(Path conf, Path data) throws Exception {
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx512m",
                        "-cp",
                        System.getProperty("java.class.path"),
                        GatewayMain.class.getName(),
                        "--conf",
                        conf.toString(),
                        "--data",
                        data.toString())
                .redirectErrorStream(true)
                .redirectOutput(output())
                .start();
    }

    private File output() {
        return temporary.resolve("gateway.log").toFile();
    }

    private int awaitPort() {
        await().atMost(START).until(() -> Files.readString(output().toPath()).contains("Stop it with"));
        try {
            Matcher port = SMTP.matcher(Files.readString(output().toPath()));
            assertThat(port.find()).isTrue();
            return Integer.parseInt(port.group(1));
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}
