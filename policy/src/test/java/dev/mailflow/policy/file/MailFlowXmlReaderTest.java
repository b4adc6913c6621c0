/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.connector.NextHops;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.RetrySchedule;
import dev.mailflow.policy.connector.SmartHost;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;

class MailFlowXmlReaderTest {
    @TempDir
    private Path temporary;

    private PolicyDirectory directory;

    @BeforeEach
    void furnish() {
        directory = new PolicyDirectory(temporary).furnished();
    }

    static Stream<MarkedDocument> mistakes() {
        return Stream.of(
                MarkedDocument.of(
                        "structure",
                        """
                        stray                                  <!--! found text 'stray' in <mailflow> -->
                        <acceptedDomain/>                      <!--! unknown element <acceptedDomain> -->
                        <acceptedDomains colour="red">         <!--! unknown attribute 'colour' on <acceptedDomains>, expected no attribute -->
                          <domain typ="externalRelay">a.example</domain>  <!--! did you mean 'type'? -->
                          <domain>b.example<b/></domain>       <!--! unknown element <b> in <domain>, expected text only -->
                          <smartHost>mx.example</smartHost>    <!--! it belongs in <outboundConnector> -->
                          <domain/>                            <!--! found nothing, expected a domain -->
                          <domain>
                            two words                          <!--! found 'two words' -->
                          </domain>
                        </acceptedDomains>
                        <acceptedDomains/>                     <!--! second <acceptedDomains> in <mailflow>, expected one; the first is on line 4 -->
                        <x:thing xmlns:x="urn:x"/>             <!--! namespace 'urn:x' || unknown element <x:thing> -->
                        """),
                MarkedDocument.of(
                        "accepted domains",
                        """
                        <acceptedDomains>
                          <domain>*</domain>                   <!--! '*' is not allowed here -->
                          <domain>sales.*.com</domain>         <!--! found 'sales.*.com' -->
                          <domain>*contoso.com</domain>        <!--! found '*contoso.com' -->
                          <domain type="AUTHORITATIVE">a.example</domain>  <!--! expected authoritative, internalRelay or externalRelay -->
                          <domain matchSubdomains="1">b.example</domain>   <!--! found '1', expected true or false -->
                          <domain>Contoso.COM</domain>
                          <domain>contoso.com.</domain>        <!--! a second time, expected each domain once; the first is on line 8 -->
                          <domain matchSubdomains="true">d.example</domain>
                          <domain>*.d.example</domain>         <!--! found '*.d.example' a second time -->
                          <domain matchSubdomains="false">*.e.example</domain> <!--! expected one or the other -->
                          <domain enabled="false">f.example</domain>           <!--! unknown attribute 'enabled' -->
                        </acceptedDomains>
                        """),
                MarkedDocument.of(
                        "connection filter",
                        """
                        <connectionFilter>
                          <allow>192.0.2.0/33</allow>          <!--! found '192.0.2.0/33', expected an address -->
                          <allow>192.0.2.9-192.0.2.1</allow>   <!--! found '192.0.2.9-192.0.2.1' -->
                          <allow>192.0.2.1-2001:db8::1</allow> <!--! found '192.0.2.1-2001:db8::1' -->
                          <block>mail.example.com</block>      <!--! found 'mail.example.com' -->
                          <block>2001:db8::/129</block>        <!--! found '2001:db8::/129' -->
                          <allow except="192.0.2.1, x">192.0.2.0/24</allow>    <!--! found '192.0.2.1, x', expected one or several -->
                          <allow except="">192.0.2.0/24</allow>                <!--! attribute except of <allow>: found nothing -->
                          <allow expires="2027-01-31">192.0.2.0/24</allow>     <!--! found '2027-01-31', expected a time such as -->
                          <allow senderDomain="a@b.example">192.0.2.0/24</allow> <!--! found 'a@b.example', expected a domain -->
                          <allow enabled="no">192.0.2.0/24</allow>             <!--! found 'no', expected true or false -->
                          <allow except="192.0.2.0/23">192.0.2.0/24</allow>    <!--? leaves nothing of '192.0.2.0/24' -->
                          <allow except="198.51.100.1">192.0.2.0/24</allow>    <!--? part of which is not in '192.0.2.0/24' -->
                          <allowFile>allow.txt</allowFile>     <!--! found 'allow.txt', expected a file URL: file://conf/ -->
                          <allowFile>http://x.example/a</allowFile>            <!--! found 'http://x.example/a', expected a file URL -->
                          <allowFile>file://var/a</allowFile>  <!--! found 'file://var/a', expected a file URL -->
                          <blockFile>file://conf/none.txt</blockFile>          <!--! found 'file://conf/none.txt', but there is no such file -->
                          <blockFile>file:///</blockFile>      <!--! found 'file:///', expected a file URL -->
                          <blockFile>file://conf/</blockFile>  <!--! found 'file://conf/', expected a file URL -->
                          <blockFile enabled="false">file://conf/none.txt</blockFile>
                        </connectionFilter>
                        """),
                MarkedDocument.of(
                        "inbound connectors",
                        """
                        <inboundConnectors>
                          <inboundConnector/>                  <!--! without attribute name || without attribute type -->
                          <inboundConnector name="a b" type="internet"><senderDomain>a.example</senderDomain></inboundConnector> <!--! found 'a b', expected a name || found 'internet', expected organization or partner -->
                          <inboundConnector name="../x" type="partner"><senderDomain>a.example</senderDomain></inboundConnector> <!--! found '../x' -->
                          <inboundConnector name="p" type="partner"><clientIp>192.0.2.1</clientIp></inboundConnector> <!--! partner connector 'p' without <senderDomain> -->
                          <inboundConnector name="p" type="partner"> <!--! found 'p' a second time, expected a name of its own; the first is on line 6 -->
                            <senderDomain>b.example</senderDomain>
                            <senderDomain>b.example</senderDomain> <!--? a second time -->
                            <senderDomain>a@b.example</senderDomain> <!--! found 'a@b.example' -->
                            <internalHeaders>preserve</internalHeaders> <!--! only type="organization" may pass internal status -->
                            <internalHeaders>strip</internalHeaders> <!--! second <internalHeaders> -->
                            <relay>true</relay>                <!--! only type="organization" may relay -->
                            <requireTls>false</requireTls>     <!--? only a TLS session can show -->
                            <clientCertificate name="*" trust="dane"/> <!--! '*' is not allowed here || found 'dane', expected ca or pinned -->
                          </inboundConnector>
                          <inboundConnector name="o" type="organization"/> <!--! without <clientCertificate> and <clientIp> -->
                          <inboundConnector name="o2" type="organization">
                            <clientIp>0.0.0.0/0</clientIp>     <!--! open relay -->
                            <clientIp>::/0</clientIp>          <!--! open relay -->
                            <clientIp>192.0.2.1:25</clientIp>  <!--! found '192.0.2.1:25' -->
                          </inboundConnector>
                          <inboundConnector name="o3" type="organization">
                            <clientCertificate/>               <!--! without attribute name, expected name= -->
                          </inboundConnector>
                          <inboundConnector name="o4" type="organization">
                            <clientCertificate trust="pinned"/> <!--! without attribute sha256 -->
                          </inboundConnector>
                          <inboundConnector name="o5" type="organization">
                            <clientCertificate name="a.example" sha256="00"/> <!--! found '00', expected one or several || expected only with trust="pinned" -->
                          </inboundConnector>
                          <inboundConnector name="o6" type="organization">
                            <clientCertificate trust="pinned" sha256="%1$s" trustAnchors="file://conf/ca.pem"/> <!--! a pin needs no authority -->
                          </inboundConnector>
                          <inboundConnector name="o7" type="organization">
                            <clientCertificate name="a.example" trustAnchors="file://conf/none.pem"/> <!--! 'file://conf/none.pem', but there is no such file -->
                          </inboundConnector>
                          <inboundConnector name="o8" type="organization" enabled="false">
                            <clientCertificate name="a.example" trustAnchors="file://conf/none.pem"/> <!--? there is no such file -->
                            <relay>perhaps</relay>             <!--! found 'perhaps' -->
                          </inboundConnector>
                        </inboundConnectors>
                        """
                                .formatted("0".repeat(64))),
                MarkedDocument.of(
                        "outbound connectors",
                        """
                        <outboundConnectors>
                          <outboundConnector name="a" type="partner"/> <!--! without <recipientDomain> || without next hop -->
                          <outboundConnector name="b" type="partner" rulesOnly="true"><useMx>false</useMx></outboundConnector> <!--! without next hop -->
                          <outboundConnector name="c" type="partner" rulesOnly="true"><useMx>maybe</useMx></outboundConnector> <!--! found 'maybe' -->
                          <outboundConnector name="d" type="partner" cost="-1"> <!--! found '-1', expected a whole number from 0 -->
                            <recipientDomain>a@b.example</recipientDomain> <!--! found 'a@b.example' -->
                            <senderDomain>j*@b.example</senderDomain> <!--! found 'j*@b.example', expected a mailbox -->
                            <useMx>true</useMx>
                            <smartHost>mx.example</smartHost>  <!--! expected one of them -->
                            <cost>1</cost>                     <!--! found <cost> and attribute cost -->
                            <useMx>true</useMx>                <!--! second <useMx> -->
                          </outboundConnector>
                          <outboundConnector name="d" type="partner"> <!--! found 'd' a second time -->
                            <recipientDomain>*</recipientDomain>
                            <smartHost>smtp://mx.example</smartHost> <!--! only the host, not a URL -->
                            <smartHost>*.example</smartHost>   <!--! no wildcard -->
                            <smartHost>2001:db8::1</smartHost> <!--! goes in brackets -->
                            <smartHost>[192.0.2.1]</smartHost> <!--! brackets are for IPv6 -->
                            <smartHost>[2001:db8::g]</smartHost> <!--! found '[2001:db8::g]' -->
                            <smartHost>192.0.2.256</smartHost> <!--! found '192.0.2.256' -->
                            <smartHost>mx.example:0</smartHost> <!--! found 'mx.example:0' -->
                            <smartHost>mx.example:smtp</smartHost> <!--! found 'mx.example:smtp' -->
                            <smartHost>two hosts</smartHost>   <!--! found 'two hosts' -->
                            <smartHost port="25">mx.example:25</smartHost> <!--! found port='25' and a port in 'mx.example:25' -->
                            <smartHost port="65536" priority="x" weight="0">mx2.example</smartHost> <!--! found '65536' || found 'x' || found '0', expected a whole number from 1 -->
                            <smartHost>mx3.example</smartHost>
                            <smartHost port="25">MX3.example</smartHost> <!--? each host and port once -->
                          </outboundConnector>
                          <outboundConnector name="e" type="partner">
                            <recipientDomain>e.example</recipientDomain>
                            <useMx>true</useMx>
                            <internalHeaders>preserve</internalHeaders> <!--! only type="organization" may be told -->
                            <limits connections="0" perDestination="many" messagesPerConnection="1.5" idle="0s"/> <!--! found '0', || found 'many' || found '1.5' || found '0s', expected a time -->
                            <retry schedule="1m,5m" warnAfter="2 d" expireAfter="4w"/> <!--! found '1m,5m' || found '2 d' || found '4w' -->
                          </outboundConnector>
                          <outboundConnector name="f" type="internet">
                            <recipientDomain>f.example</recipientDomain>
                            <useMx>true</useMx>
                            <retry warnAfter="2d" expireAfter="1d"/> <!--! found '2d', which is not before expireAfter ('1d') -->
                            <limits connections="2" perDestination="3"/> <!--? more than the connections of the whole connector -->
                          </outboundConnector>
                          <outboundConnector name="g" type="internet">
                            <recipientDomain>g.example</recipientDomain>
                            <useMx>true</useMx>
                            <retry schedule="" warnAfter="2d"/> <!--! found nothing, expected times || expireAfter (2d by default) -->
                          </outboundConnector>
                        </outboundConnectors>
                        """),
                MarkedDocument.of(
                        "TLS and credentials",
                        """
                        <outboundConnectors>
                          <outboundConnector name="a" type="partner" rulesOnly="true"><useMx>true</useMx>
                            <tls/>                             <!--! without attribute level -->
                          </outboundConnector>
                          <outboundConnector name="b" type="partner" rulesOnly="true"><useMx>true</useMx>
                            <tls level="dane" dane="false"/>   <!--! found 'false' with level="dane" -->
                          </outboundConnector>
                          <outboundConnector name="c" type="partner" rulesOnly="true"><useMx>true</useMx>
                            <tls level="none" mtaSts="true"/>  <!--! attribute mtaSts of <tls>: found 'true' with level="none" -->
                          </outboundConnector>
                          <outboundConnector name="d" type="partner" rulesOnly="true"><useMx>true</useMx>
                            <tls level="encrypt" name="d.example" trustAnchors="file://conf/ca.pem"> <!--! name of <tls>: found 'd.example' with level="encrypt" || trustAnchors of <tls> -->
                              <sha256>%1$s</sha256>            <!--! expected only with level="pinned" -->
                            </tls>
                          </outboundConnector>
                          <outboundConnector name="e" type="partner" rulesOnly="true"><useMx>true</useMx>
                            <tls level="pinned"/>              <!--! without <sha256> -->
                          </outboundConnector>
                          <outboundConnector name="f" type="partner" rulesOnly="true"><useMx>true</useMx>
                            <tls level="pinned">
                              <sha256>%1$s0</sha256>           <!--! expected the SHA-256 of a certificate -->
                            </tls>
                          </outboundConnector>
                          <outboundConnector name="g" type="partner" rulesOnly="true"><useMx>true</useMx>
                            <tls level="domain" name="*"/>     <!--! '*' is not allowed here -->
                          </outboundConnector>
                          <outboundConnector name="h" type="partner" rulesOnly="true"><useMx>true</useMx>
                            <tls level="none">
                              <clientCertificate keystore="file://conf/gateway.p12" secret="${env:GATEWAY_P12_SECRET}"/> <!--! without TLS nobody sees it -->
                            </tls>
                            <credentials user="u" secret="${env:DLP_SALES}"/> <!--! with TLS level none -->
                          </outboundConnector>
                          <outboundConnector name="i" type="partner" rulesOnly="true"><useMx>true</useMx>
                            <credentials user="u" secret="${env:DLP_SALES}"/> <!--! with TLS level opportunistic (the default) -->
                          </outboundConnector>
                          <outboundConnector name="j" type="partner" rulesOnly="true"><useMx>true</useMx>
                            <tls level="encrypt"/>
                            <credentials user=" " secret=""/>  <!--! attribute user of <credentials>: found nothing || attribute secret of <credentials>: found nothing, expected a secret -->
                            <credentials/>                     <!--! without attribute user || without attribute secret || for all senders a second time -->
                            <credentials sender="A@j.example" user="u" secret="${file:dlp.secret}"/>
                            <credentials sender="a@J.example" user="u" secret="${file:dlp.secret}"/> <!--! sender 'a@J.example' a second time -->
                            <credentials sender="b@j.example" user="u" secret="in the file"/> <!--? found a secret in the file itself -->
                          </outboundConnector>
                        </outboundConnectors>
                        """
                                .replace("%1$s", "0".repeat(64))),
                MarkedDocument.of(
                        "references",
                        """
                        <acceptedDomains>
                          <domain>${env:DOMAIN}</domain>
                          <domain>${env:UNSET}.example</domain> <!--! found ${env:UNSET}, but the environment variable UNSET is not set -->
                          <domain>${DOMAIN}</domain>           <!--! found '${' that begins no reference, expected ${env:NAME} or ${file:path} -->
                          <domain>${env:DOMAIN</domain>        <!--! found '${' that begins no reference -->
                          <domain>${file:none} ${env:UNSET}</domain> <!--! found ${file:none}, but || found ${env:UNSET}, but -->
                          <domain type="${env:DLP_SALES}">a.example</domain> <!--! found the value of ${env:DLP_SALES}, expected authoritative -->
                          <domain>x ${env:DLP_SALES}</domain>  <!--! found the value of x ${env:DLP_SALES}, expected a domain -->
                          <domain>${env:EMPTY}</domain>        <!--! found the value of ${env:EMPTY}, expected a domain -->
                        </acceptedDomains>
                        """),
                MarkedDocument.of(
                        "address rewriting",
                        """
                        <addressRewrite>
                          <entry internal="a.example"/>        <!--! without attribute external -->
                          <entry internal="*" external="b"/>   <!--! '*' is not allowed here -->
                          <entry internal="a@*.example" external="b@c.example"/> <!--! found 'a@*.example', expected a mailbox -->
                          <entry internal="a b@c.example" external="b@c.example"/> <!--! found 'a b@c.example', expected a mailbox -->
                          <entry internal="a.example" external="*.b.example"/> <!--! an external side never has a wildcard -->
                          <entry internal="j@a.example" external="b.example"/> <!--! expected a mailbox as external -->
                          <entry internal="a.example" external="j@b.example"/> <!--! expected a domain as external -->
                          <entry internal="*.a.example" external="a.example" outboundOnly="false"/> <!--! outboundOnly 'false', expected 'true' -->
                          <entry internal="*.${env:DOMAIN}" external="a.example" outboundOnly="false"/> <!--! found internal the value of *.${env:DOMAIN} with -->
                          <entry internal="a.example" external="b.example" exceptions="*"/> <!--! '*' is not allowed here -->
                          <entriesFile>file://conf/none.csv</entriesFile> <!--! there is no such file; expected a CSV file with the columns internal,external,outboundOnly,exceptions -->
                          <entriesFile enabled="false">file://conf/none.csv</entriesFile>
                        </addressRewrite>
                        """),
                MarkedDocument.of(
                        "sections of later versions",
                        """
                        <transportRules>                       <!--! this installation has no compiler -->
                          <rule name="a"/>                     <!--! neither <script> nor <sieve> -->
                          <rule name="b" mode="on">            <!--! found 'on', expected enforce, audit or off || both <script> and <sieve> -->
                            <script>file://conf/b.sieve</script>
                            <sieve>set "a" "${b}"; stop;</sieve>
                          </rule>
                        </transportRules>
                        """),
                MarkedDocument.of(
                        "hybrid",
                        """
                        <acceptedDomains>
                          <domain>a.example</domain>
                          <domain type="externalRelay">x.example</domain>
                        </acceptedDomains>
                        <inboundConnectors>
                          <inboundConnector name="by-address" type="organization"><clientIp>192.0.2.1</clientIp></inboundConnector>
                          <inboundConnector name="partner" type="partner"><senderDomain>p.example</senderDomain></inboundConnector>
                        </inboundConnectors>
                        <outboundConnectors>
                          <outboundConnector name="plain" type="organization">
                            <recipientDomain>elsewhere.example</recipientDomain>
                            <smartHost>192.0.2.9</smartHost>
                            <tls level="none"/>
                          </outboundConnector>
                        </outboundConnectors>
                        <hybrid>
                          <sharedDomain>a.example</sharedDomain>
                          <sharedDomain>A.example</sharedDomain>       <!--! found 'A.example' a second time -->
                          <sharedDomain>x.example</sharedDomain>       <!--! externalRelay domain -->
                          <sharedDomain>unknown.example</sharedDomain> <!--! not an accepted domain -->
                          <remoteRoutingDomain>r.example</remoteRoutingDomain>
                          <cloud inboundConnector="by-address" outboundConnector="plain"/> <!--! has no <clientCertificate> || TLS level is none || mail to the remote routing domain r.example goes by connector 'internet' -->
                          <mailboxes source="james" base="dc=a"/>      <!--! attribute base of <mailboxes>: found with source="james" -->
                        </hybrid>
                        """),
                MarkedDocument.of(
                        "hybrid, half said",
                        """
                        <inboundConnectors>
                          <inboundConnector name="partner" type="partner"><senderDomain>p.example</senderDomain></inboundConnector>
                        </inboundConnectors>
                        <hybrid>                               <!--! without <sharedDomain> -->
                          <remoteRoutingDomain>*.a.example</remoteRoutingDomain> <!--! no wildcard here -->
                          <cloud inboundConnector="partner" outboundConnector="none"/> <!--! of type partner; expected type organization || expected the name of an outbound connector of type organization; there is none -->
                          <mx>both</mx>                        <!--! found 'both', expected onPremises or cloud -->
                          <mailboxes source="ldap" user="cn=a" filter="(mail=x)" trustAnchors="file://conf/none.pem"/> <!--! without attribute url || without attribute base || with user alone || expected a search filter (RFC 4515) || there is no such file -->
                        </hybrid>
                        """),
                MarkedDocument.of(
                        "hybrid, mailboxes in a file that is not there",
                        """
                        <hybrid>                               <!--! without <cloud> || without <sharedDomain> || without <remoteRoutingDomain> -->
                          <mailboxes source="file" url="file://conf/none.csv"/> <!--! there is no such file; expected a CSV file with the columns address,location -->
                        </hybrid>
                        """));
    }

    @ParameterizedTest
    @MethodSource("mistakes")
    void everyMistakeShouldBeToldWithItsLineInOnePass(MarkedDocument document) {
        document.verify(directory.read(document.xml()));
    }

    @Test
    void valueOfAnAttributeShouldBeToldWithItsOwnLine() {
        PolicyReading reading = directory.read(
                """
                <?xml version="1.0"?>

                <mailflow>
                  <acceptedDomains
                  ><domain
                      type="internal"
                      matchSubdomains = "yes"
                    >c.example</domain><domain
                      typ="x">d.example</domain>
                  </acceptedDomains>
                </mailflow>
                """);

        assertThat(reading.problems())
                .extracting(problem -> problem.location().line())
                .containsExactly(6, 7, 9);
    }

    static Stream<Arguments> unreadable() {
        return Stream.of(
                Arguments.of("", 1, "the file is empty, expected <mailflow>"),
                Arguments.of(" \n\n", 1, "the file is empty"),
                Arguments.of("<policy/>", 1, "found <policy> as the root element, expected <mailflow>"),
                Arguments.of("\n\n<Mailflow/>", 3, "found <Mailflow> as the root element"),
                Arguments.of("{\"acceptedDomains\": []}", 1, "found text before the first element"),
                Arguments.of("<mailflow>\n<acceptedDomains>\n</mailflow>", 3, "not well-formed XML: The element type"),
                Arguments.of("<mailflow>\n", 2, "not well-formed XML"),
                Arguments.of("<mailflow/>\n<mailflow/>", 2, "not well-formed XML"),
                Arguments.of("<mailflow a='1' a='2'/>", 1, "not well-formed XML: Attribute \"a\""),
                Arguments.of("<mailflow>\n&unknown;</mailflow>", 2, "found a '&' that begins none of"),
                Arguments.of(
                        "<!DOCTYPE mailflow [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>\n<mailflow>&e;</mailflow>",
                        1,
                        "found a DOCTYPE, which is not allowed"),
                Arguments.of("<?xml version='1.0' encoding='klingon'?><mailflow/>", 1, "found encoding 'klingon'"));
    }

    @ParameterizedTest
    @MethodSource("unreadable")
    void unreadableDocumentShouldBeOneProblem(String document, int line, String fragment) {
        PolicyReading reading = directory.read(document);

        assertThat(reading.policy()).isEmpty();
        assertThat(reading.problems()).singleElement().satisfies(problem -> {
            assertThat(problem.location().line()).isEqualTo(line);
            assertThat(problem.message()).contains(fragment);
        });
    }

    @Test
    void wrongEncodingShouldBeToldWithItsLine() {
        PolicyReading reading =
                directory.read("<mailflow>\n<!-- caf\u00E9 -->\n</mailflow>".getBytes(StandardCharsets.ISO_8859_1));

        assertThat(reading.problems()).singleElement().satisfies(problem -> assertThat(problem.toString())
                .startsWith("mailflow.xml:2: error: found a byte that is not valid UTF-8"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"UTF-8", "UTF-16", "UTF-16LE", "UTF-16BE", "ISO-8859-1", "windows-1252"})
    void documentShouldBeReadInTheEncodingItDeclares(String encoding) {
        String document = "<?xml version=\"1.0\" encoding=\"" + encoding
                + "\"?><mailflow><acceptedDomains><domain>b\u00FCcher.example</domain></acceptedDomains></mailflow>";

        MailFlowPolicy policy = directory
                .read(document.getBytes(Charset.forName(encoding)))
                .policy()
                .orElseThrow();

        assertThat(policy.acceptedDomains().entries())
                .singleElement()
                .extracting(domain -> domain.pattern().name())
                .isEqualTo("xn--bcher-kva.example");
    }

    @Test
    void byteOrderMarkShouldBeSkipped() {
        assertThat(directory.read("\uFEFF<mailflow/>").problems()).isEmpty();
    }

    @Test
    void missingFileShouldBeAProblemOfTheWholeFile() {
        PolicyReading reading =
                MailFlowXmlReader.read(directory.mailflowXml(), directory.path(), Map.of(), PolicyDirectory.CLOCK);

        assertThat(reading.problems()).singleElement().satisfies(problem -> {
            assertThat(problem.location().line()).isZero();
            assertThat(problem.message()).contains(directory.mailflowXml().toString(), "there is no such file");
        });
        assertThat(reading.files()).containsExactly(directory.mailflowXml());
    }

    @Test
    void emptyPolicyShouldLoad() {
        PolicyReading reading = directory.read(
                """
                <mailflow xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
                          xsi:noNamespaceSchemaLocation="mailflow.xsd">
                  <acceptedDomains/><connectionFilter/><inboundConnectors/><outboundConnectors/>
                </mailflow>
                """);

        assertThat(reading.problems()).isEmpty();
        MailFlowPolicy policy = reading.policy().orElseThrow();
        assertThat(policy.loadedAt()).isEqualTo(PolicyDirectory.NOW);
        assertThat(policy.outboundConnectors().find("internet")).contains(OutboundConnector.IMPLIED_INTERNET);
    }

    @Test
    void leastOutboundConnectorShouldHaveTheDefaults() {
        OutboundConnector connector = outbound("<smartHost>[2001:DB8:0::1]</smartHost>");

        assertThat(connector.nextHops())
                .isEqualTo(new NextHops.SmartHosts(List.of(new SmartHost("2001:db8::1", 25, 10, 1))));
        assertThat(connector.tls()).isEqualTo(TlsRequirement.of(TlsLevel.OPPORTUNISTIC));
        assertThat(connector.retry()).isEqualTo(RetrySchedule.DEFAULT);
        assertThat(connector.cost()).isZero();
        assertThat(connector.enabled()).isTrue();
    }

    static Stream<Arguments> smartHosts() {
        return Stream.of(
                Arguments.of("<smartHost>MX.Example.</smartHost>", new SmartHost("mx.example", 25, 10, 1)),
                Arguments.of("<smartHost> mx.example:2525 </smartHost>", new SmartHost("mx.example", 2525, 10, 1)),
                Arguments.of(
                        "<smartHost port='465' priority='0' weight='7'>mx</smartHost>", new SmartHost("mx", 465, 0, 7)),
                Arguments.of("<smartHost>192.0.2.1</smartHost>", new SmartHost("192.0.2.1", 25, 10, 1)),
                Arguments.of("<smartHost>192.0.2.1:26</smartHost>", new SmartHost("192.0.2.1", 26, 10, 1)),
                Arguments.of("<smartHost>[2001:db8::1]:26</smartHost>", new SmartHost("2001:db8::1", 26, 10, 1)),
                Arguments.of("<smartHost port='26'>[::1]</smartHost>", new SmartHost("::1", 26, 10, 1)),
                Arguments.of("<smartHost>${env:DOMAIN}:26</smartHost>", new SmartHost("contoso.com", 26, 10, 1)));
    }

    @ParameterizedTest
    @MethodSource("smartHosts")
    void smartHostShouldBeReadInEveryForm(String xml, SmartHost host) {
        assertThat(outbound(xml).nextHops()).isEqualTo(new NextHops.SmartHosts(List.of(host)));
    }

    @Test
    void costShouldBeReadAsAttributeOrElement() {
        assertThat(outbound("<useMx>true</useMx><cost>7</cost>").cost()).isEqualTo(7);
        String document = "<mailflow><outboundConnectors><outboundConnector name='x' type='partner' cost='8'>"
                + "<recipientDomain>x.example</recipientDomain><useMx>true</useMx>"
                + "</outboundConnector></outboundConnectors></mailflow>";
        assertThat(directory
                        .read(document)
                        .policy()
                        .orElseThrow()
                        .outboundConnectors()
                        .find("x")
                        .orElseThrow()
                        .cost())
                .isEqualTo(8);
    }

    @Test
    void shortExpiryShouldNeedNoShorterWarning() {
        RetrySchedule retry = outbound("<useMx>true</useMx><retry schedule='1s 2s' expireAfter='10s'/>")
                .retry();

        assertThat(retry)
                .isEqualTo(new RetrySchedule(
                        List.of(Duration.ofSeconds(1), Duration.ofSeconds(2)),
                        Duration.ofSeconds(10),
                        Duration.ofSeconds(10)));
    }

    @ParameterizedTest
    @CsvSource({
        "'', false, false",
        "<tls level='encrypt'/>, false, false",
        "<tls level='encrypt' mtaSts='false' dane='false'/>, false, false",
        "<tls level='opportunistic' mtaSts='true'/>, true, false",
        "<tls level='ca' dane='true'/>, false, true",
        "<tls level='opportunistic' mtaSts='true' dane='true'/>, true, true",
        "<tls level='dane'/>, false, true",
        "<tls level='dane' dane='true' mtaSts='true'/>, true, true"
    })
    void mtaStsAndDaneShouldBeAsWritten(String tls, boolean mtaSts, boolean dane) {
        TlsRequirement requirement = outbound("<useMx>true</useMx>" + tls).tls();

        assertThat(requirement.mtaSts()).isEqualTo(mtaSts);
        assertThat(requirement.dane()).isEqualTo(dane);
    }

    @Test
    void impliedConnectorShouldHeedMtaStsAndDane() {
        TlsRequirement requirement = OutboundConnector.IMPLIED_INTERNET.tls();

        assertThat(requirement.mtaSts()).isTrue();
        assertThat(requirement.dane()).isTrue();
        assertThat(requirement.atLeastEncrypt())
                .isEqualTo(TlsRequirement.of(TlsLevel.ENCRYPT).heeding(true, true));
    }

    @Test
    void disabledConnectorShouldBeKnownButNotChosen() {
        PolicyReading reading =
                directory.read("<mailflow><outboundConnectors><outboundConnector name='x' type='partner'"
                        + " enabled='false'><recipientDomain>*</recipientDomain><useMx>true</useMx><tls level='ca'"
                        + " trustAnchors='file://conf/none.pem'/></outboundConnector></outboundConnectors></mailflow>");

        assertThat(reading.problems())
                .singleElement()
                .extracting(PolicyProblem::severity)
                .isEqualTo(PolicyProblem.Severity.WARNING);
        assertThat(reading.policy().orElseThrow().outboundConnectors().find("x"))
                .map(OutboundConnector::enabled)
                .contains(false);
    }

    private OutboundConnector outbound(String content) {
        PolicyReading reading =
                directory.read("<mailflow><outboundConnectors><outboundConnector name='x' type='partner'>"
                        + "<recipientDomain>x.example</recipientDomain>" + content
                        + "</outboundConnector></outboundConnectors></mailflow>");
        assertThat(reading.problems()).isEmpty();
        return reading.policy().orElseThrow().outboundConnectors().find("x").orElseThrow();
    }

    static Stream<Arguments> fileReferences() {
        return Stream.of(
                Arguments.of("${file:domain}"),
                Arguments.of("${file:conf/domain}"),
                Arguments.of("${file:file://conf/domain}"),
                Arguments.of("${file:DIR/domain}"),
                Arguments.of("${file:file://DIR/domain}"),
                Arguments.of("${file:sub}${file:dot}${file:top}"));
    }

    @ParameterizedTest
    @MethodSource("fileReferences")
    void fileReferenceShouldBeReplacedByItsContentWithoutTheFinalNewline(String value) {
        directory.write("domain", "contoso.com\r\n");
        directory.write("sub", "contoso\n");
        directory.write("dot", ".");
        directory.write("top", "com\n");
        String document = "<mailflow><acceptedDomains><domain>"
                + value.replace("DIR", directory.path().toString()) + "</domain></acceptedDomains></mailflow>";

        assertThat(directory
                        .read(document)
                        .policy()
                        .orElseThrow()
                        .acceptedDomains()
                        .entries())
                .singleElement()
                .extracting(domain -> domain.pattern().name())
                .isEqualTo("contoso.com");
    }

    @Test
    void versionShouldDependOnEveryFileAndOnNothingElse() {
        String document = PolicyDirectory.supportedExample();
        String version = version(document);

        assertThat(version(document)).isEqualTo(version).hasSize(12);
        assertThat(version(document + " ")).isNotEqualTo(version);
        Path list = directory.write("other.txt", "192.0.2.78");
        String other = document.replace("conf/allow.txt", "conf/other.txt");
        String otherVersion = version(other);
        assertThat(otherVersion).isNotEqualTo(version);
        directory.write(list.getFileName().toString(), "192.0.2.79");
        assertThat(version(other)).isNotEqualTo(otherVersion);
        assertThat(version(document)).isEqualTo(version);
        directory.write("dlp.secret", "another");
        assertThat(version(document)).isNotEqualTo(version);
    }

    private String version(String document) {
        return directory.read(document).policy().orElseThrow().version();
    }

    @Test
    void problemsShouldNeverHoldAValueFromAReference() {
        String everywhere = PolicyDirectory.contractExample()
                .replaceAll(">[a-z0-9.*][^<>]*<", ">\\${env:DLP_SALES}<")
                .replaceAll("=\"[^\"]*\"", "=\"\\${env:DLP_SALES}\"");

        PolicyReading reading = directory.read(everywhere);

        assertThat(reading.problems()).hasSizeGreaterThan(40);
        assertThat(reading.problems().toString())
                .contains("the value of ${env:DLP_SALES}")
                .doesNotContain(PolicyDirectory.SECRET_VALUE);
    }

    @Test
    void inlineSecretShouldNotBeRepeatedByAnyProblem() {
        for (String secret : new String[] {"&hunter2", "${hunter2}", "hunter2", "${env:UNSET}hunter2"}) {
            PolicyReading reading =
                    directory.read(PolicyDirectory.supportedExample().replace("${env:DLP_SALES}", secret));

            assertThat(reading.problems()).isNotEmpty();
            assertThat(reading.problems().toString()).doesNotContain("hunter2");
        }
    }

    @Test
    void hugeDocumentShouldLoad() {
        String entries = IntStream.range(0, 200_000)
                .mapToObj(i -> "<allow comment='entry " + i + "'>10." + (i >> 16) + "." + (i >> 8 & 255) + "."
                        + (i & 255) + "</allow>")
                .collect(Collectors.joining("\n"));

        PolicyReading reading = assertTimeoutPreemptively(
                Duration.ofSeconds(20),
                () -> directory.read("<mailflow><connectionFilter>" + entries + "</connectionFilter></mailflow>"));

        assertThat(reading.problems()).isEmpty();
        assertThat(reading.policy().orElseThrow().connectionFilter().entries()).hasSize(200_000);
    }

    @Test
    void documentFullOfMistakesShouldBeToldInPart() {
        PolicyReading reading = directory.read("<mailflow>" + "<wrong/>\n".repeat(5000) + "</mailflow>");

        assertThat(reading.problems()).hasSize(Problems.LISTED_PER_FILE + 1);
        assertThat(reading.problems().get(Problems.LISTED_PER_FILE)).hasToString("mailflow.xml: error: and 4000 more");
    }

    @Test
    void deeplyNestedDocumentShouldBeAProblemAndNotAnOverflow() {
        PolicyReading reading =
                directory.read("<mailflow>" + "<a>".repeat(100_000) + "</a>".repeat(100_000) + "</mailflow>");

        assertThat(reading.policy()).isEmpty();
        assertThat(reading.problems()).isNotEmpty();
    }
}
