/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Map;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

import dev.mailflow.cli.Mailflow;
import picocli.CommandLine;

/** {@code mailflow explain --url}: the same question, to a gateway that knows its users. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ExplainRunningGatewayTest {
    private GatewayScenario scenario;

    @BeforeAll
    void start(@TempDir Path directory) throws Exception {
        scenario = GatewayScenario.in(directory)
                .policy(
                        """
                        <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                        <outboundConnectors>
                          <outboundConnector name="fabrikam-out" type="partner">
                            <recipientDomain>fabrikam.com</recipientDomain>
                            <smartHost>mail.fabrikam.com</smartHost>
                            <tls level="domain"/>
                          </outboundConnector>
                        </outboundConnectors>""")
                .start();
        scenario.gateway().addUser("joe@contoso.com", "secret-of-joe");
    }

    @AfterAll
    void stop() {
        if (scenario != null) {
            scenario.close();
        }
    }

    private record Answer(int exitCode, String out, String err) {
        JsonNode json() throws Exception {
            return new ObjectMapper().readTree(out);
        }
    }

    private Answer explain(String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        CommandLine commandLine = Mailflow.commandLine(Map.of(), Clock.systemUTC());
        commandLine.setOut(new PrintWriter(out, true));
        commandLine.setErr(new PrintWriter(err, true));
        int exitCode = commandLine.execute(arguments);
        return new Answer(exitCode, out.toString(), err.toString());
    }

    private String url() {
        return "http://127.0.0.1:" + scenario.gateway().port("webadmin");
    }

    private String passwordFile() {
        return scenario.gateway().data().resolve("webadmin.password").toString();
    }

    @ParameterizedTest
    @CsvSource({
        "joe@contoso.com, accept, deliverLocal, local",
        "JOE@contoso.com, accept, deliverLocal, local",
        "nobody@contoso.com, reject, reject, unknown",
        "jane@fabrikam.com, accept, relay, remote",
    })
    void runningGatewayShouldKnowItsUsers(String to, String decision, String action, String location) throws Exception {
        Answer answer = explain(
                "explain",
                "--json",
                "--url",
                url(),
                "--password-file",
                passwordFile(),
                "--from",
                "joe@contoso.com",
                "--to",
                to);

        assertThat(answer.err()).isEmpty();
        assertThat(answer.json().get("decision").asText()).isEqualTo(decision);
        assertThat(answer.json().at("/recipients/0/action").asText()).isEqualTo(action);
        assertThat(answer.json().at("/recipients/0/location").asText()).isEqualTo(location);
        assertThat(answer.exitCode()).isEqualTo(decision.equals("accept") ? 0 : 1);
    }

    @Test
    void administrationShouldWantItsPassword() {
        Answer answer = explain("explain", "--url", url(), "--from", "joe@contoso.com", "--to", "joe@contoso.com");

        assertThat(answer.exitCode()).isEqualTo(1);
        assertThat(answer.err()).contains("--password-file");
    }

    @Test
    void absenceOfAGatewayShouldBeTold() {
        Answer answer =
                explain("explain", "--url", "http://127.0.0.1:1", "--from", "joe@contoso.com", "--to", "a@b.com");

        assertThat(answer.exitCode()).isEqualTo(1);
        assertThat(answer.err()).contains("nobody answers at http://127.0.0.1:1");
    }
}
