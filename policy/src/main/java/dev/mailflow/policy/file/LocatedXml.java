/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.io.IOException;
import java.io.StringReader;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.IllegalCharsetNameException;
import java.nio.charset.StandardCharsets;
import java.nio.charset.UnsupportedCharsetException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

import javax.xml.XMLConstants;
import javax.xml.parsers.ParserConfigurationException;
import javax.xml.parsers.SAXParserFactory;

import org.xml.sax.Attributes;
import org.xml.sax.InputSource;
import org.xml.sax.Locator;
import org.xml.sax.SAXException;
import org.xml.sax.SAXParseException;
import org.xml.sax.XMLReader;
import org.xml.sax.ext.DefaultHandler2;

import dev.mailflow.policy.SourceLocation;

/**
 * Reads XML into a tree that knows its lines. Always the JDK's own parser, whatever parser is on the class path; no
 * DOCTYPE, no entity but the five predefined ones, nothing fetched from anywhere.
 */
final class LocatedXml extends DefaultHandler2 {
    private static final String FEATURES = "http://apache.org/xml/features/";
    private static final String NO_DOCTYPE = FEATURES + "disallow-doctype-decl";
    private static final Pattern DECLARED_ENCODING =
            Pattern.compile("\\A<\\?xml\\s[^>]*?encoding\\s*=\\s*[\"']([^\"']*)[\"']");
    private static final Pattern ATTRIBUTE = Pattern.compile("([^\\s=<>\"'/]+)\\s*=\\s*(?:\"[^\"]*\"|'[^']*')");
    private static final int DECLARATION_LENGTH = 256;

    private final String file;
    private final String source;
    private final int[] lineStarts;
    private final Problems problems;
    private final Deque<LocatedElement> open = new ArrayDeque<>();
    private Optional<LocatedElement> root = Optional.empty();
    private Optional<Locator> locator = Optional.empty();
    private int lineAfterPrevious = 1;

    private LocatedXml(String file, String source, Problems problems) {
        this.file = file;
        this.source = source;
        this.lineStarts = IntStream.concat(
                        IntStream.of(0),
                        IntStream.range(0, source.length())
                                .filter(i -> source.charAt(i) == '\n')
                                .map(i -> i + 1))
                .toArray();
        this.problems = problems;
    }

    /**
     * The root element; empty when the document is not well-formed, with the reason in {@code problems}.
     *
     * @param file for locations
     */
    static Optional<LocatedElement> parse(byte[] document, String file, Problems problems) {
        Optional<String> source = decode(document, file, problems);
        if (source.isEmpty()) {
            return Optional.empty();
        }
        if (source.get().isBlank()) {
            problems.error(new SourceLocation(file, 1), "the file is empty, expected <mailflow> … </mailflow>");
            return Optional.empty();
        }
        LocatedXml handler = new LocatedXml(file, source.get(), problems);
        return handler.parse() ? handler.root : Optional.empty();
    }

    private boolean parse() {
        try {
            XMLReader reader = secureReader();
            reader.setContentHandler(this);
            reader.setErrorHandler(this);
            reader.setEntityResolver(this);
            reader.setProperty("http://xml.org/sax/properties/lexical-handler", this);
            // Messages are matched below, and reports should not depend on the machine's language.
            reader.setProperty("http://apache.org/xml/properties/locale", Locale.ROOT);
            reader.parse(new InputSource(new StringReader(source)));
            return true;
        } catch (SAXParseException e) {
            problems.error(new SourceLocation(file, Math.max(e.getLineNumber(), 1)), explain(e.getMessage()));
        } catch (SAXException | IOException | ParserConfigurationException e) {
            problems.error(new SourceLocation(file, line()), "cannot be read as XML: " + e.getMessage());
        }
        return false;
    }

    private static XMLReader secureReader() throws ParserConfigurationException, SAXException {
        SAXParserFactory factory = SAXParserFactory.newDefaultInstance();
        factory.setNamespaceAware(true);
        factory.setXIncludeAware(false);
        factory.setFeature(XMLConstants.FEATURE_SECURE_PROCESSING, true);
        factory.setFeature(NO_DOCTYPE, true);
        factory.setFeature("http://xml.org/sax/features/external-general-entities", false);
        factory.setFeature("http://xml.org/sax/features/external-parameter-entities", false);
        factory.setFeature(FEATURES + "nonvalidating/load-external-dtd", false);
        return factory.newSAXParser().getXMLReader();
    }

    private static String explain(String message) {
        if (message.contains(NO_DOCTYPE)) {
            return "found a DOCTYPE, which is not allowed: it can name entities and files outside this document";
        }
        if (message.contains("start and end within the same entity")) {
            return "not well-formed XML: the document ends before everything in it is closed";
        }
        if (message.contains("entity")) {
            // The parser quotes what follows the '&', which can be the rest of an inline secret.
            return "not well-formed XML: found a '&' that begins none of &amp; &lt; &gt; &quot; &apos;;"
                    + " write '&' itself as &amp;";
        }
        if (message.contains("Content is not allowed in prolog")) {
            return "not well-formed XML: found text before the first element, expected <mailflow>";
        }
        return "not well-formed XML: " + message;
    }

    private static Optional<String> decode(byte[] document, String file, Problems problems) {
        Charset charset;
        try {
            charset = charsetOf(document);
        } catch (IllegalCharsetNameException | UnsupportedCharsetException e) {
            problems.error(
                    new SourceLocation(file, 1),
                    "found encoding " + Quoted.of(e.getMessage()) + ", expected UTF-8 or another one Java knows");
            return Optional.empty();
        }
        CharsetDecoder decoder = charset.newDecoder()
                .onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT);
        ByteBuffer bytes = ByteBuffer.wrap(document);
        try {
            String text = decoder.decode(bytes).toString();
            return Optional.of(text.startsWith("\uFEFF") ? text.substring(1) : text);
        } catch (CharacterCodingException e) {
            String good = new String(document, 0, bytes.position(), charset);
            int line = 1 + (int) good.chars().filter(c -> c == '\n').count();
            problems.error(
                    new SourceLocation(file, line),
                    "found a byte that is not valid " + charset.name()
                            + ", expected the encoding the document declares (UTF-8 when it declares none)");
            return Optional.empty();
        }
    }

    /** XML 1.0 appendix F: byte order mark, then the shape of {@code <?}, then the declaration. */
    private static Charset charsetOf(byte[] document) {
        int first = document.length > 1 ? ((document[0] & 0xFF) << 8) | (document[1] & 0xFF) : 0;
        switch (first) {
            case 0xFEFF, 0x003C:
                return StandardCharsets.UTF_16BE;
            case 0xFFFE, 0x3C00:
                return StandardCharsets.UTF_16LE;
            case 0xEFBB:
                return StandardCharsets.UTF_8;
            default:
                String start = new String(
                        document, 0, Math.min(document.length, DECLARATION_LENGTH), StandardCharsets.ISO_8859_1);
                Matcher declared = DECLARED_ENCODING.matcher(start);
                return declared.find() ? Charset.forName(declared.group(1)) : StandardCharsets.UTF_8;
        }
    }

    private int line() {
        return locator.map(Locator::getLineNumber).filter(line -> line > 0).orElse(1);
    }

    @Override
    public void setDocumentLocator(Locator documentLocator) {
        locator = Optional.of(documentLocator);
    }

    @Override
    public void startElement(String uri, String localName, String qualifiedName, Attributes attributes) {
        int startLine = startLineOf(qualifiedName);
        LocatedElement element = new LocatedElement(qualifiedName, startLine);
        if (!uri.isEmpty()) {
            problems.error(
                    new SourceLocation(file, startLine),
                    "found namespace " + Quoted.of(uri) + " on <" + qualifiedName + ">, expected no namespace");
        }
        Map<String, Integer> attributeLines = attributeLines(qualifiedName, startLine);
        for (int i = 0; i < attributes.getLength(); i++) {
            if (!attributes.getURI(i).equals(XMLConstants.W3C_XML_SCHEMA_INSTANCE_NS_URI)) {
                String name = attributes.getQName(i);
                element.attributes()
                        .put(
                                name,
                                new LocatedElement.Text(
                                        attributes.getValue(i), attributeLines.getOrDefault(name, startLine)));
            }
        }
        if (open.isEmpty()) {
            root = Optional.of(element);
        } else {
            open.getLast().children().add(element);
        }
        open.addLast(element);
        passed();
    }

    @Override
    public void endElement(String uri, String localName, String qualifiedName) {
        open.removeLast();
        passed();
    }

    @Override
    public void characters(char[] characters, int start, int length) {
        open.getLast().append(characters, start, length, line());
        passed();
    }

    @Override
    public void comment(char[] characters, int start, int length) {
        passed();
    }

    @Override
    public void endCDATA() {
        passed();
    }

    @Override
    public void processingInstruction(String target, String data) {
        passed();
    }

    @Override
    public void error(SAXParseException e) throws SAXException {
        throw e;
    }

    @Override
    public void fatalError(SAXParseException e) throws SAXException {
        throw e;
    }

    private void passed() {
        lineAfterPrevious = line();
    }

    /** The locator tells where a start tag ends; administrators look for where it begins. */
    private int startLineOf(String name) {
        for (int line = lineAfterPrevious; line < line(); line++) {
            if (textOf(line).contains("<" + name)) {
                return line;
            }
        }
        return line();
    }

    /** The line of each attribute of the start tag that the parser has just passed. */
    private Map<String, Integer> attributeLines(String element, int startLine) {
        if (startLine == line()) {
            return Map.of();
        }
        Map<String, Integer> lines = new HashMap<>();
        // No '<' can stand in a tag, so that the last one on its first line begins it.
        int from = lineStarts[startLine - 1] + Math.max(textOf(startLine).lastIndexOf("<" + element), 0);
        Matcher attribute = ATTRIBUTE.matcher(source);
        attribute.region(from, line() < lineStarts.length ? lineStarts[line()] : source.length());
        int line = startLine;
        int counted = from;
        while (attribute.find()) {
            for (; counted < attribute.start(); counted++) {
                line += source.charAt(counted) == '\n' ? 1 : 0;
            }
            lines.putIfAbsent(attribute.group(1), line);
        }
        return lines;
    }

    private String textOf(int line) {
        int begin = line <= lineStarts.length ? lineStarts[line - 1] : source.length();
        int end = line < lineStarts.length ? lineStarts[line] : source.length();
        return source.substring(begin, end);
    }
}
