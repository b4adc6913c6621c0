/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.hybrid;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import dev.mailflow.policy.testing.PolicyXml;

class SecureMailTest {
    private static final String PIN = "<sha256>" + "ab".repeat(32) + "</sha256>";

    private static TlsRequirement cloudTls(String secureMail, String tls) {
        return PolicyXml.policy(HybridPolicies.topology("internalRelay", "<secureMail>" + secureMail + "</secureMail>")
                        .replace("<tls level=\"encrypt\"/>", tls))
                .outboundConnectors()
                .find("cloud-out")
                .orElseThrow()
                .tls();
    }

    @ParameterizedTest
    @CsvSource({
        "opportunistic, DOMAIN",
        "encrypt, DOMAIN",
        "ca, DOMAIN",
        "domain, DOMAIN",
        "pinned, PINNED",
        "dane, DANE"
    })
    void levelShouldBeRaisedToNamedCertificatesAndNeverLowered(String written, TlsLevel demanded) {
        String pins = written.equals("pinned") ? PIN : "";
        String tls = "<tls level=\"" + written + "\">" + pins + "</tls>";

        assertThat(cloudTls("true", tls).level()).isEqualTo(demanded);
        assertThat(cloudTls("false", tls).level()).hasToString(written);
    }

    @ParameterizedTest
    @CsvSource({"opportunistic", "encrypt", "ca", "domain"})
    void raisedLevelShouldHoldWhatTheCloudPublishesAsBefore(String written) {
        TlsRequirement tls = cloudTls("true", "<tls level=\"" + written + "\" dane=\"true\" mtaSts=\"true\"/>");

        assertThat(tls.level()).isEqualTo(TlsLevel.DOMAIN);
        assertThat(tls.dane()).isTrue();
        assertThat(tls.mtaSts()).isTrue();
    }
}
