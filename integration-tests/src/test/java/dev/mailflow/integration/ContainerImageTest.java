/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

import javax.mail.internet.MimeMessage;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

import dev.mailflow.delivery.testing.Inbox;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;

/**
 * The image that {@code docker/Dockerfile} makes, built and run on loopback with podman. Without podman it is skipped
 * on a laptop and fails in CI.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ContainerImageTest {
    private static final String IMAGE = "localhost/mailflow:integration-test";
    private static final String MAILBOX = "postmaster@example.com";

    private final String container = "mailflow-test-" + ProcessHandle.current().pid();
    private final String volume = container + "-data";

    private Podman podman;
    private GatewayScenario.Builder scenario;
    private Path conf;
    private FixedPorts ports;

    @BeforeAll
    void buildAndStart(@TempDir Path scratch, @TempDir Path directory) throws Exception {
        podman = new Podman(scratch);
        Optional<String> missing = Podman.missing();
        if (missing.isEmpty()) {
            missing = failureOf(podman::provideBase).map(failure -> "a base image: " + failure);
        }
        if (missing.isPresent()) {
            String message = "SKIPPED: the container image is not tested for want of " + missing.get();
            assertThat(Project.CI).as(message).isFalse();
            assumeTrue(false, message);
        }
        assertThat(Project.ROOT.resolve("gateway/target/app/lib"))
                .as("what the image copies; 'mvn package' makes it")
                .isNotEmptyDirectory();
        podman.build(IMAGE);

        ports = FixedPorts.free();
        scenario = ports.in(GatewayScenario.in(directory));
        conf = scenario.configuration();
        letEverybodyRead(conf);
        podman.podman("volume", "create", volume);
        podman.run(
                "--detach",
                "--name",
                container,
                "--volume",
                volume + ":/var/lib/mailflow",
                "--volume",
                conf + ":/etc/mailflow:ro",
                IMAGE);
        awaitHealthy();
    }

    @AfterAll
    void remove() throws Exception {
        if (podman != null) {
            podman.ask("rm", "--force", "--volumes", "--time", "5", container);
            podman.ask("volume", "rm", "--force", volume);
        }
    }

    @Test
    void gatewayShouldRunAsAnUnprivilegedUserWhoCannotChangeItsOwnProgram() throws Exception {
        assertThat(podman.podman("exec", container, "cat", "/proc/1/status"))
                .containsPattern("(?m)^Uid:\\s+2500\\s+2500\\s+2500\\s+2500$")
                .containsPattern("(?m)^Gid:\\s+2500\\s+2500\\s+2500\\s+2500$")
                .containsPattern("(?m)^CapEff:\\s+0+$");
        assertThat(podman.podman("exec", container, "cat", "/proc/1/cmdline")).contains("java", "GatewayMain");
        assertThat(podman.podman("exec", container, "find", "/opt/mailflow", "-writable"))
                .isEmpty();
    }

    @Test
    void imageShouldDeclareItsHealthCheckVolumesAndUser() throws Exception {
        JsonNode image =
                new ObjectMapper().readTree(podman.podman("image", "inspect", "--format", "{{json .Config}}", IMAGE));

        assertThat(image.path("User").asText()).isEqualTo("mailflow");
        assertThat(image.path("Volumes").has("/etc/mailflow")).isTrue();
        assertThat(image.path("Volumes").has("/var/lib/mailflow")).isTrue();
        assertThat(image.path("StopSignal").asText()).isEqualTo("SIGTERM");
        assertThat(podman.podman("image", "inspect", "--format", "{{json .HealthCheck}}", IMAGE))
                .contains("/opt/mailflow/bin/healthcheck");
    }

    @Test
    void imageShouldOpenMailPortsToTheNetworkAndKeepTheAdministrationOnLoopback() throws Exception {
        String shipped = podman.run(
                "--rm",
                "--entrypoint",
                "/bin/bash",
                IMAGE,
                "-c",
                "cd /etc/mailflow && cat smtpserver.xml imapserver.xml lmtpserver.xml webadmin.properties");

        assertThat(shipped)
                .contains("<bind>0.0.0.0:2525</bind>", "<bind>0.0.0.0:2587</bind>", "<bind>0.0.0.0:2465</bind>")
                .contains("<bind>0.0.0.0:2143</bind>", "<bind>0.0.0.0:2993</bind>")
                .contains("<bind>127.0.0.1:2424</bind>", "host=127.0.0.1");
    }

    @Test
    void healthCheckShouldSayWhatItMissesWhenNothingListens() throws Exception {
        Podman.Answer answer =
                podman.ask("exec", "--env", "MAILFLOW_CONF=/nonexistent", container, "/opt/mailflow/bin/healthcheck");

        assertThat(answer.code()).isEqualTo(1);
        assertThat(answer.out()).contains("nothing listens on port 8000");
    }

    @Test
    void commandLineShouldAnswerInsideOnTheMountedPolicy() throws Exception {
        ObjectMapper json = new ObjectMapper();

        JsonNode check = json.readTree(podman.podman("exec", container, "mailflow", "check", "--json"));
        assertThat(check.path("good").asBoolean()).isTrue();

        JsonNode explanation = json.readTree(podman.podman(
                "exec",
                container,
                "mailflow",
                "explain",
                "--from=a@fabrikam.test",
                "--to=" + MAILBOX,
                "--client-ip=192.0.2.1",
                "--json"));
        assertThat(explanation.path("recipients").path(0).path("action").asText())
                .isEqualTo("deliverLocal");

        assertThat(podman.ask("exec", container, "mailflow", "chekc").code()).isEqualTo(2);
    }

    @Test
    void deliveredAndWaitingMailShouldSurviveAStop() throws Exception {
        try (ScriptedSmtpPeer peer = ScriptedSmtpPeer.builder().start()) {
            policyWithPartnerAt(FreePort.CLOSED);
            GatewayScenario.await().untilAsserted(() -> assertThat(
                            podman.podman("exec", container, "mailflow", "explain", "--from=", "--to=a@away.test"))
                    .contains("connector away"));
            // that was the file; the gateway reads it a moment later
            GatewayScenario.await().until(() -> log().contains("was before"));
            SmtpSender sender = new SmtpSender("127.0.0.1", ports.smtp());
            sender.send("joe@fabrikam.test", List.of(MAILBOX), SmtpSender.message("delivered"));
            sender.send(MAILBOX, List.of("jane@away.test"), SmtpSender.message("waiting"));
            GatewayScenario.await().untilAsserted(() -> {
                assertThat(subjectsInMailbox()).containsExactly("delivered");
                assertThat(log()).contains("event=routed", "event=deferred");
            });

            podman.podman("stop", "--time", "60", container);

            assertThat(podman.podman("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", container))
                    .as(log())
                    .isEqualTo("exited 143");
            assertThat(log()).contains("event=stopped");
            policyWithPartnerAt(peer.port());

            podman.podman("start", container);
            awaitHealthy();

            GatewayScenario.await().untilAsserted(() -> assertThat(peer.messages())
                    .as(log())
                    .singleElement()
                    .satisfies(message -> assertThat(message.text()).contains("Subject: waiting")));
            assertThat(subjectsInMailbox()).containsExactly("delivered");
            GatewayScenario.await()
                    .untilAsserted(
                            () -> assertThat(log()).contains("event=delivered").contains("connector=away"));
        }
    }

    private void policyWithPartnerAt(int port) throws IOException {
        scenario.policy(
                        """
                        <acceptedDomains><domain>example.com</domain></acceptedDomains>
                        <outboundConnectors>
                          <outboundConnector name="away" type="partner">
                            <recipientDomain>away.test</recipientDomain>
                            <smartHost>127.0.0.1:%d</smartHost>
                            <tls level="none"/>
                            <retry schedule="1s"/>
                          </outboundConnector>
                        </outboundConnectors>"""
                                .formatted(port))
                .configuration();
        letEverybodyRead(conf);
    }

    private void awaitHealthy() {
        GatewayScenario.await().atMost(Duration.ofSeconds(90)).untilAsserted(() -> {
            Podman.Answer answer = podman.ask("exec", container, "/opt/mailflow/bin/healthcheck");
            assertThat(answer.code())
                    .as(answer.out() + answer.err() + System.lineSeparator() + log())
                    .isZero();
        });
    }

    private String log() throws Exception {
        Podman.Answer answer = podman.ask("logs", container);
        return answer.out() + answer.err();
    }

    private List<String> subjectsInMailbox() throws Exception {
        String password = podman.podman("exec", container, "cat", "/var/lib/mailflow/first-mailbox/" + MAILBOX);
        List<String> subjects = new ArrayList<>();
        for (byte[] message : Inbox.imaps(ports.imaps()).messages(MAILBOX, password)) {
            subjects.add(new MimeMessage(null, new ByteArrayInputStream(message)).getSubject());
        }
        return subjects;
    }

    /** The gateway's user is not this test's. */
    private static void letEverybodyRead(Path directory) throws IOException {
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : (Iterable<Path>) files::iterator) {
                Files.setPosixFilePermissions(
                        file, PosixFilePermissions.fromString(Files.isDirectory(file) ? "rwxr-xr-x" : "rw-r--r--"));
            }
        }
    }

    private interface Step {
        void run() throws Exception;
    }

    private static Optional<String> failureOf(Step step) {
        try {
            step.run();
            return Optional.empty();
        } catch (Exception e) {
            return Optional.of(e.getMessage());
        }
    }
}
