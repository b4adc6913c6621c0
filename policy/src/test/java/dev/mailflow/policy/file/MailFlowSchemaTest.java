/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.StringReader;
import java.net.URL;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import javax.xml.XMLConstants;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.stream.StreamSource;
import javax.xml.validation.Schema;
import javax.xml.validation.SchemaFactory;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.xml.sax.SAXException;

/** {@code mailflow.xsd} and the reader must tell the same story. */
class MailFlowSchemaTest {
    private static final URL SCHEMA = MailFlowSchemaTest.class.getResource("/dev/mailflow/policy/mailflow.xsd");
    private static Schema schema;

    @TempDir
    private Path temporary;

    private PolicyDirectory directory;

    @BeforeAll
    static void loadSchema() throws SAXException {
        schema = SchemaFactory.newDefaultInstance().newSchema(SCHEMA);
    }

    @BeforeEach
    void furnish() {
        directory = new PolicyDirectory(temporary).furnished();
    }

    private static void validate(String document) throws SAXException, IOException {
        schema.newValidator().validate(new StreamSource(new StringReader(document)));
    }

    static Stream<String> goodDocuments() {
        return Stream.of(
                "<mailflow/>",
                PolicyDirectory.supportedExample(),
                """
                <mailflow xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="mailflow.xsd">
                  <outboundConnectors/> <acceptedDomains/> <inboundConnectors/> <connectionFilter/>
                </mailflow>
                """,
                """
                <mailflow>
                  <acceptedDomains>
                    <domain type="${env:TYPE}" matchSubdomains=" true "> ${env:DOMAIN} </domain>
                    <domain>*.b\u00FCcher.example</domain>
                    <domain>_spf.x-y.example.</domain>
                  </acceptedDomains>
                  <connectionFilter>
                    <blockFile enabled="false">file:///absolute/path</blockFile>
                    <block except="192.0.2.1,192.0.2.4-192.0.2.7  192.0.2.128/25" enabled="false">192.0.2.0/24</block>
                    <allow expires="2027-01-31T00:00:00.5+01:00" senderDomain="*.a.example">::ffff:192.0.2.1</allow>
                    <allow>2001:db8:: - 2001:db8::ff</allow>
                    <allow>fe80::/10</allow>
                  </connectionFilter>
                  <inboundConnectors>
                    <inboundConnector name="A.b_c-9" type="partner" enabled="false">
                      <senderDomain>*</senderDomain><senderDomain>a.example</senderDomain>
                      <clientIp>192.0.2.1</clientIp><clientIp>2001:db8::1</clientIp>
                      <clientCertificate trust="pinned" sha256="%1$s, %1$s"/>
                      <internalHeaders>strip</internalHeaders><relay>false</relay>
                    </inboundConnector>
                    <inboundConnector type="organization" name="o">
                      <relay>false</relay><requireTls>true</requireTls><clientIp>10.0.0.0/8</clientIp>
                      <senderDomain>a.example</senderDomain>
                    </inboundConnector>
                  </inboundConnectors>
                  <outboundConnectors>
                    <outboundConnector name="1" type="partner" cost="0">
                      <senderDomain>joe@a.example</senderDomain><senderDomain>*@a.example</senderDomain>
                      <senderDomain>*@*.a.example</senderDomain><senderDomain>*.b.example</senderDomain>
                      <smartHost>[2001:db8::1]</smartHost><smartHost port="65535" weight="1000000">a</smartHost>
                      <recipientDomain>*</recipientDomain>
                      <useMx>false</useMx>
                      <retry schedule="1s  2m\t3h 4d"/><limits idle="1d"/>
                    </outboundConnector>
                    <outboundConnector name="2" type="internet" rulesOnly="true">
                      <cost>1000000</cost><smartHost>192.0.2.1:2525</smartHost>
                      <tls level="pinned"><sha256>n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=</sha256><sha256>%1$s</sha256></tls>
                      <credentials user="u" secret="${env:DLP_SALES}"/>
                    </outboundConnector>
                  </outboundConnectors>
                </mailflow>
                """
                        .replace("%1$s", "9F:86" + "0".repeat(60))
                        .replace("${env:TYPE}", "${file:type}"));
    }

    @ParameterizedTest
    @MethodSource("goodDocuments")
    void goodDocumentShouldSatisfySchemaAndReader(String document) throws Exception {
        directory.write("type", "internalRelay\n");

        validate(document);
        assertThat(directory.read(document).problems()).isEmpty();
    }

    @Test
    void wholeExampleShouldSatisfyTheSchema() throws Exception {
        validate(PolicyDirectory.contractExample());
    }

    static Stream<String> structuralMistakes() {
        String connector = "<outboundConnectors><outboundConnector name='x' type='partner' rulesOnly='true'>"
                + "<useMx>true</useMx>%s</outboundConnector></outboundConnectors>";
        String inbound = "<inboundConnectors><inboundConnector name='x' type='partner'>"
                + "<senderDomain>a.example</senderDomain>%s</inboundConnector></inboundConnectors>";
        return Stream.of(
                        "stray",
                        "<acceptedDomain/>",
                        "<acceptedDomains/><acceptedDomains/>",
                        "<acceptedDomains>stray</acceptedDomains>",
                        "<acceptedDomains x='y'/>",
                        "<acceptedDomains><domain/></acceptedDomains>",
                        "<acceptedDomains><domain>*</domain></acceptedDomains>",
                        "<acceptedDomains><domain>a<b/></domain></acceptedDomains>",
                        "<acceptedDomains><domain type='relay'>a</domain></acceptedDomains>",
                        "<acceptedDomains><domain matchSubdomains='1'>a</domain></acceptedDomains>",
                        "<acceptedDomains><domain enabled='true'>a</domain></acceptedDomains>",
                        "<connectionFilter><allow>host.example</allow></connectionFilter>",
                        "<connectionFilter><allow expires='tomorrow'>192.0.2.1</allow></connectionFilter>",
                        "<connectionFilter><allow except=''>192.0.2.1</allow></connectionFilter>",
                        "<connectionFilter><allowFile>allow.txt</allowFile></connectionFilter>",
                        "<connectionFilter><allowlist/></connectionFilter>",
                        "<inboundConnectors><inboundConnector/></inboundConnectors>",
                        "<inboundConnectors><inboundConnector name='x' type='internet'/></inboundConnectors>",
                        inbound.formatted("<smartHost>a</smartHost>"),
                        inbound.formatted("<requireTls>yes</requireTls>"),
                        inbound.formatted("<internalHeaders>keep</internalHeaders>"),
                        inbound.formatted("<clientCertificate trust='dane'/>"),
                        inbound.formatted("<clientCertificate>mail.example</clientCertificate>"),
                        "<inboundConnectors>"
                                + "<inboundConnector name='x' type='organization'><clientIp>192.0.2.1</clientIp></inboundConnector>"
                                        .repeat(2)
                                + "</inboundConnectors>",
                        connector.formatted("<tls/>"),
                        connector.formatted("<tls level='strict'/>"),
                        connector.formatted("<tls level='ca' verify='true'/>"),
                        connector.formatted("<tls level='pinned'><sha256>00</sha256></tls>"),
                        connector.formatted("<tls level='ca'><clientCertificate keystore='file://conf/k'/></tls>"),
                        connector.formatted("<credentials user='u'/>"),
                        connector.formatted("<credentials user='' secret='${env:DLP_SALES}'/>"),
                        connector.formatted("<limits connections='0'/>"),
                        connector.formatted("<limits idle='30'/>"),
                        connector.formatted("<retry schedule='1m,5m'/>"),
                        connector.formatted("<retry schedule=''/>"),
                        connector.formatted("<cost>cheap</cost>"),
                        connector.formatted("<recipientDomain>a@b.example</recipientDomain>"),
                        connector.formatted("<senderDomain>j*@b.example</senderDomain>"),
                        connector.replace("name='x'", "name='a b'"),
                        connector.replace("name='x'", "name='" + "x".repeat(65) + "'"),
                        connector.replace("<useMx>true</useMx>", "<smartHost>smtp://a</smartHost>"),
                        connector.replace("<useMx>true</useMx>", "<smartHost port='0'>a</smartHost>"),
                        connector.replace("<useMx>true</useMx>", "<smartHost port='+25'>a</smartHost>"),
                        connector.replace("<useMx>true</useMx>", "<smartHost weight='0'>a</smartHost>"),
                        connector.replace("<useMx>true</useMx>", "<smartHost>*.a</smartHost>"),
                        connector.replace("type='partner'", "type='cloud'"))
                .map(content -> "<mailflow>" + content.replace("%s", "") + "</mailflow>");
    }

    @ParameterizedTest
    @MethodSource("structuralMistakes")
    void structuralMistakeShouldBeRefusedBySchemaAndReader(String document) {
        assertThat(directory.read(document).policy()).isEmpty();
        assertThatThrownBy(() -> validate(document)).isInstanceOf(SAXException.class);
    }

    @Test
    void schemaShouldListTheElementsAndAttributesOfTheGrammar() throws Exception {
        Map<String, Set<String>> grammar = new TreeMap<>();
        collect(Grammar.MAILFLOW, "", grammar);

        assertThat(new SchemaOutline().paths()).isEqualTo(grammar);
    }

    private static void collect(ElementRule<?> rule, String parent, Map<String, Set<String>> paths) {
        String path = parent + "/" + rule.name();
        paths.put(
                path,
                rule.attributes().stream()
                        .map(attribute -> attribute.name() + (attribute.required() ? " required" : ""))
                        .collect(Collectors.toCollection(TreeSet::new)));
        rule.children().forEach(child -> collect(child.rule(), path, paths));
    }

    /** The elements of the schema by path, each with its attributes; reads as much of XSD as ours uses. */
    private static final class SchemaOutline {
        private final Map<String, Set<String>> paths = new TreeMap<>();
        private final Element root;

        SchemaOutline() throws Exception {
            DocumentBuilderFactory factory = DocumentBuilderFactory.newDefaultNSInstance();
            Document document = factory.newDocumentBuilder().parse(SCHEMA.toString());
            root = document.getDocumentElement();
            children(root, "element").forEach(element -> element(element, ""));
        }

        Map<String, Set<String>> paths() {
            return paths;
        }

        private void element(Element element, String parent) {
            String path = parent + "/" + element.getAttribute("name");
            paths.put(path, new TreeSet<>());
            within(element, path);
            String type = element.getAttribute("type");
            children(root, "complexType").stream()
                    .filter(candidate -> candidate.getAttribute("name").equals(type))
                    .forEach(named -> within(named, path));
        }

        private void within(Element container, String path) {
            for (Element child : children(container, "*")) {
                switch (child.getLocalName()) {
                    case "element" -> element(child, path);
                    case "attribute" -> paths.get(path)
                            .add(child.getAttribute("name")
                                    + (child.getAttribute("use").equals("required") ? " required" : ""));
                    case "unique", "annotation" -> {}
                    default -> within(child, path);
                }
            }
        }

        private static List<Element> children(Element parent, String name) {
            List<Element> children = new ArrayList<>();
            for (Node node = parent.getFirstChild(); node != null; node = node.getNextSibling()) {
                if (node instanceof Element element
                        && XMLConstants.W3C_XML_SCHEMA_NS_URI.equals(element.getNamespaceURI())
                        && (name.equals("*") || name.equals(element.getLocalName()))) {
                    children.add(element);
                }
            }
            return children;
        }
    }
}
