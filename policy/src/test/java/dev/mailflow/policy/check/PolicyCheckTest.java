/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.check;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.testing.PolicyXml;

class PolicyCheckTest {

    static List<Arguments> findings() {
        return List.of(
                Arguments.of(
                        outbound("a", "", "<recipientDomain>x.com</recipientDomain>", "")
                                + outbound("b", "", "<recipientDomain>x.com</recipientDomain>", ""),
                        "warning: outbound connector 'b' is shadowed and never used: for recipientDomain x.com, 'a' at"
                                + " mailflow.xml:2 is always chosen before it (cost, then name)"),
                Arguments.of(
                        outbound("a", "cost='5'", "<recipientDomain>x.com</recipientDomain>", "")
                                + outbound("b", "", "<recipientDomain>x.com</recipientDomain>", ""),
                        "warning: outbound connector 'a' is shadowed and never used: for recipientDomain x.com, 'b' at"
                                + " mailflow.xml:2 is always chosen before it (cost, then name)"),
                Arguments.of(
                        outbound("a", "", "<recipientDomain>x.com</recipientDomain>", "<tls level='domain'/>"),
                        "error: outbound connector 'a' can never succeed at TLS level domain: smartHost 127.0.0.1:25 is"
                                + " an address, certificates name hosts; add name= to <tls> or use the host's name"),
                Arguments.of(
                        outbound("a", "", "<recipientDomain>x.com</recipientDomain>", "<tls level='dane'/>"),
                        "error: outbound connector 'a' can never succeed at TLS level dane: smartHost 127.0.0.1:25 is an"
                                + " address, TLSA records are found by name; use the host's name"),
                Arguments.of(
                        outbound(
                                "a",
                                "",
                                "<recipientDomain>x.com</recipientDomain>",
                                "<tls level='encrypt' mtaSts='true'/>"),
                        "warning: outbound connector 'a' has mtaSts=\"true\", which has no effect with <smartHost>: only MX"
                                + " hosts are held to such policies; use level=\"domain\" to be sure of the host"),
                Arguments.of(
                        outbound(
                                "a",
                                "",
                                "<recipientDomain>x.com</recipientDomain>",
                                "<tls level='domain' name='192.0.2.1'/>"),
                        "error: outbound connector 'a' can never match a certificate named '192.0.2.1': that is an"
                                + " address, expected a host name"),
                Arguments.of(
                        outbound("a", "", "<recipientDomain>x.com</recipientDomain>", "<tls level='none'/>")
                                .replace("127.0.0.1", "mail.x.com:465"),
                        "error: outbound connector 'a' can never succeed at TLS level none: smartHost mail.x.com:465"
                                + " speaks TLS from the first byte on that port"),
                Arguments.of(
                        "<connectionFilter><allow expires='2026-11-01T00:00:00Z'>192.0.2.1</allow></connectionFilter>",
                        "warning: <allow> 192.0.2.1 expired at 2026-11-01T00:00:00Z and has no effect; remove it or set"
                                + " a later expires"),
                Arguments.of(
                        "<connectionFilter><block>192.0.2.1</block><allow>192.0.2.0/24</allow></connectionFilter>",
                        "warning: <block> 192.0.2.1 has no effect: <allow> 192.0.2.0/24 at mailflow.xml:2 covers it, and"
                                + " allow beats block"),
                Arguments.of(
                        "<connectionFilter><block except='198.51.100.1'>192.0.2.0/24</block></connectionFilter>",
                        "warning: except 198.51.100.1 carves nothing out of 192.0.2.0/24: they do not overlap"),
                Arguments.of(
                        rewrite("<entry internal='joe@x.com' external='joe@y.com'/>"),
                        "error: rewriting entry joe@x.com <-> joe@y.com rewrites addresses of other people: x.com is not an"
                                + " accepted domain, expected an authoritative accepted domain"),
                Arguments.of(
                        rewrite("<entry internal='relay.com' external='y.com'/>"),
                        "error: rewriting entry relay.com <-> y.com rewrites addresses of other people: relay.com is"
                                + " accepted as externalRelay, expected an authoritative accepted domain"),
                Arguments.of(
                        rewrite("<entry internal='a@ours.com' external='A@ours.com'/>"),
                        "warning: rewriting entry a@ours.com <-> A@ours.com can never win: both sides are the same;"
                                + " remove it"),
                Arguments.of(
                        rewrite("<entry internal='a@ours.com' external='b@y.com'/><entry internal='a@ours.com'"
                                + " external='c@y.com'/>"),
                        "warning: rewriting entry a@ours.com <-> c@y.com never wins outbound: the entry at mailflow.xml:2"
                                + " says what becomes of a@ours.com; expected one entry for each internal side"),
                Arguments.of(
                        rewrite("<entry internal='a@ours.com' external='c@y.com'/><entry internal='b@ours.com'"
                                + " external='c@y.com'/>"),
                        "error: rewriting entry b@ours.com <-> c@y.com can never win inbound: mail for c@y.com goes to"
                                + " a@ours.com by the entry at mailflow.xml:2, replies to b@ours.com too; expected each"
                                + " external side in one entry, or outboundOnly=\"true\""),
                Arguments.of(
                        rewrite("<entry internal='*.ours.com' external='y.com' exceptions='z.com'/>"),
                        "warning: rewriting entry *.ours.com -> y.com: exception z.com matches nothing: it is not in"
                                + " *.ours.com; remove it"),
                Arguments.of(
                        rewrite("<entry internal='*.ours.com' external='y.com' exceptions='*.ours.com'/>"),
                        "warning: rewriting entry *.ours.com -> y.com: exception *.ours.com leaves nothing of *.ours.com:"
                                + " the entry can never win"),
                Arguments.of(
                        rewrite("<entry internal='a@ours.com' external='b@y.com' exceptions='ours.com'/>"),
                        "warning: rewriting entry a@ours.com <-> b@y.com: exception ours.com matches nothing: a mailbox has"
                                + " no exceptions; remove it"),
                Arguments.of(
                        rewrite("<entry internal='*.ours.com' external='y.com'/><entry internal='a@ours.com'"
                                + " external='b@y.com'/>"),
                        "warning: rewriting entry a@ours.com <-> b@y.com: alias b@y.com may be a duplicate, for rewriting"
                                + " entry *.ours.com -> y.com at mailflow.xml:2 makes the same of mailboxes with that name"
                                + " in *.ours.com; local parts must be unique over all of them"),
                Arguments.of(
                        "<acceptedDomains><domain type='internalRelay'>x.com</domain></acceptedDomains>",
                        "warning: internalRelay domain x.com has no connector of its own: its mail goes to its MX by"
                                + " connector 'internet', which loops if the MX is this gateway; add an outbound"
                                + " connector with its recipientDomain"),
                Arguments.of(
                        "<outboundConnectors><outboundConnector name='internet' type='internet' enabled='false'>"
                                + "<recipientDomain>*</recipientDomain><useMx>true</useMx></outboundConnector>"
                                + "</outboundConnectors>",
                        "warning: domains that no connector names have no route: connector 'internet' takes the place of"
                                + " the implied default route but is not for every sender and recipient (recipientDomain"
                                + " *); their mail waits until it expires"),
                Arguments.of(
                        "<inboundConnectors><inboundConnector name='a' type='organization'><clientIp>192.0.2.1</clientIp>"
                                + "<clientCertificate name='m.x.com'/></inboundConnector></inboundConnectors>",
                        "warning: inbound connector 'a' is identified by its client certificate: its clientIp has no"
                                + " effect"),
                Arguments.of(
                        partner("a", "x.com") + partner("b", "x.com"),
                        "warning: inbound connector 'b' is never chosen for senderDomain x.com: 'a' at mailflow.xml:2"
                                + " names it too and comes first by name"),
                Arguments.of(
                        "<inboundConnectors><inboundConnector name='a' type='partner'><senderDomain>x.com</senderDomain>"
                                + "<requireTls>false</requireTls><clientCertificate name='m.x.com'/></inboundConnector>"
                                + "</inboundConnectors>",
                        "warning: inbound connector 'a' has requireTls false and demands a client certificate: a"
                                + " plaintext session has none and is refused all the same"));
    }

    private static String outbound(String name, String attributes, String domains, String tls) {
        return "<outboundConnector name='%s' type='partner' %s>%s<smartHost>127.0.0.1</smartHost>%s</outboundConnector>"
                .formatted(name, attributes, domains, tls);
    }

    private static String partner(String name, String domain) {
        return "<inboundConnector name='%s' type='partner'><senderDomain>%s</senderDomain></inboundConnector>"
                .formatted(name, domain);
    }

    private static String section(String xml) {
        if (xml.startsWith("<outboundConnector ")) {
            return "<outboundConnectors>" + xml + "</outboundConnectors>";
        }
        return xml.startsWith("<inboundConnector ") ? "<inboundConnectors>" + xml + "</inboundConnectors>" : xml;
    }

    @ParameterizedTest
    @MethodSource("findings")
    void checkShouldFindWhatCannotMeanWhatItSays(String xml, String expected) {
        assertThat(PolicyCheck.check(PolicyXml.policy(section(xml)), PolicyXml.NOW))
                .extracting(PolicyProblem::toString)
                .containsExactly("mailflow.xml:2: " + expected);
    }

    @Test
    void checkShouldFindNothingInAPolicyThatMeansWhatItSays() {
        assertThat(PolicyCheck.check(
                        PolicyXml.policy(
                                """
                                <acceptedDomains>
                                  <domain>contoso.com</domain>
                                  <domain type="internalRelay">fabrikam.com</domain>
                                </acceptedDomains>
                                <connectionFilter>
                                  <allow expires="2027-01-01T00:00:00Z">192.0.2.0/24</allow>
                                  <block>192.0.2.0/25</block>
                                </connectionFilter>
                                <outboundConnectors>
                                  <outboundConnector name="relay" type="partner">
                                    <recipientDomain>*</recipientDomain>
                                    <smartHost>relay.example</smartHost>
                                  </outboundConnector>
                                  <outboundConnector name="a" type="organization">
                                    <recipientDomain>fabrikam.com</recipientDomain>
                                    <smartHost>mail.fabrikam.com</smartHost>
                                    <tls level="domain"/>
                                  </outboundConnector>
                                  <outboundConnector name="b" type="organization">
                                    <recipientDomain>fabrikam.com</recipientDomain>
                                    <senderDomain>contoso.com</senderDomain>
                                    <smartHost>mail.fabrikam.com</smartHost>
                                  </outboundConnector>
                                </outboundConnectors>"""),
                        PolicyXml.NOW))
                .isEmpty();
    }

    private static String rewrite(String entries) {
        return "<acceptedDomains><domain>ours.com</domain><domain type='externalRelay'>relay.com</domain></acceptedDomains>"
                + "<outboundConnectors><outboundConnector name='r' type='partner'><recipientDomain>relay.com"
                + "</recipientDomain><smartHost>127.0.0.1</smartHost><tls level='none'/></outboundConnector>"
                + "</outboundConnectors><addressRewrite>" + entries + "</addressRewrite>";
    }
}
