/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.configuration;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import javax.xml.XMLConstants;
import javax.xml.parsers.ParserConfigurationException;
import javax.xml.parsers.SAXParserFactory;

import org.apache.commons.configuration2.BaseConfiguration;
import org.apache.commons.configuration2.ex.ConversionException;
import org.xbill.DNS.Name;
import org.xbill.DNS.TextParseException;
import org.xml.sax.Attributes;
import org.xml.sax.InputSource;
import org.xml.sax.Locator;
import org.xml.sax.SAXException;
import org.xml.sax.SAXParseException;
import org.xml.sax.XMLReader;
import org.xml.sax.helpers.DefaultHandler;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.SourceLocation;

/**
 * James's own configuration files, looked at before James reads them: of a mistake it tells neither the file nor the
 * place, and an element of {@code dnsservice.xml} that it does not know it leaves out without a word. What an
 * administrator sees is a line such as {@code dnsservice.xml:5: error: <server>: found 'ns1:53', expected …}.
 */
public final class JamesFiles {
    private static final String DNS = "dnsservice";
    /** All that the gateway reads at its start, if they are there. */
    private static final List<String> COMPONENTS = List.of(
            DNS,
            "imapserver",
            "listeners",
            "lmtpserver",
            "mailetcontainer",
            "mailrepositorystore",
            "recipientrewritetable",
            "smtpserver",
            "usersrepository");

    private static final String BOOLEAN = "true or false";
    private static final String NUMBER = "a whole number";
    private static final Pattern CONVERSION = Pattern.compile(
            "Key '(?<key>[^']*)' cannot be converted to class (?<type>[\\w.$]+)\\. Value is: '(?<value>.*)'\\..*",
            Pattern.DOTALL);
    /** The last step of a key of Commons Configuration: {@code a.b(2).name}, or {@code a.b[@attribute]}. */
    private static final Pattern LAST_STEP =
            Pattern.compile("(?:.*\\.)?(?<element>[^.\\[(]*)(?:\\(\\d+\\))?(?:\\[@(?<attribute>[^]]+)])?");

    private final Path conf;

    public JamesFiles(Path conf) {
        this.conf = conf;
    }

    /** Everything that is not well-formed, and all that {@code dnsservice.xml} says and James would not understand. */
    public List<PolicyProblem> problems() {
        List<PolicyProblem> problems = new ArrayList<>();
        for (String component : COMPONENTS) {
            Optional<Element> root = read(component, problems);
            if (component.equals(DNS)) {
                root.ifPresent(dns -> new DnsService(dns, problems).check());
            }
        }
        return problems;
    }

    /** Where the value stands that James could not take; empty: that cannot be told. */
    public List<PolicyProblem> placesOf(ConversionException failure) {
        Matcher said = CONVERSION.matcher(String.valueOf(failure.getMessage()));
        Matcher step = LAST_STEP.matcher(said.matches() ? said.group("key") : "");
        if (!said.matches() || !step.matches()) {
            return List.of();
        }
        String value = said.group("value");
        String expected = expected(said.group("type"));
        Optional<String> attribute = Optional.ofNullable(step.group("attribute"));
        List<PolicyProblem> places = new ArrayList<>();
        for (String component : COMPONENTS) {
            Stream<Element> all = read(component, new ArrayList<>()).stream().flatMap(Element::withDescendants);
            (attribute.isPresent()
                            ? all.filter(element -> value.equals(element.attributes.get(attribute.get())))
                                    .map(element -> element.problem("attribute " + attribute.get() + " of <"
                                            + element.name + ">: found '" + value + "', expected " + expected))
                            : all.filter(element -> element.name.equals(step.group("element"))
                                            && element.text().equals(value))
                                    .map(element -> element.unexpected(value, expected)))
                    .forEach(places::add);
        }
        if (attribute.isEmpty()) {
            places.addAll(inProperties(said.group("key"), value, expected));
        }
        return places;
    }

    private static String expected(String type) {
        return switch (type) {
            case "java.lang.Boolean" -> BOOLEAN;
            case "java.lang.Integer", "java.lang.Long", "java.lang.Short" -> NUMBER;
            default -> "a value of type " + type.substring(type.lastIndexOf('.') + 1);
        };
    }

    private List<PolicyProblem> inProperties(String key, String value, String expected) {
        Pattern setting = Pattern.compile("\\s*" + Pattern.quote(key) + "\\s*[=:]\\s*" + Pattern.quote(value) + "\\s*");
        List<PolicyProblem> places = new ArrayList<>();
        try (Stream<Path> files = Files.list(conf)) {
            for (Path file : files.filter(each -> each.toString().endsWith(".properties"))
                    .sorted()
                    .toList()) {
                List<String> lines = new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1)
                        .lines()
                        .toList();
                for (int i = 0; i < lines.size(); i++) {
                    if (setting.matcher(lines.get(i)).matches()) {
                        places.add(PolicyProblem.error(
                                new SourceLocation(file.getFileName().toString(), i + 1),
                                key + ": found '" + value + "', expected " + expected));
                    }
                }
            }
            return places;
        } catch (IOException e) {
            return List.of();
        }
    }

    /** The root element; empty where there is no such file, or one that cannot be read, which becomes a problem. */
    private Optional<Element> read(String component, List<PolicyProblem> problems) {
        Path path = conf.resolve(component + ".xml");
        if (!Files.exists(path)) {
            return Optional.empty();
        }
        Tree tree = new Tree(path.getFileName().toString());
        try (InputStream content = Files.newInputStream(path)) {
            XMLReader reader = reader();
            reader.setContentHandler(tree);
            reader.setErrorHandler(tree);
            reader.parse(new InputSource(content));
            return tree.root;
        } catch (SAXParseException e) {
            problems.add(PolicyProblem.error(
                    new SourceLocation(tree.file, Math.max(e.getLineNumber(), 1)),
                    "not well-formed XML: " + withoutContent(e.getMessage())));
        } catch (SAXException | IOException | ParserConfigurationException e) {
            problems.add(PolicyProblem.error(
                    new SourceLocation(tree.file, tree.line()), "cannot be read as XML: " + e.getMessage()));
        }
        return Optional.empty();
    }

    /** Always the JDK's own parser, which fetches nothing. James takes a DOCTYPE, and so it is taken here. */
    private static XMLReader reader() throws ParserConfigurationException, SAXException {
        String features = "http://apache.org/xml/features/";
        SAXParserFactory factory = SAXParserFactory.newDefaultInstance();
        factory.setFeature(XMLConstants.FEATURE_SECURE_PROCESSING, true);
        factory.setFeature("http://xml.org/sax/features/external-general-entities", false);
        factory.setFeature("http://xml.org/sax/features/external-parameter-entities", false);
        factory.setFeature(features + "nonvalidating/load-external-dtd", false);
        XMLReader reader = factory.newSAXParser().getXMLReader();
        // messages do not depend on the machine's language
        reader.setProperty("http://apache.org/xml/properties/locale", Locale.ROOT);
        return reader;
    }

    private static String withoutContent(String message) {
        return message.contains("entity") && !message.contains("start and end within the same entity")
                // the parser quotes what follows the '&', which can be the rest of a password
                ? "found a '&' that begins none of &amp; &lt; &gt; &quot; &apos;; write '&' itself as &amp;"
                : message;
    }

    private static final class Element {
        private final String file;
        private final String name;
        private final int line;
        private final Map<String, String> attributes = new HashMap<>();
        private final List<Element> children = new ArrayList<>();
        private final StringBuilder text = new StringBuilder();

        Element(String file, String name, int line) {
            this.file = file;
            this.name = name;
            this.line = line;
        }

        String text() {
            return text.toString().strip();
        }

        Stream<Element> withDescendants() {
            return Stream.concat(Stream.of(this), children.stream().flatMap(Element::withDescendants));
        }

        PolicyProblem problem(String message) {
            return PolicyProblem.error(new SourceLocation(file, line), message);
        }

        PolicyProblem unexpected(String found, String expected) {
            return problem("<" + name + ">: found '" + found + "', expected " + expected);
        }
    }

    private static final class Tree extends DefaultHandler {
        private final String file;
        private final Deque<Element> open = new ArrayDeque<>();
        private Optional<Locator> locator = Optional.empty();
        private Optional<Element> root = Optional.empty();

        Tree(String file) {
            this.file = file;
        }

        int line() {
            return Math.max(locator.map(Locator::getLineNumber).orElse(1), 1);
        }

        @Override
        public void setDocumentLocator(Locator documentLocator) {
            locator = Optional.of(documentLocator);
        }

        @Override
        public void startElement(String uri, String localName, String name, Attributes attributes) {
            Element element = new Element(file, name, line());
            for (int i = 0; i < attributes.getLength(); i++) {
                element.attributes.put(attributes.getQName(i), attributes.getValue(i));
            }
            if (open.isEmpty()) {
                root = Optional.of(element);
            } else {
                open.getLast().children.add(element);
            }
            open.addLast(element);
        }

        @Override
        public void characters(char[] characters, int start, int length) {
            open.getLast().text.append(characters, start, length);
        }

        @Override
        public void endElement(String uri, String localName, String name) {
            open.removeLast();
        }

        @Override
        public void fatalError(SAXParseException e) throws SAXException {
            throw e;
        }
    }

    /** What James's {@code DNSJavaService} understands. */
    private static final class DnsService {
        private static final String ADDRESS =
                "the address of a name server (192.0.2.53 or 2001:db8::53); it is asked at port 53";
        private static final String SEARCH_DOMAIN = "a domain (contoso.com)";
        private static final Map<String, String> LISTS = Map.of("servers", "server", "searchpaths", "searchpath");
        private static final List<String> BOOLEANS =
                List.of("autodiscover", "authoritative", "setAsDNSJavaDefault", "verbose", "singleIPperMX");
        private static final List<String> NUMBERS = List.of("maxcachesize", "negativeCacheTTL");
        private static final String ALL = "<autodiscover>, <servers>, <searchpaths>, <authoritative>, <maxcachesize>,"
                + " <negativeCacheTTL>, <setAsDNSJavaDefault> or <verbose>";

        private final Element root;
        private final List<PolicyProblem> problems;

        DnsService(Element root, List<PolicyProblem> problems) {
            this.root = root;
            this.problems = problems;
        }

        void check() {
            for (Element child : root.children) {
                if (LISTS.containsKey(child.name)) {
                    list(child, LISTS.get(child.name));
                } else if (BOOLEANS.contains(child.name)) {
                    leaf(child);
                    value(child, BOOLEAN, BaseConfiguration::getBoolean);
                } else if (NUMBERS.contains(child.name)) {
                    leaf(child);
                    value(child, NUMBER, BaseConfiguration::getInt);
                } else {
                    unknown(child, root, ALL);
                }
            }
        }

        private void list(Element list, String name) {
            if (!list.text().isEmpty()) {
                problems.add(list.unexpected(list.text(), "one or more <" + name + ">"));
            }
            withoutAttributes(list);
            for (Element entry : list.children) {
                if (!entry.name.equals(name)) {
                    unknown(entry, list, "<" + name + ">");
                    continue;
                }
                leaf(entry);
                if (name.equals("server")) {
                    value(entry, ADDRESS, DnsService::address);
                } else {
                    value(entry, SEARCH_DOMAIN, DnsService::domain);
                }
            }
        }

        private static void address(BaseConfiguration configuration, String key) {
            try {
                // a name is found by the system, as James does
                InetAddress.getByName(notEmpty(configuration.getString(key)));
            } catch (UnknownHostException e) {
                throw new ConversionException(key, e);
            }
        }

        private static void domain(BaseConfiguration configuration, String key) {
            try {
                Name.fromString(notEmpty(configuration.getString(key)));
            } catch (TextParseException e) {
                throw new ConversionException(key, e);
            }
        }

        private static String notEmpty(String text) {
            if (text.isEmpty()) {
                throw new ConversionException("found nothing");
            }
            return text;
        }

        private interface Reader {
            /** @throws ConversionException when the value is none of the kind */
            void read(BaseConfiguration configuration, String key);
        }

        /** By James's own conversion, which also resolves references. */
        private void value(Element element, String expected, Reader reader) {
            BaseConfiguration configuration = new BaseConfiguration();
            configuration.setProperty(element.name, element.text());
            try {
                reader.read(configuration, element.name);
            } catch (ConversionException e) {
                problems.add(element.unexpected(element.text(), expected));
            }
        }

        private void leaf(Element element) {
            element.children.forEach(child -> unknown(child, element, "text"));
            withoutAttributes(element);
        }

        private void withoutAttributes(Element element) {
            element.attributes.keySet().stream()
                    .sorted()
                    .forEach(name -> problems.add(element.problem(
                            "found attribute " + name + " of <" + element.name + ">, expected no attribute")));
        }

        private void unknown(Element element, Element parent, String expected) {
            problems.add(
                    element.problem("found <" + element.name + "> in <" + parent.name + ">, expected " + expected));
        }
    }
}
