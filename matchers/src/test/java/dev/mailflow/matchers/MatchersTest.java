/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.matchers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Clock;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Optional;

import javax.mail.MessagingException;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;
import org.apache.mailet.Matcher;
import org.apache.mailet.base.test.FakeMail;
import org.apache.mailet.base.test.FakeMatcherConfig;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.certificate.HypotheticalCertificate;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.inbound.ClientSession;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.TlsSession;
import dev.mailflow.policy.testing.GivenPolicy;
import dev.mailflow.policy.testing.PolicyXml;

class MatchersTest {
    private static final Clock CLOCK = Clock.fixed(PolicyXml.NOW, ZoneOffset.UTC);

    private final GivenPolicy policies = GivenPolicy.of(
            """
            <connectionFilter>
              <allow>192.0.2.1</allow>
              <allow senderDomain="fabrikam.com">198.51.100.1</allow>
              <block>192.0.2.0/24</block>
            </connectionFilter>
            <inboundConnectors>
              <inboundConnector name="cloud-in" type="organization">
                <clientCertificate name="*.cloud.example"/>
                <internalHeaders>preserve</internalHeaders>
              </inboundConnector>
            </inboundConnectors>
            <outboundConnectors>
              <outboundConnector name="fabrikam-out" type="partner">
                <recipientDomain>*.fabrikam.com</recipientDomain>
                <useMx>true</useMx>
              </outboundConnector>
              <outboundConnector name="off" type="partner" enabled="false">
                <recipientDomain>off.com</recipientDomain>
                <useMx>true</useMx>
              </outboundConnector>
            </outboundConnectors>""");

    private static FakeMail.Builder mail() throws MessagingException {
        return FakeMail.builder()
                .name("mail")
                .sender("joe@contoso.com")
                .recipients("a@fabrikam.com", "b@example.org", "c@eu.fabrikam.com");
    }

    private static Mail from(String address) throws MessagingException {
        return mail().remoteAddr(address).build();
    }

    private static <M extends Matcher> M initialised(M matcher, String condition) throws MessagingException {
        matcher.init(FakeMatcherConfig.builder()
                .matcherName("matcher")
                .condition(condition)
                .build());
        return matcher;
    }

    private static boolean matches(Matcher matcher, Mail mail) throws MessagingException {
        List<MailAddress> matched = List.copyOf(matcher.match(mail));
        assertThat(matched).isIn(List.of(), List.copyOf(mail.getRecipients()));
        return !matched.isEmpty();
    }

    private Mail stamped(ClientSession session) throws MessagingException {
        InboundFacts facts = InboundFacts.of(
                session,
                policies.current().inboundConnectors().attribute(session, Optional.empty(), PolicyXml.NOW),
                policies.current().connectionFilter().verdict(session.clientIp(), Optional.empty(), PolicyXml.NOW),
                PolicyXml.NOW);
        // James saw a proxy's address, the facts know the client's
        return mail().remoteAddr("203.0.113.99")
                .attribute(new Attribute(AttributeName.of(InboundFacts.ATTRIBUTE), AttributeValue.of(facts.toJson())))
                .build();
    }

    @ParameterizedTest
    @CsvSource({
        "192.0.2.0/24, 192.0.2.7, true",
        "192.0.2.0/24, 192.0.3.7, false",
        "'192.0.2.0/24,2001:db8::/32', 2001:db8:1::1, true",
        "'192.0.2.0/24, 2001:db8::/64', 2001:db8:0:1::1, false",
        "192.0.2.1-192.0.2.9, ::ffff:192.0.2.5, true",
    })
    void connectionIpInShouldMatchClientsInItsRanges(String condition, String client, boolean expected)
            throws Exception {
        assertThat(matches(initialised(new ConnectionIpIn(policies), condition), from(client)))
                .isEqualTo(expected);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "192.0.2.0/33", "example.com", "192.0.2.1,,192.0.2.2"})
    void connectionIpInShouldRefuseConditionsThatAreNoRanges(String condition) {
        assertThatThrownBy(() -> initialised(new ConnectionIpIn(policies), condition))
                .isInstanceOf(MessagingException.class)
                .hasMessageContaining("ConnectionIpIn")
                .hasMessageContaining("expected");
    }

    @ParameterizedTest
    @CsvSource({
        // client, allowed, blocked
        "192.0.2.1, true, false",
        "192.0.2.2, false, true",
        "203.0.113.1, false, false",
        "198.51.100.1, false, false",
        "not an address, false, false",
    })
    void verdictMatchersShouldAskTheConnectionFilter(String client, boolean allowed, boolean blocked) throws Exception {
        assertThat(matches(new ConnectionAllowed(policies, CLOCK), from(client)))
                .isEqualTo(allowed);
        assertThat(matches(new ConnectionBlocked(policies, CLOCK), from(client)))
                .isEqualTo(blocked);
    }

    @Test
    void verdictMatchersShouldConsiderTheSenderDomain() throws Exception {
        Mail mail = FakeMail.builder()
                .name("mail")
                .sender("joe@fabrikam.com")
                .recipients("a@contoso.com")
                .remoteAddr("198.51.100.1")
                .build();

        assertThat(matches(new ConnectionAllowed(policies, CLOCK), mail)).isTrue();
    }

    @Test
    void stampedFactsShouldComeBeforeTheAddressThatJamesNoted() throws Exception {
        Mail mail = stamped(ClientSession.from(IpAddress.parse("192.0.2.1")));

        assertThat(matches(new ConnectionAllowed(policies, CLOCK), mail)).isTrue();
        assertThat(matches(initialised(new ConnectionIpIn(policies), "192.0.2.1"), mail))
                .isTrue();
    }

    @Test
    void connectorMatchersShouldAnswerFromTheFacts() throws Exception {
        Mail internal = stamped(ClientSession.from(IpAddress.parse("203.0.113.1"))
                .withTls(new TlsSession("TLSv1.3", "TLS_AES_128_GCM_SHA256"))
                .withPeerCertificate(new HypotheticalCertificate("mx.cloud.example")));

        assertThat(matches(new IsInternal(policies, CLOCK), internal)).isTrue();
        assertThat(matches(initialised(new ReceivedThroughConnector(policies), "cloud-in"), internal))
                .isTrue();
        assertThat(matches(new IsInternal(policies, CLOCK), from("203.0.113.1")))
                .isFalse();
        assertThat(matches(initialised(new ReceivedThroughConnector(policies), "cloud-in"), from("203.0.113.1")))
                .isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"{}", "not json", "{\"version\":99,\"origin\":\"internal\"}"})
    void unreadableFactsShouldMakeNothingInternal(String json) throws Exception {
        Mail mail = mail().remoteAddr("203.0.113.1")
                .attribute(new Attribute(AttributeName.of(InboundFacts.ATTRIBUTE), AttributeValue.of(json)))
                .build();

        assertThat(matches(new IsInternal(policies, CLOCK), mail)).isFalse();
    }

    @Test
    void receivedThroughConnectorShouldRefuseUnknownNames() {
        assertThatThrownBy(() -> initialised(new ReceivedThroughConnector(policies), "clod-in"))
                .hasMessageContaining("'clod-in'")
                .hasMessageContaining("cloud-in");
    }

    @Test
    void routedToShouldMatchTheRecipientsOfTheConnector() throws Exception {
        assertThat(initialised(new RoutedTo(policies), "fabrikam-out").match(from("203.0.113.1")))
                .extracting(MailAddress::getDomain)
                .containsExactly(Domain.of("fabrikam.com"), Domain.of("eu.fabrikam.com"));
        assertThat(initialised(new RoutedTo(policies), "internet").match(from("203.0.113.1")))
                .extracting(MailAddress::asString)
                .containsExactly("b@example.org");
    }

    @ParameterizedTest
    @ValueSource(strings = {"nope", "off"})
    void routedToShouldRefuseUnknownAndDisabledConnectors(String name) {
        assertThatThrownBy(() -> initialised(new RoutedTo(policies), name))
                .isInstanceOf(MessagingException.class)
                .hasMessageContaining("'" + name + "'");
    }
}
