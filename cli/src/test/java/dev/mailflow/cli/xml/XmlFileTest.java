/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.xml;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.List;

import org.junit.jupiter.api.Test;

class XmlFileTest {
    private static final List<String> ORDER = List.of("domains", "connectors", "hybrid");
    private static final String HAND_EDITED =
            """
            <?xml version="1.0" encoding="UTF-8"?>
            <!-- ours; do not touch > < -->
            <mailflow
                other='kept'   >
                <domains>
                    <domain>example.com</domain>    <!-- the first -->
                    <!-- <domain>off.example</domain> -->
                    <foreign attribute = "1"><![CDATA[<domain>no</domain>]]></foreign>
                </domains>

                <connectors/>
            </mailflow>
            <!-- the end -->
            """;

    private static XmlFile file(String text) throws XmlSyntaxException {
        return XmlFile.parse(text.getBytes(StandardCharsets.UTF_8), "test.xml");
    }

    private static Wanted domains(String... domains) {
        Wanted wanted = Wanted.element("domains");
        for (String domain : domains) {
            wanted.child(Wanted.element("domain").keyedByText(domain));
        }
        return wanted;
    }

    private static Wanted connector(String type) {
        return Wanted.element("connectors")
                .child(Wanted.element("connector")
                        .keyed("name", "a&b")
                        .attribute("type", type)
                        .child(Wanted.element("host").text("one.example")));
    }

    @Test
    void newElementsShouldStandBesideTheirLikeAndEverythingElseStay() throws Exception {
        XmlFile file = file(HAND_EDITED);

        file.ensure(file.root(), domains("example.com", "contoso.com"), ORDER);
        file.ensure(file.root(), connector("partner"), ORDER);
        file.ensure(
                file.root(), Wanted.element("hybrid").child(Wanted.element("mx").text("cloud")), ORDER);

        assertThat(file.text())
                .isEqualTo(
                        """
                        <?xml version="1.0" encoding="UTF-8"?>
                        <!-- ours; do not touch > < -->
                        <mailflow
                            other='kept'   >
                            <domains>
                                <domain>example.com</domain>    <!-- the first -->
                                <domain>contoso.com</domain>
                                <!-- <domain>off.example</domain> -->
                                <foreign attribute = "1"><![CDATA[<domain>no</domain>]]></foreign>
                            </domains>

                            <connectors>
                                <connector name="a&amp;b" type="partner">
                                    <host>one.example</host>
                                </connector>
                            </connectors>
                            <hybrid>
                                <mx>cloud</mx>
                            </hybrid>
                        </mailflow>
                        <!-- the end -->
                        """);
    }

    @Test
    void changeThatIsThereShouldChangeNoByte() throws Exception {
        XmlFile file = file(HAND_EDITED);
        file.ensure(file.root(), domains("example.com", "contoso.com"), ORDER);
        file.ensure(file.root(), connector("partner"), ORDER);
        String once = file.text();

        file.ensure(file.root(), domains("example.com", "contoso.com"), ORDER);
        file.ensure(file.root(), connector("partner"), ORDER);

        assertThat(file.text()).isEqualTo(once);
    }

    @Test
    void valuesShouldBeChangedWhereTheyStand() throws Exception {
        XmlFile file = file(
                "<m>\n  <c name='x' type = 'old'><!-- why -->\n    <t> old </t> <!-- t -->\n    <u/>\n  </c>\n</m>\n");

        file.ensure(
                file.root(),
                Wanted.element("c")
                        .keyed("name", "x")
                        .attribute("type", "it's")
                        .child(Wanted.element("t").text("new"))
                        .child(Wanted.element("u").text("<&>")),
                List.of());

        assertThat(file.text())
                .isEqualTo("<m>\n  <c name='x' type = 'it&apos;s'><!-- why -->\n    <t> new </t> <!-- t -->\n"
                        + "    <u>&lt;&amp;&gt;</u>\n  </c>\n</m>\n");
        assertThat(file.root().child("c").orElseThrow().child("u").orElseThrow().text())
                .isEqualTo("<&>");
    }

    @Test
    void whatMustNotBeThereShouldGoWithItsLineButNotItsNeighbours() throws Exception {
        XmlFile file = file("<m>\r\n"
                + "\t<c a=\"1\" b='2'>\r\n"
                + "\t\t<x>1</x>\r\n"
                + "\t\t<x>2</x> <!-- two -->\r\n"
                + "\t\t<y/>\r\n"
                + "\t</c>\r\n"
                + "</m>");

        file.ensure(
                file.root(),
                Wanted.element("c")
                        .withoutAttribute("b")
                        .child(Wanted.element("x").keyedByText("3"))
                        .only("x"),
                List.of());

        assertThat(file.text())
                .isEqualTo("<m>\r\n\t<c a=\"1\">\r\n\t\t <!-- two -->\r\n\t\t<x>3</x>\r\n\t\t<y/>\r\n\t</c>\r\n</m>");
    }

    @Test
    void elementsOfOneLineShouldBeOpenedUp() throws Exception {
        XmlFile file = file("<m><c><t>1</t></c></m>");

        file.ensure(file.root(), Wanted.element("c").child(Wanted.element("u").text("2")), List.of());

        assertThat(file.root().child("c").orElseThrow().child("u").orElseThrow().text())
                .isEqualTo("2");
        assertThat(file.text()).startsWith("<m><c>").contains("<t>1</t>");
    }

    @Test
    void neighboursShouldBeInsertedBehindAndBefore() throws Exception {
        XmlFile file = file("<p>\n  <!-- a -->\n  <m c=\"A\"/>\n  <!-- leads to b -->\n  <m c=\"B\"/>\n</p>\n");
        PlacedElement second = file.root().children().get(1);

        file.insertBefore(file.root(), second, Wanted.element("m").attribute("c", "N"));

        assertThat(file.text())
                .isEqualTo("<p>\n"
                        + "  <!-- a -->\n"
                        + "  <m c=\"A\"/>\n"
                        + "  <m c=\"N\"/>\n"
                        + "  <!-- leads to b -->\n"
                        + "  <m c=\"B\"/>\n"
                        + "</p>\n");
        file.remove(file.root().children().get(1));
        assertThat(file.text())
                .isEqualTo("<p>\n  <!-- a -->\n  <m c=\"A\"/>\n  <!-- leads to b -->\n  <m c=\"B\"/>\n</p>\n");
    }

    @Test
    void encodingAndByteOrderMarkShouldBeKept() throws Exception {
        byte[] latin = "<?xml version='1.0' encoding='ISO-8859-1'?>\n<m><!-- Grüße --></m>"
                .getBytes(StandardCharsets.ISO_8859_1);
        XmlFile file = XmlFile.parse(latin, "test.xml");
        assertThat(file.bytes()).isEqualTo(latin);

        byte[] marked = "\uFEFF<m/>".getBytes(StandardCharsets.UTF_8);
        XmlFile second = XmlFile.parse(marked, "test.xml");
        second.ensure(second.root(), Wanted.element("a"), List.of());
        assertThat(new String(second.bytes(), StandardCharsets.UTF_8)).isEqualTo("\uFEFF<m>\n  <a/>\n</m>");
    }

    @Test
    void whatIsNotXmlShouldBeRefusedWithItsLine() {
        assertThatThrownBy(() -> file("<m>\n<a>\n</m>")).hasMessageStartingWith("test.xml:3: not well-formed XML");
        assertThatThrownBy(() -> file("<!DOCTYPE m [<!ENTITY a 'b'>]>\n<m>&a;</m>"))
                .hasMessageContaining("DOCTYPE");
        assertThatThrownBy(() -> XmlFile.parse(new byte[] {'<', 'm', '>', (byte) 0xFF}, "test.xml"))
                .hasMessageContaining("not UTF-8");
    }
}
