/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.xml;

import java.io.IOException;
import java.io.StringReader;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import javax.xml.XMLConstants;
import javax.xml.parsers.ParserConfigurationException;
import javax.xml.parsers.SAXParserFactory;

import org.xml.sax.InputSource;
import org.xml.sax.SAXException;
import org.xml.sax.SAXParseException;
import org.xml.sax.helpers.DefaultHandler;

import dev.mailflow.cli.xml.PlacedElement.Span;

/**
 * The text of an XML file and the place of every element in it, so that a change touches the characters it must and no
 * other. The JDK's parser says first whether the text is well-formed; after that, finding the tags needs no more than
 * to skip comments, CDATA and processing instructions.
 */
final class XmlText {
    private static final Pattern ATTRIBUTE = Pattern.compile("([^\\s=<>\"'/]+)\\s*=\\s*(?:\"([^\"]*)\"|'([^']*)')");
    private static final Pattern REFERENCE = Pattern.compile("&(?:#x([0-9A-Fa-f]+)|#([0-9]+)|(amp|lt|gt|quot|apos));");

    private final String text;
    private final Deque<PlacedElement> open = new ArrayDeque<>();
    private PlacedElement root;

    private XmlText(String text) {
        this.text = text;
    }

    /**
     * The root element.
     *
     * @param file for messages
     */
    static PlacedElement parse(String text, String file) throws XmlSyntaxException {
        requireWellFormed(text, file);
        return new XmlText(text).scan();
    }

    private static void requireWellFormed(String text, String file) throws XmlSyntaxException {
        try {
            SAXParserFactory factory = SAXParserFactory.newDefaultInstance();
            factory.setFeature(XMLConstants.FEATURE_SECURE_PROCESSING, true);
            factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
            String document = text.startsWith("\uFEFF") ? text.substring(1) : text;
            factory.newSAXParser().parse(new InputSource(new StringReader(document)), new DefaultHandler());
        } catch (SAXParseException e) {
            throw new XmlSyntaxException(file + ":" + e.getLineNumber() + ": not well-formed XML: " + e.getMessage());
        } catch (SAXException | IOException | ParserConfigurationException e) {
            throw new XmlSyntaxException(file + ": cannot be read as XML: " + e.getMessage());
        }
    }

    private PlacedElement scan() {
        int at = 0;
        while (at < text.length()) {
            int tag = text.indexOf('<', at);
            if (tag < 0) {
                break;
            }
            characters(at, tag);
            if (text.startsWith("<!--", tag)) {
                at = text.indexOf("-->", tag) + 3;
            } else if (text.startsWith("<![CDATA[", tag)) {
                at = text.indexOf("]]>", tag) + 3;
                open.getLast().append(text.substring(tag + 9, at - 3), new Span(tag, at));
            } else if (text.startsWith("<?", tag)) {
                at = text.indexOf("?>", tag) + 2;
            } else if (text.startsWith("</", tag)) {
                at = text.indexOf('>', tag) + 1;
                open.removeLast().endTag(new Span(tag, at));
            } else {
                at = startTag(tag);
            }
        }
        return root;
    }

    private void characters(int from, int to) {
        if (from < to && !open.isEmpty()) {
            open.getLast().append(unescape(text.substring(from, to)), new Span(from, to));
        }
    }

    private int startTag(int tag) {
        int end = tag + 1;
        while (" \t\r\n/>".indexOf(text.charAt(end)) < 0) {
            end++;
        }
        PlacedElement element = new PlacedElement(text.substring(tag + 1, end), tag);
        Matcher attribute = ATTRIBUTE.matcher(text);
        attribute.region(end, text.length());
        while (text.charAt(end) != '>' && text.charAt(end) != '/') {
            if (Character.isWhitespace(text.charAt(end))) {
                end++;
                continue;
            }
            attribute.region(end, text.length());
            if (!attribute.lookingAt()) {
                throw new IllegalStateException("the parser took what has no attribute at " + end);
            }
            int group = attribute.group(2) == null ? 3 : 2;
            element.attributes()
                    .put(
                            attribute.group(1),
                            new PlacedElement.Attribute(
                                    unescape(attribute.group(group)),
                                    new Span(attribute.start(), attribute.end()),
                                    new Span(attribute.start(group), attribute.end(group))));
            end = attribute.end();
        }
        boolean empty = text.charAt(end) == '/';
        int after = text.indexOf('>', end) + 1;
        element.startTag(new Span(tag, after));
        element.endTag(new Span(after, after));
        if (open.isEmpty()) {
            root = element;
        } else {
            open.getLast().children().add(element);
        }
        if (!empty) {
            open.addLast(element);
        }
        return after;
    }

    private static String unescape(String raw) {
        return raw.indexOf('&') < 0
                ? raw
                : REFERENCE
                        .matcher(raw)
                        .replaceAll(found ->
                                Matcher.quoteReplacement(character(found.group(1), found.group(2), found.group(3))));
    }

    private static String character(String hexadecimal, String decimal, String name) {
        if (name == null) {
            return Character.toString(
                    hexadecimal == null ? Integer.parseInt(decimal) : Integer.parseInt(hexadecimal, 16));
        }
        return switch (name) {
            case "amp" -> "&";
            case "lt" -> "<";
            case "gt" -> ">";
            case "quot" -> "\"";
            default -> "'";
        };
    }

    /** The value as it may stand between double quotes or tags. */
    static String escape(String value) {
        return value.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }

    /** The encoding an XML declaration names, in upper case; UTF-8 when it names none. */
    static String declaredEncoding(String start) {
        Matcher declared = Pattern.compile("\\A\uFEFF?<\\?xml\\s[^>]*?encoding\\s*=\\s*[\"']([^\"']*)[\"']")
                .matcher(start);
        return declared.find() ? declared.group(1).toUpperCase(Locale.ROOT) : "UTF-8";
    }
}
