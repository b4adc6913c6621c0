/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.mailflow.integration.DoorClient.Way;
import dev.mailflow.policy.event.MailFlowEvent;

/** What James refuses by itself, below the hooks, is one event like every refusal, and no stranger writes a stack trace. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class DoorRefusalsTest {
    private static final String LONG = "x".repeat(9_000);

    private final ListAppender<ILoggingEvent> log = new ListAppender<>();
    private GatewayScenario scenario;
    private int port;

    @BeforeAll
    void start(@TempDir Path directory) throws Exception {
        scenario = GatewayScenario.in(directory)
                .edit("smtpserver.xml", text -> text.replace("<maxmessagesize>25M<", "<maxmessagesize>100K<"))
                .policy("<acceptedDomains><domain>contoso.com</domain></acceptedDomains>")
                .start();
        scenario.gateway().addUser("joe@contoso.com", "secret");
        port = scenario.gateway().port("smtp");
        log.start();
        root().addAppender(log);
    }

    private static ch.qos.logback.classic.Logger root() {
        return (ch.qos.logback.classic.Logger) LoggerFactory.getLogger(Logger.ROOT_LOGGER_NAME);
    }

    @AfterAll
    void stop() {
        root().detachAppender(log);
        scenario.close();
    }

    @BeforeEach
    void forget() {
        synchronized (log) {
            log.list.clear();
        }
    }

    private List<ILoggingEvent> lines() {
        synchronized (log) {
            return List.copyOf(log.list);
        }
    }

    private List<MailFlowEvent.Refused> refusals() {
        return scenario.events(MailFlowEvent.Refused.class);
    }

    private void assertToldOnce(int before, String stage, String reply) {
        GatewayScenario.await().untilAsserted(() -> assertThat(refusals()).hasSizeGreaterThan(before));
        assertThat(refusals()).hasSize(before + 1);
        MailFlowEvent.Refused refusal = refusals().get(before);
        assertThat(refusal.stage()).isEqualTo(stage);
        assertThat(refusal.clientIp()).isEqualTo("127.0.0.9");
        assertThat(refusal.reply()).isEqualTo(reply);
        assertThat(lines()).allSatisfy(line -> assertThat(line.getThrowableProxy())
                .as(line.getFormattedMessage())
                .isNull());
    }

    private DoorClient inContent() throws Exception {
        DoorClient client = Way.plain("127.0.0.9").open(port);
        assertThat(client.command("MAIL FROM:<a@example.test>")).startsWith("250");
        assertThat(client.command("RCPT TO:<joe@contoso.com>")).startsWith("250");
        assertThat(client.command("DATA")).startsWith("354");
        return client;
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "NONSENSE | 500",
                "RCPT TO:<joe@contoso.com> | 503",
                "MAIL FROM:joe | 501",
                // joe and his password, which would be right
                "AUTH PLAIN AGpvZUBjb250b3NvLmNvbQBzZWNyZXQ= | 538 5.7.11 Encryption required",
                "AUTH LOGIN | 538",
                "MAIL FROM:<a@example.test> SIZE=200000 | 552",
                "MAIL FROM:<a@example.test> SMTPUTF8 | 555 5.5.4 MAIL parameter SMTPUTF8 is not offered by this server",
                "MAIL FROM:<a@example.test> BODY=BINARYMIME | 555 5.5.4 MAIL parameter BODY=BINARYMIME is not offered",
                "MAIL FROM:<a@example.test> body=9BIT | 501 5.5.4",
                "MAIL FROM:<a@example.test> SIZE=20 HOLDFOR=7 | 555 5.5.4 MAIL parameter HOLDFOR",
                "MAIL FROM:<a@example.test> REQUIRETLS | 530 5.7.10",
                "RCPT TO:<joe@contoso.com> RRVS=2014-04-03 | 555 5.5.4 RCPT parameter RRVS",
                "MAIL FROM:<a@example.test> SIZE=99999999999 | 501"
            })
    void refusedCommandShouldBeToldOnceAndTheSessionGoesOn(String command, String code) throws Exception {
        int before = refusals().size();
        try (DoorClient client = Way.plain("127.0.0.9").open(port)) {
            String reply = client.command(command);

            assertThat(reply).startsWith(code);
            assertToldOnce(before, "protocol", reply);
            assertThat(client.command("RSET")).startsWith("250");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "MAIL FROM:<a@example.test> BODY=8BITMIME SIZE=200 RET=HDRS ENVID=x1 AUTH=<>",
                "MAIL FROM:<a@example.test> body=7bit",
                "MAIL FROM:<a@example.test> XOORG=example.test"
            })
    void parameterThatIsKnownShouldBeTaken(String command) throws Exception {
        try (DoorClient client = Way.plain("127.0.0.9").open(port)) {
            assertThat(client.command(command)).startsWith("250");
            assertThat(client.command("RCPT TO:<joe@contoso.com> NOTIFY=NEVER ORCPT=rfc822;joe@contoso.com"))
                    .startsWith("250");
        }
    }

    @Test
    void commandThatIsTooLongShouldBeToldOnceAndTheSessionGoesOn() throws Exception {
        int before = refusals().size();
        try (DoorClient client = Way.plain("127.0.0.9").open(port)) {
            String reply = client.command("NOOP " + LONG);

            assertThat(reply).startsWith("500");
            assertToldOnce(before, "protocol", reply);
            assertThat(refusals().get(before).reason()).contains("longer than 8192 bytes");
            assertThat(client.command("NOOP")).startsWith("250");
        }
    }

    @Test
    void messageWithALineThatIsTooLongShouldBeRefusedAsAWhole() throws Exception {
        int before = refusals().size();
        int taken = scenario.events(MailFlowEvent.Attributed.class).size();
        try (DoorClient client = inContent()) {
            client.send(("Subject: long\r\n\r\n" + LONG + "\r\nRSET\r\n.\r\nMAIL FROM:<smuggled@example.test>\r\n")
                    .getBytes(StandardCharsets.US_ASCII));
            String reply = client.reply();

            assertThat(reply).startsWith("500");
            assertThat(client.reply()).isEmpty();
            assertToldOnce(before, "protocol", reply);
            assertThat(refusals().get(before).sender()).contains("a@example.test");
        }
        assertThat(scenario.events(MailFlowEvent.Attributed.class)).hasSize(taken);
    }

    @Test
    void bareLineFeedShouldBeToldOnce() throws Exception {
        int before = refusals().size();
        try (DoorClient client = inContent()) {
            client.send("Subject: smuggling\n\r\n".getBytes(StandardCharsets.US_ASCII));
            String reply = client.reply();

            assertThat(reply).isEqualTo("500 5.0.0 line delimiter must be CRLF");
            assertToldOnce(before, "protocol", reply);
        }
    }

    @Test
    void messageThatIsTooLargeShouldBeToldOnceWithItsSender() throws Exception {
        int before = refusals().size();
        try (DoorClient client = inContent()) {
            client.send(
                    ("Subject: large\r\n\r\n" + "0123456789\r\n".repeat(20_000)).getBytes(StandardCharsets.US_ASCII));
            String reply = client.command(".");

            assertThat(reply).startsWith("552");
            assertToldOnce(before, "protocol", reply);
            assertThat(refusals().get(before).sender()).contains("a@example.test");
            assertThat(client.command("NOOP")).startsWith("250");
        }
    }

    @Test
    void commandBehindStartTlsShouldBeToldOnce() throws Exception {
        int before = refusals().size();
        try (DoorClient client = Way.plain("127.0.0.9").open(port)) {
            client.send("STARTTLS\r\nMAIL FROM:<a@example.test>\r\n".getBytes(StandardCharsets.US_ASCII));
            String reply = client.reply();

            assertThat(reply).startsWith("451");
            assertToldOnce(before, "protocol", reply);
        }
    }

    @Test
    void handshakeThatIsNoneShouldBeToldOnce() throws Exception {
        int before = refusals().size();
        try (DoorClient client = Way.plain("127.0.0.9").open(port)) {
            assertThat(client.command("STARTTLS")).startsWith("220");
            client.send("GET / HTTP/1.1\r\n\r\n".getBytes(StandardCharsets.US_ASCII));

            assertToldOnce(before, "tls", "connection closed");
        }
    }

    @Test
    void connectionThatBreaksShouldBeNoRefusalAndNoStackTrace() throws Exception {
        int before = refusals().size();
        try (DoorClient client = inContent()) {
            client.send("Subject: broken".getBytes(StandardCharsets.US_ASCII));
            client.reset();
        }
        GatewayScenario.await()
                .untilAsserted(() -> assertThat(lines()).anySatisfy(line -> assertThat(line.getFormattedMessage())
                        .contains("event=connection-lost client=127.0.0.9")));
        assertThat(refusals()).hasSize(before);
        assertThat(lines())
                .allSatisfy(line -> assertThat(line.getThrowableProxy()).isNull());
    }
}
