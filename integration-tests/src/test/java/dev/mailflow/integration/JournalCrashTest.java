/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.delivery.testing.ScriptedSmtpPeer;

/** A gateway that dies between the report on a message and the end of the message's processing. */
class JournalCrashTest {
    @Test
    void messageShouldHaveOneReportWhenTheGatewayDiesAfterMakingIt(@TempDir Path directory) throws Exception {
        try (ScriptedSmtpPeer world = ScriptedSmtpPeer.builder().start()) {
            FixedPorts ports = FixedPorts.free();
            Path died = directory.resolve("died");
            Path conf = ports.in(GatewayScenario.in(directory))
                    .edit(
                            "mailetcontainer.xml",
                            text -> text.replace(
                                    "<!-- the transport rules of mailflow.xml",
                                    "<mailet match=\"All\" class=\"dev.mailflow.mailets.Journal\">"
                                            + "<journalMailbox>journal@archive.test</journalMailbox></mailet>"
                                            + "<mailet match=\"All\" class=\"" + HaltOnce.class.getName() + "\">"
                                            + "<done>" + died + "</done></mailet>"
                                            + "<!-- the transport rules of mailflow.xml"))
                    .policy(
                            """
                            <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                            <outboundConnectors>
                              <outboundConnector name="internet" type="internet">
                                <recipientDomain>*</recipientDomain>
                                <smartHost>127.0.0.1:%d</smartHost>
                                <tls level="none"/>
                              </outboundConnector>
                            </outboundConnectors>"""
                                    .formatted(world.port()))
                    .configuration();
            SmtpSender sender = new SmtpSender("127.0.0.1", ports.smtp());
            try (ForkedProcess gateway = CrashTest.gateway(directory, conf)) {
                CrashTest.awaitReady(gateway);
                try {
                    sender.send("joe@contoso.com", List.of("jane@fabrikam.com"), SmtpSender.message("before"));
                } catch (IOException e) {
                    // it may die before it answers, with the mail on its disk
                }
                assertThat(gateway.exitCode(60)).isEqualTo(9);
            }
            assertThat(Files.exists(died)).isTrue();

            try (ForkedProcess gateway = CrashTest.gateway(directory, conf)) {
                CrashTest.awaitReady(gateway);
                GatewayScenario.await().untilAsserted(() -> assertThat(to(world, "jane@fabrikam.com", "before"))
                        .isEqualTo(1));
                // the reports of both go the same way, in order
                sender.send("joe@contoso.com", List.of("jane@fabrikam.com"), SmtpSender.message("after"));
                GatewayScenario.await()
                        .until(() -> to(world, "journal@archive.test", "after") == 1
                                && to(world, "jane@fabrikam.com", "after") == 1
                                && to(world, "journal@archive.test", "before") > 0);
                assertThat(gateway.terminate(60)).as(gateway.output()).isEqualTo(143);
            }
            assertThat(to(world, "journal@archive.test", "before")).isEqualTo(1);
            assertThat(to(world, "jane@fabrikam.com", "before")).isEqualTo(1);
        }
    }

    private static long to(ScriptedSmtpPeer world, String recipient, String subject) {
        return world.messages().stream()
                .filter(message -> message.recipients().toString().contains(recipient)
                        && message.text().contains("\nSubject: " + subject + "\r\n"))
                .count();
    }
}
