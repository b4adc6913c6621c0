/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import static dev.mailflow.delivery.testing.Connectors.address;
import static dev.mailflow.delivery.testing.Connectors.connector;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.delivery.DeliveryConfig.Dnssec;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.RecipientOutcome.Deferred;
import dev.mailflow.delivery.TlsUsed;
import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import dev.mailflow.policy.testing.TestCertificates;

/** Look-ups that fail (RFC 7672 section 2.1): mail waits only where a record that binds it may be hidden by that. */
class UntoldAddressTest {
    private static final TestCertificates.Issued OWN = TestCertificates.selfSigned("mx.d.test");
    private static final TestCertificates.Issued OTHER = TestCertificates.selfSigned("mx.d.test");

    private LocalDns dns;
    private ScriptedSmtpPeer four;
    private ScriptedSmtpPeer six;
    private Outbound outbound;

    @BeforeEach
    void start() {
        four = ScriptedSmtpPeer.builder().address("127.0.0.2").startTls(OWN).start();
        six = ScriptedSmtpPeer.builder()
                .address("::1")
                .port(four.port())
                .startTls(OWN)
                .start();
        dns = LocalDns.start()
                .mx("d.test", 10, "mx.d.test")
                .a("mx.d.test", four.address())
                .aaaa("mx.d.test", "::1")
                .vouchFor("d.test");
        outbound = Outbound.start(Outbound.config()
                .mxPort(four.port())
                .dnssec(new Dnssec.TrustedResolver(dns.address()))
                .build());
    }

    @AfterEach
    void stop() {
        outbound.close();
        dns.close();
        six.close();
        four.close();
    }

    @ParameterizedTest
    @CsvSource({
        // what is known suffices
        "AAAA, DANE, OWN, four: dane: _",
        "A, DANE, OWN, six: dane: _",
        "A, OPPORTUNISTIC, OWN, six: dane: _",
        "A, OPPORTUNISTIC, absent, six: opportunistic",
        // and binds
        "A, OPPORTUNISTIC, OTHER, none of the TLSA records vouches for",
        "A, DANE, absent, has no signed TLSA records",
        // a record may be hidden
        "A and AAAA, OPPORTUNISTIC, OWN, deferred: DANE: host 'mx.d.test' cannot be looked up",
        "TLSA, OPPORTUNISTIC, OWN, deferred: DANE: TLSA records of",
        "MX, OPPORTUNISTIC, OWN, deferred: MX records of 'd.test' cannot be looked up"
    })
    void underDnssec(String untold, TlsLevel level, String published, String expected) {
        if (!published.equals("absent")) {
            TestCertificates.Issued key = published.equals("OWN") ? OWN : OTHER;
            dns.tlsa("mx.d.test", four.port(), TestCertificates.spkiSha256(key.certificate()));
        }

        assertThat(send(untold, level)).contains(expected);
        assertThat(four.messages()).hasSize(expected.startsWith("four") ? 1 : 0);
        assertThat(six.messages()).hasSize(expected.startsWith("six") ? 1 : 0);
    }

    @ParameterizedTest
    @CsvSource({"AAAA, four: opportunistic", "A, six: opportunistic", "TLSA, four: opportunistic"})
    void ofAHostThatIsNotSigned(String untold, String expected) {
        dns.mx("e.test", 10, "mx.e.test").a("mx.e.test", four.address()).aaaa("mx.e.test", "::1");
        dns.tlsa("mx.e.test", four.port(), TestCertificates.spkiSha256(OTHER.certificate()));
        dns.replaceMx("d.test", 10, "mx.e.test");

        assertThat(send(untold, TlsLevel.OPPORTUNISTIC)).isEqualTo(expected);
    }

    private String send(String untold, TlsLevel level) {
        for (String type : untold.split(" and ")) {
            for (String host : List.of("mx.d.test", "mx.e.test")) {
                switch (type) {
                    case "MX" -> dns.servfail("d.test", type);
                    case "TLSA" -> dns.servfail("_" + four.port() + "._tcp." + host, type);
                    default -> dns.servfail(host, type);
                }
            }
        }
        var recipient = address("x@d.test");
        RecipientOutcome outcome = outbound.send(
                        connector()
                                .tls(TlsRequirement.of(level).heeding(false, true))
                                .build(),
                        Outbound.message(recipient))
                .outcomes()
                .get(recipient);
        if (outcome instanceof Deferred deferred) {
            return "deferred: " + deferred.reason();
        }
        return (six.messages().isEmpty() ? "four: " : "six: ")
                + outcome.hop()
                        .flatMap(hop -> hop.tls())
                        .map(TlsUsed::verification)
                        .orElse("plaintext");
    }
}
