/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.connection.ConnectionVerdict;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.connector.ConnectorType;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.Origin;
import dev.mailflow.policy.inbound.TlsSession;

/** Environment, RFC 5183, and the items of our own. */
class Rfc5183EnvironmentTest {
    static InboundFacts facts(String ip) {
        return new InboundFacts(
                IpAddress.parse(ip),
                Optional.of("mx.fabrikam.com"),
                Optional.of("mail.fabrikam.com"),
                Optional.of(new TlsSession("TLSv1.3", "TLS_AES_256_GCM_SHA384")),
                Optional.empty(),
                Optional.of("joe"),
                Optional.empty(),
                Optional.of(new InboundFacts.Connector("fabrikam-in", ConnectorType.PARTNER)),
                ConnectionVerdict.Kind.ALLOW,
                "listed",
                Origin.PARTNER,
                false);
    }

    @DisplayName("section 4.1: items")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "location | MTA",
                "phase | pre",
                "name | Mailflow",
                "remote-ip | 192.0.2.7",
                "remote-host | mx.fabrikam.com",
                "LOCATION | mta",
                "vnd.mailflow.origin | partner",
                "vnd.mailflow.connector | fabrikam-in",
                "vnd.mailflow.helo | mail.fabrikam.com",
                "vnd.mailflow.tls-version | TLSv1.3",
                "vnd.mailflow.tls-cipher | TLS_AES_256_GCM_SHA384",
                "vnd.mailflow.authenticated-user | joe",
                "vnd.mailflow.certificate-subject | ''"
            })
    void itemsShouldBeKnown(String item, String value) throws Exception {
        assertThat(Script.test("environment \"" + item + "\" \"" + value + "\"")
                        .facts(facts("192.0.2.7"))
                        .holds())
                .isTrue();
        assertThat(Script.test("environment \"" + item + "\" \"other\"")
                        .facts(facts("192.0.2.7"))
                        .holds())
                .isFalse();
    }

    @DisplayName("section 4: :contains \"\" is true for a known item and false for an unknown one")
    @ParameterizedTest
    @CsvSource({"host,true", "domain,true", "version,true", "remote-ip,true", "foo,false", "vnd.other.x,false"})
    void onlyKnownItemsShouldExist(String item, boolean expected) throws Exception {
        assertThat(Script.test("environment :contains \"" + item + "\" \"\"").holds())
                .isEqualTo(expected);
    }

    @DisplayName("section 4: an unknown item is no error, but worth a warning")
    @Test
    void unknownItemsShouldBeWarnedAbout() {
        assertThat(Script.test("environment \"remoteip\" \"x\"").errors()).isEmpty();
        assertThat(Script.test("environment \"remoteip\" \"x\"").problems())
                .singleElement()
                .asString()
                .contains("there is no item 'remoteip'", "remote-ip");
    }

    @DisplayName("section 4.1: an IPv6 address has the form of RFC 2821")
    @Test
    void ipv6ShouldHaveItsPrefix() throws Exception {
        assertThat(Script.test("environment \"remote-ip\" \"IPv6:2001:db8::1\"")
                        .facts(facts("2001:db8::1"))
                        .holds())
                .isTrue();
    }

    @DisplayName("no item depends on the recipient")
    @ParameterizedTest
    @ValueSource(strings = {"remote-ip", "vnd.mailflow.origin"})
    void itemsShouldNotDependOnTheRecipient(String item) {
        assertThat(Script.test("environment \"" + item + "\" \"x\"").compiled().dependsOnRecipient())
                .isFalse();
    }
}
