/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.explain;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import java.util.Set;

import javax.mail.internet.AddressException;

import org.apache.james.core.MailAddress;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import com.fasterxml.jackson.databind.JsonNode;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.certificate.HypotheticalCertificate;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.inbound.ClientSession;
import dev.mailflow.policy.inbound.TlsSession;
import dev.mailflow.policy.testing.PolicyXml;

class ExplainerTest {
    private static final MailFlowPolicy POLICY = PolicyXml.policy(
            """
            <acceptedDomains>
              <domain>contoso.com</domain>
              <domain type="internalRelay">shared.com</domain>
              <domain type="externalRelay">tailspin.com</domain>
            </acceptedDomains>
            <connectionFilter>
              <allow>192.0.2.1</allow>
              <block>192.0.2.0/24</block>
            </connectionFilter>
            <inboundConnectors>
              <inboundConnector name="fabrikam-in" type="partner">
                <senderDomain>*.fabrikam.com</senderDomain>
                <clientIp>198.51.100.0/24</clientIp>
                <clientCertificate name="mail.fabrikam.com" trust="ca"/>
              </inboundConnector>
              <inboundConnector name="cloud-in" type="organization">
                <clientCertificate name="*.cloud.example" trust="ca"/>
                <internalHeaders>preserve</internalHeaders>
              </inboundConnector>
            </inboundConnectors>
            <outboundConnectors>
              <outboundConnector name="cloud-out" type="organization">
                <recipientDomain>shared.com</recipientDomain>
                <smartHost priority="20">second.cloud.example</smartHost>
                <smartHost priority="10">[2001:db8::1]:2525</smartHost>
                <tls level="domain" name="*.cloud.example"/>
              </outboundConnector>
            </outboundConnectors>""");

    @ParameterizedTest
    @CsvSource(
            nullValues = "-",
            value = {
                // from, to, client, TLS, certificate | decision, reply, connector, filter, origin
                "a@x.com, j@contoso.com, 192.0.2.1, false, -, accept, -, -, allow, INTERNET",
                "a@x.com, j@contoso.com, 203.0.113.1, false, -, accept, -, -, none, INTERNET",
                "a@x.com, j@contoso.com, 192.0.2.9, false, -, reject, '550 5.7.1 Service unavailable, client host [192.0.2.9] blocked by connection filter', -, block, INTERNET",
                "a@x.com, e@elsewhere.org, 203.0.113.1, false, -, reject, 550 5.7.64 Relay access denied, -, none, INTERNET",
                "a@fabrikam.com, j@contoso.com, 198.51.100.7, false, -, reject, 530 5.7.0 Must issue a STARTTLS command first, fabrikam-in, none, INTERNET",
                "a@fabrikam.com, j@contoso.com, 203.0.113.1, true, mail.fabrikam.com, reject, 550 5.7.51 Sender domain is restricted to other client addresses by connector 'fabrikam-in', fabrikam-in, none, INTERNET",
                "a@eu.fabrikam.com, j@contoso.com, 198.51.100.7, true, mail.other.com, reject, 550 5.7.51 Sender domain requires a certificate named 'mail.fabrikam.com' by connector 'fabrikam-in', fabrikam-in, none, INTERNET",
                "a@eu.fabrikam.com, j@contoso.com, 198.51.100.7, true, mail.fabrikam.com, accept, -, fabrikam-in, none, PARTNER",
                "d@shared.com, e@elsewhere.org, 203.0.113.1, true, mx1.cloud.example, accept, -, cloud-in, none, INTERNAL",
                "'', j@contoso.com, 203.0.113.1, false, -, accept, -, -, none, INTERNET",
            })
    void explainShouldGiveTheAnswerOfTheSmtpDoor(
            String from,
            String to,
            String client,
            boolean tls,
            String certificate,
            String decision,
            String reply,
            String connector,
            String filter,
            String origin) {
        ClientSession session = ClientSession.from(IpAddress.parse(client));
        if (tls) {
            session = session.withTls(new TlsSession("TLSv1.3", "TLS_AES_256_GCM_SHA384"));
        }
        if (certificate != null) {
            session = session.withPeerCertificate(new HypotheticalCertificate(certificate));
        }

        JsonNode json = explain(from, Optional.of(session), Set.of(), to);

        assertThat(json.get("decision").asText()).isEqualTo(decision);
        assertThat(json.get("smtpReply").textValue()).isEqualTo(reply);
        assertThat(json.get("inboundConnector").textValue()).isEqualTo(connector);
        assertThat(json.get("connectionFilter").asText()).isEqualTo(filter);
        assertThat(json.get("origin").asText()).isEqualTo(origin);
        assertThat(json.get("envelopeFrom").asText()).isEqualTo(from.isEmpty() ? "<>" : from);
    }

    @Test
    void explainShouldJudgeEveryRecipient() {
        JsonNode json = explain(
                "j@contoso.com",
                Optional.empty(),
                Set.of("nobody@contoso.com", "d@shared.com"),
                "k@contoso.com",
                "nobody@contoso.com",
                "d@shared.com",
                "t@tailspin.com",
                "e@elsewhere.org");

        assertThat(json.get("decision").asText()).isEqualTo("accept");
        assertThat(json.get("recipients")).hasSize(5);
        assertRecipient(json, 0, "deliverLocal", "local", null, null, false, null);
        assertRecipient(json, 1, "reject", "unknown", null, null, false, "550 5.1.10 Recipient not found");
        assertRecipient(json, 2, "relay", "unknown", "cloud-out", "domain", true, null);
        assertRecipient(json, 3, "relay", "remote", "internet", "opportunistic", false, null);
        assertRecipient(json, 4, "relay", "remote", "internet", "opportunistic", false, null);
        assertThat(json.at("/recipients/2/nextHops"))
                .extracting(JsonNode::asText)
                .containsExactly("[2001:db8::1]:2525", "second.cloud.example:25");
        assertThat(json.at("/recipients/4/nextHops"))
                .extracting(JsonNode::asText)
                .containsExactly("mx:elsewhere.org");
    }

    @Test
    void explainShouldHaveTheKeysOfTheContract() {
        JsonNode json = explain("j@contoso.com", Optional.empty(), Set.of(), "k@contoso.com");

        assertThat(json.fieldNames())
                .toIterable()
                .contains(
                        "decision",
                        "smtpReply",
                        "origin",
                        "inboundConnector",
                        "connectionFilter",
                        "envelopeFrom",
                        "headers",
                        "rules",
                        "recipients");
        assertThat(json.at("/recipients/0").fieldNames())
                .toIterable()
                .containsExactly(
                        "original",
                        "rewritten",
                        "location",
                        "connector",
                        "nextHops",
                        "tls",
                        "requireTls",
                        "action",
                        "smtpReply",
                        "reason",
                        "assumption");
    }

    @ParameterizedTest
    @CsvSource(
            nullValues = "-",
            value = {
                // client certificate | header that came, header that is left
                "-, X-MS-Exchange-Organization-SCL, -",
                "-, X-MS-Exchange-CrossPremises-SCL, -",
                "-, x-mailflow-anything, -",
                "mx1.cloud.example, X-MS-Exchange-CrossPremises-SCL, X-MS-Exchange-Organization-SCL",
            })
    void explainShouldShowWhatTheHeaderFirewallChanges(String certificate, String came, String left) {
        ClientSession session = ClientSession.from(IpAddress.parse("203.0.113.1"));
        if (certificate != null) {
            session = session.withTls(new TlsSession("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
                    .withPeerCertificate(new HypotheticalCertificate(certificate));
        }

        JsonNode headers = new Explainer(POLICY, PolicyXml.NOW)
                .explain(new HypotheticalMessage(
                        Optional.of(address("a@shared.com")),
                        List.of(address("j@contoso.com")),
                        Optional.of(session),
                        List.of(new HypotheticalMessage.HeaderField(came, "5")),
                        Set.of()))
                .toJson()
                .get("headers");

        assertThat(headers.has(came)).isTrue();
        assertThat(headers.get(came).isNull()).isTrue();
        if (left != null) {
            assertThat(headers.get(left).asText()).isEqualTo("5");
        }
    }

    private static void assertRecipient(
            JsonNode json,
            int index,
            String action,
            String location,
            String connector,
            String tls,
            boolean requireTls,
            String reply) {
        JsonNode recipient = json.at("/recipients/" + index);
        assertThat(recipient.get("action").asText()).isEqualTo(action);
        assertThat(recipient.get("location").asText()).isEqualTo(location);
        assertThat(recipient.get("connector").textValue()).isEqualTo(connector);
        assertThat(recipient.get("tls").textValue()).isEqualTo(tls);
        assertThat(recipient.get("requireTls").asBoolean()).isEqualTo(requireTls);
        assertThat(recipient.get("smtpReply").textValue()).isEqualTo(reply);
        assertThat(recipient.get("reason").asText()).isNotEmpty();
    }

    private static JsonNode explain(String from, Optional<ClientSession> session, Set<String> unknown, String... to) {
        return new Explainer(POLICY, PolicyXml.NOW)
                .explain(new HypotheticalMessage(
                        from.isEmpty() ? Optional.empty() : Optional.of(address(from)),
                        List.of(to).stream().map(ExplainerTest::address).toList(),
                        session,
                        List.of(),
                        unknown.stream().map(ExplainerTest::address).collect(java.util.stream.Collectors.toSet())))
                .toJson();
    }

    private static MailAddress address(String text) {
        try {
            return new MailAddress(text);
        } catch (AddressException e) {
            throw new IllegalArgumentException(e);
        }
    }

    private static final MailFlowPolicy REWRITING = PolicyXml.policy(
            """
            <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
            <addressRewrite>
              <entry internal="joe@contoso.com" external="support@northwind.com"/>
              <entry internal="*.contoso.com" external="contoso.com"/>
            </addressRewrite>""");

    private static JsonNode explainRewriting(
            String from, Optional<ClientSession> session, List<HypotheticalMessage.HeaderField> header, String to) {
        return new Explainer(REWRITING, PolicyXml.NOW)
                .explain(new HypotheticalMessage(
                        Optional.of(address(from)), List.of(address(to)), session, header, Set.of()))
                .toJson();
    }

    @Test
    void explainShouldShowOutboundRewritingOfEnvelopeAndHeaders() {
        JsonNode json = explainRewriting(
                "joe@contoso.com",
                Optional.empty(),
                List.of(
                        new HypotheticalMessage.HeaderField("From", "Jörg <joe@contoso.com>"),
                        new HypotheticalMessage.HeaderField("DKIM-Signature", "d=contoso.com; h=from"),
                        new HypotheticalMessage.HeaderField("Sender", "joe"),
                        new HypotheticalMessage.HeaderField("Cc", "ann@x.contoso.com")),
                "e@example.org");

        assertThat(json.get("envelopeFrom").asText()).isEqualTo("support@northwind.com");
        assertThat(json.at("/headers/From").asText()).isEqualTo("Jörg <support@northwind.com>");
        assertThat(json.at("/headers/Cc").asText()).isEqualTo("ann@contoso.com");
        assertThat(json.at("/headers/DKIM-Signature").isNull()).isTrue();
        assertThat(json.at("/recipients/0/rewritten").asText()).isEqualTo("e@example.org");
        assertThat(json.get("reasons"))
                .extracting(JsonNode::asText)
                .contains(
                        "envelope sender joe@contoso.com is rewritten to support@northwind.com by entry joe@contoso.com <->"
                                + " support@northwind.com (mailflow.xml:4)",
                        "header Cc: ann@x.contoso.com is rewritten to ann@contoso.com by entry *.contoso.com -> contoso.com"
                                + " (mailflow.xml:5)",
                        "header Sender is left as it is: found text that is no address at byte 14 of the field",
                        "header DKIM-Signature of contoso.com is removed: it covered from");
    }

    @Test
    void explainShouldKeepInternalAddressesOfMailThatStays() {
        JsonNode json = explainRewriting(
                "joe@contoso.com",
                Optional.empty(),
                List.of(new HypotheticalMessage.HeaderField("From", "joe@contoso.com")),
                "ann@contoso.com");

        assertThat(json.get("envelopeFrom").asText()).isEqualTo("joe@contoso.com");
        assertThat(json.get("headers")).isEmpty();
    }

    @Test
    void explainShouldValidateTheRecipientAfterInboundRewriting() {
        JsonNode json = explainRewriting(
                "e@example.org",
                Optional.of(ClientSession.from(IpAddress.parse("203.0.113.1"))),
                List.of(new HypotheticalMessage.HeaderField("To", "Help <support@northwind.com>")),
                "support@northwind.com");

        assertThat(json.get("decision").asText()).isEqualTo("accept");
        assertThat(json.at("/recipients/0/original").asText()).isEqualTo("support@northwind.com");
        assertThat(json.at("/recipients/0/rewritten").asText()).isEqualTo("joe@contoso.com");
        assertThat(json.at("/recipients/0/action").asText()).isEqualTo("deliverLocal");
        assertThat(json.at("/recipients/0/reason").asText()).contains("joe@contoso.com <-> support@northwind.com");
        assertThat(json.at("/headers/To").asText()).isEqualTo("Help <joe@contoso.com>");
        assertThat(json.get("envelopeFrom").asText()).isEqualTo("e@example.org");
    }
}
