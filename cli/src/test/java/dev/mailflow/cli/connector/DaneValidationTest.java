/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.connector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.cli.Mailflow;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.SignedDns;
import dev.mailflow.policy.testing.TestCertificates;
import picocli.CommandLine;

/** {@code validate-connector} and {@code check} with DANE: really signed zones, real handshakes. */
class DaneValidationTest {
    private static final TestCertificates.Issued OWN = TestCertificates.selfSigned("mx.sec.test");

    @TempDir
    static Path zones;

    @TempDir
    private Path conf;

    private static ScriptedSmtpPeer peer;
    private static SignedDns dns;

    private final StringWriter out = new StringWriter();

    @BeforeAll
    static void start() {
        boolean available = SignedDns.isAvailable();
        if (!available && Boolean.getBoolean("mailflow.ci")) {
            throw new IllegalStateException("found no knotd, keymgr and unbound, expected them in CI");
        }
        assumeTrue(available, "SKIPPED: install knot and unbound");
        peer = ScriptedSmtpPeer.builder().startTls(OWN).start();
        String good = TestCertificates.spkiSha256(OWN.certificate());
        dns = SignedDns.start(
                zones,
                """
                good MX 10 mx-good
                mx-good A 127.0.0.1
                _%1$d._tcp.mx-good TLSA 3 1 1 %2$s
                _%1$d._tcp.mx-good TLSA 3 1 1 %3$s
                other MX 10 mx-other
                mx-other A 127.0.0.1
                _%1$d._tcp.mx-other TLSA 3 1 1 %3$s
                pkix MX 10 mx-pkix
                mx-pkix A 127.0.0.1
                _%1$d._tcp.mx-pkix TLSA 1 1 1 %2$s
                none MX 10 mx-none
                mx-none A 127.0.0.1
                forged MX 10 mx-bogus
                mx-bogus A 127.0.0.1
                """
                        .formatted(peer.port(), good, "ab".repeat(32)),
                "unsigned MX 10 mx-good.sec.test.\n");
    }

    @AfterAll
    static void stop() {
        if (dns != null) {
            dns.close();
            peer.close();
        }
    }

    private void policy(String tls) throws IOException {
        Files.writeString(
                conf.resolve("mailflow.xml"),
                """
                <mailflow><outboundConnectors>
                  <outboundConnector name="out" type="partner">
                    <recipientDomain>*.test</recipientDomain><useMx>true</useMx>
                    %s
                  </outboundConnector>
                </outboundConnectors></mailflow>
                """
                        .formatted(tls));
    }

    private void mailets(String parameters) throws IOException {
        Files.writeString(
                conf.resolve("mailetcontainer.xml"),
                """
                <mailetcontainer><processors><processor state="relay">
                  <mailet match="All" class="dev.mailflow.mailets.RouteToConnector">%s</mailet>
                </processor></processors></mailetcontainer>
                """
                        .formatted(parameters));
    }

    private int run(String... arguments) {
        CommandLine commandLine = Mailflow.commandLine(Map.of(), Clock.systemUTC());
        commandLine.setOut(new PrintWriter(out, true));
        commandLine.setErr(new PrintWriter(out, true));
        return commandLine.execute(arguments);
    }

    private int validate(String domain, String... more) {
        List<String> all = new ArrayList<>(List.of(
                "validate-connector",
                "--conf",
                conf.toString(),
                "--timeout",
                "20",
                "--mx-port",
                String.valueOf(peer.port()),
                "--domain",
                domain,
                "out"));
        all.addAll(List.of(more));
        return run(all.toArray(String[]::new));
    }

    private static String resolver() {
        return "127.0.0.1:" + dns.resolver().getPort();
    }

    @Test
    void recordThatMatchesShouldBeNamed() throws Exception {
        policy("<tls level='dane'/>");
        mailets("<trustedResolver>" + resolver() + "</trustedResolver>");

        assertThat(validate("good.sec.test")).as(out.toString()).isZero();

        String good = TestCertificates.spkiSha256(OWN.certificate());
        assertThat(out.toString())
                .contains("ok       TLSA           signed records at _" + peer.port() + "._tcp.mx-good.sec.test: ")
                .contains("3 1 1 " + "ab".repeat(32))
                .contains("; vouched for by TLSA 3 1 1 " + good + "\n")
                .contains("The connector works.");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "other.sec.test | none of the TLSA records vouches for certificate | must publish the new TLSA record (3 1 1 ",
                "pkix.sec.test | none is of a kind that counts for mail | must publish usage 3 or 2",
                "none.sec.test | has no signed TLSA records | use level ca, domain or pinned",
                "unsigned.plain.test | are not signed | use level ca, domain or pinned",
                "forged.sec.test | SERVFAIL; delivery sends nothing there now | the zone's DNSSEC is broken"
            })
    void whatIsWrongShouldBeSaidWithItsMend(String domain, String wrong, String mend) throws Exception {
        policy("<tls level='dane'/>");

        assertThat(validate(domain, "--trusted-resolver", resolver()))
                .as(out.toString())
                .isEqualTo(1);

        assertThat(out.toString()).contains(wrong, "to mend it: ", mend).contains("The connector does not work.");
    }

    @Test
    void opportunisticConnectorShouldShowWhatItWouldHold() throws Exception {
        policy("<tls level='opportunistic' dane='true'/>");

        assertThat(validate("none.sec.test", "--trusted-resolver", resolver())).isZero();
        assertThat(out.toString()).contains("skipped  TLSA           '_", "has no signed TLSA records");
    }

    @Test
    void connectorWithoutAnyoneWhoKnowsDnssecShouldSayWhereToNameOne() throws Exception {
        policy("<tls level='dane'/>");
        mailets("");

        assertThat(validate("good.sec.test", "--dns", resolver())).isEqualTo(1);
        assertThat(out.toString())
                .contains("failed   TLSA           no DNS resolver is trusted")
                .contains("<trustedResolver>", "--trusted-resolver");
    }

    @Test
    void checkShouldWarnOfDaneThatNobodyCanVouchFor() throws Exception {
        mailets("");
        policy("<tls level='opportunistic' dane='true'/>");
        assertThat(run("check", "--conf", conf.toString())).isZero();
        assertThat(out.toString())
                .contains("mailflow.xml:2: warning: outbound connector 'out' has dane=\"true\" without effect")
                .contains("<trustedResolver>127.0.0.1</trustedResolver>");

        policy("<tls level='dane'/>");
        assertThat(run("check", "--conf", conf.toString())).isEqualTo(1);
        assertThat(out.toString())
                .contains("mailflow.xml:2: error: outbound connector 'out' can never succeed at TLS level dane");
    }

    @ParameterizedTest
    @CsvSource({
        "<trustedResolver>127.0.0.1:5353</trustedResolver>, 0, The policy is good.",
        "<trustedResolver>localhost</trustedResolver>, 1, expected an address or address:port",
        "<rootTrustAnchors>file://conf/none.key</rootTrustAnchors>, 1, which cannot be read"
    })
    void checkShouldJudgeWhoIsNamed(String parameter, int exit, String said) throws Exception {
        mailets(parameter);
        policy("<tls level='dane'/>");

        assertThat(run("check", "--conf", conf.toString())).isEqualTo(exit);
        assertThat(out.toString()).contains(said);
    }

    @Test
    void checkShouldSayNothingWhereNoMailetContainerIs() throws Exception {
        policy("<tls level='dane'/>");

        assertThat(run("check", "--conf", conf.toString())).isZero();
    }
}
