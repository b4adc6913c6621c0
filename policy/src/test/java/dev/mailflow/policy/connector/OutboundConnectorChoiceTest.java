/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.policy.testing.PolicyXml;

/** Section 4 of the mail-flow behaviour: the choice of an outbound connector per recipient. */
class OutboundConnectorChoiceTest {
    private static final OutboundConnectors CONNECTORS = PolicyXml.policy(
                    """
            <outboundConnectors>
              %s
            </outboundConnectors>"""
                            .formatted(String.join(
                                    "\n",
                                    connector("exact", "", "<recipientDomain>fabrikam.com</recipientDomain>"),
                                    connector("suffix", "", "<recipientDomain>*.fabrikam.com</recipientDomain>"),
                                    connector("longer", "", "<recipientDomain>*.eu.fabrikam.com</recipientDomain>"),
                                    connector("off", "enabled=\"false\"", "<recipientDomain>off.com</recipientDomain>"),
                                    connector(
                                            "rules",
                                            "rulesOnly=\"true\"",
                                            "<recipientDomain>rules.com</recipientDomain>"),
                                    connector("dear", "cost=\"10\"", "<recipientDomain>cost.com</recipientDomain>"),
                                    connector("cheap", "cost=\"5\"", "<recipientDomain>cost.com</recipientDomain>"),
                                    connector("b-name", "", "<recipientDomain>name.com</recipientDomain>"),
                                    connector("a-name", "", "<recipientDomain>name.com</recipientDomain>"),
                                    connector("unscoped", "", "<recipientDomain>scope.com</recipientDomain>"),
                                    connector(
                                            "scoped",
                                            "cost=\"99\"",
                                            "<recipientDomain>scope.com</recipientDomain><senderDomain>*.contoso.com</senderDomain>"),
                                    connector(
                                            "scoped-exactly",
                                            "cost=\"100\"",
                                            "<recipientDomain>scope.com</recipientDomain><senderDomain>sales.contoso.com</senderDomain>"),
                                    connector(
                                            "only-sales",
                                            "",
                                            "<recipientDomain>only.com</recipientDomain><senderDomain>sales.contoso.com</senderDomain>"),
                                    connector("umlaut", "", "<recipientDomain>bücher.example</recipientDomain>"))))
            .outboundConnectors();

    private static String connector(String name, String attributes, String domains) {
        return """
                <outboundConnector name="%s" type="partner" %s>%s<smartHost>127.0.0.1:2525</smartHost></outboundConnector>"""
                .formatted(name, attributes, domains);
    }

    @ParameterizedTest
    @CsvSource({
        // recipient domain, sender, connector
        "fabrikam.com, joe@contoso.com, exact",
        "FABRIKAM.COM, joe@contoso.com, exact",
        "a.fabrikam.com, joe@contoso.com, suffix",
        "a.b.fabrikam.com, joe@contoso.com, suffix",
        "eu.fabrikam.com, joe@contoso.com, longer",
        "de.eu.fabrikam.com, joe@contoso.com, longer",
        "notfabrikam.com, joe@contoso.com, internet",
        "off.com, joe@contoso.com, internet",
        "rules.com, joe@contoso.com, internet",
        "cost.com, joe@contoso.com, cheap",
        "name.com, joe@contoso.com, a-name",
        "scope.com, joe@contoso.com, scoped",
        "scope.com, joe@deep.contoso.com, scoped",
        "scope.com, joe@sales.contoso.com, scoped-exactly",
        "scope.com, joe@northwind.com, unscoped",
        "scope.com, , unscoped",
        "only.com, joe@sales.contoso.com, only-sales",
        "only.com, joe@contoso.com, internet",
        "xn--bcher-kva.example, joe@contoso.com, umlaut",
        "unknown.example, joe@contoso.com, internet",
    })
    void chooseShouldFollowTheTable(String recipientDomain, String sender, String expected) throws Exception {
        Optional<MailAddress> from = sender == null ? Optional.empty() : Optional.of(new MailAddress(sender));

        assertThat(CONNECTORS.choose(from, Domain.of(recipientDomain)))
                .isInstanceOfSatisfying(
                        Route.Via.class,
                        via -> assertThat(via.connector().name()).isEqualTo(expected));
    }

    @Test
    void chooseShouldSayWhy() {
        assertThat(CONNECTORS
                        .choose(Optional.of(address("joe@sales.contoso.com")), Domain.of("scope.com"))
                        .reason())
                .isEqualTo("recipientDomain scope.com, senderDomain sales.contoso.com");
        assertThat(CONNECTORS
                        .choose(Optional.empty(), Domain.of("unknown.example"))
                        .reason())
                .isEqualTo("no connector is for unknown.example: implied default route");
    }

    @Test
    void namedShouldFindRulesOnlyConnectors() {
        assertThat(CONNECTORS.named("rules", "rule 'x'")).isInstanceOf(Route.Via.class);
    }

    @Test
    void namedShouldNotFallBackWhenTheConnectorIsDisabledOrUnknown() {
        assertThat(CONNECTORS.named("off", "rule 'x'"))
                .isEqualTo(
                        new Route.NoSuchConnector("off", "rule 'x' names outbound connector 'off', which is disabled"));
        assertThat(CONNECTORS.named("nope", "rule 'x'").reason())
                .startsWith("rule 'x' names outbound connector 'nope', which the policy does not have (it has exact, ");
    }

    @Test
    void chooseShouldNotInventADefaultRouteWhenTheOwnOneIsNotForTheRecipient() {
        OutboundConnectors connectors = PolicyXml.policy(
                        """
                <outboundConnectors><outboundConnector name="internet" type="internet">
                <recipientDomain>*.example</recipientDomain><useMx>true</useMx></outboundConnector></outboundConnectors>""")
                .outboundConnectors();

        assertThat(connectors.choose(Optional.empty(), Domain.of("a.example"))).isInstanceOf(Route.Via.class);
        assertThat(connectors.choose(Optional.empty(), Domain.of("a.org"))).isInstanceOf(Route.NoSuchConnector.class);
    }

    @Test
    void impliedConnectorShouldComeAfterEveryConfiguredOne() {
        OutboundConnectors connectors = PolicyXml.policy("<outboundConnectors>"
                        + connector("relay", "cost=\"99\"", "<recipientDomain>*</recipientDomain>")
                        + "</outboundConnectors>")
                .outboundConnectors();

        assertThat(connectors.choose(Optional.empty(), Domain.of("a.org")))
                .isInstanceOfSatisfying(
                        Route.Via.class,
                        via -> assertThat(via.connector().name()).isEqualTo("relay"));
    }

    private static MailAddress address(String text) {
        try {
            return new MailAddress(text);
        } catch (javax.mail.internet.AddressException e) {
            throw new IllegalArgumentException(e);
        }
    }
}
