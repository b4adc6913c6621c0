/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** Lines are what an administrator counts, wherever line ends, comments and long tags stand. */
class LocatedXmlProperties {

    @Provide
    Arbitrary<List<String>> pieces() {
        return Arbitraries.of(
                        "\n",
                        "\r\n",
                        " ",
                        "text &amp; more\n",
                        "<!-- a\n b -->",
                        "<![CDATA[x\n<e/>\n]]>",
                        "<?pi\nx?>",
                        "<S/>",
                        "<S\n/>",
                        "<S A='1'\n B='\n2'\n/>",
                        "<E A='>'\r\n\tB\n=\n'2' >\nx</E>",
                        "<E><!--\n--><S\n\nA='1'/></E\n>")
                .list()
                .ofMinSize(1)
                .ofMaxSize(40);
    }

    @Property(tries = 300)
    void elementAndAttributeShouldHaveTheLineTheyBeginOn(@ForAll("pieces") List<String> pieces) {
        StringBuilder document = new StringBuilder("<?xml version='1.0'?>\n<!--\n-->\n<root\n>");
        pieces.forEach(document::append);
        document.append("</root>");
        Numbered numbered = new Numbered(document.toString());
        Problems problems = new Problems();

        LocatedElement root = LocatedXml.parse(numbered.text().getBytes(StandardCharsets.UTF_8), "x.xml", problems)
                .orElseThrow(() -> new AssertionError(problems.inFileOrder("x.xml")));

        List<String> found = new ArrayList<>();
        collect(root, found);
        assertThat(found).isEqualTo(numbered.expected());
    }

    private static void collect(LocatedElement element, List<String> found) {
        found.add(element.name() + ":" + element.line());
        element.attributes().forEach((name, value) -> found.add(name + ":" + value.line()));
        element.children().forEach(child -> collect(child, found));
    }

    /** Gives every element and attribute a name of its own and notes where each stands. */
    private static final class Numbered {
        private final StringBuilder text = new StringBuilder();
        private final List<String> expected = new ArrayList<>();

        Numbered(String template) {
            List<String> open = new ArrayList<>();
            int line = 1;
            int count = 0;
            boolean inCdata = false;
            for (int i = 0; i < template.length(); i++) {
                if (template.startsWith("<![CDATA[", i)) {
                    inCdata = true;
                } else if (template.startsWith("]]>", i)) {
                    inCdata = false;
                }
                char c = template.charAt(i);
                if (!inCdata && template.startsWith("<root", i)) {
                    expected.add("root:" + line);
                }
                if (!inCdata && (template.startsWith("<E", i) || template.startsWith("<S", i))) {
                    String name = "e" + count++;
                    expected.add(name + ":" + line);
                    text.append('<').append(name);
                    if (template.startsWith("<E", i)) {
                        open.add(name);
                    }
                    i++;
                } else if (!inCdata && template.startsWith("</E", i)) {
                    text.append("</").append(open.remove(open.size() - 1));
                    i += 2;
                } else if (!inCdata && (c == 'A' || c == 'B')) {
                    String name = "a" + count++;
                    expected.add(name + ":" + line);
                    text.append(name);
                } else {
                    text.append(c);
                }
                if (c == '\n') {
                    line++;
                }
            }
        }

        String text() {
            return text.toString();
        }

        List<String> expected() {
            return expected;
        }
    }
}
