/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.xml;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.IllegalCharsetNameException;
import java.nio.charset.StandardCharsets;
import java.nio.charset.UnsupportedCharsetException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

import dev.mailflow.cli.xml.PlacedElement.Span;

/**
 * An XML file that is changed by its text: what a change does not speak of (comments, elements of others, order,
 * indentation, line ends, encoding) keeps every byte, and a change that is already there changes nothing. New elements
 * are indented as their neighbours are. A comment that ends the line of an element belongs to that element.
 */
public final class XmlFile {
    private static final int DECLARATION_LENGTH = 256;
    private static final String DEFAULT_INDENT = "  ";

    private final String file;
    private final Charset charset;
    private String text;
    private PlacedElement root;
    private final List<Edit> edits = new ArrayList<>();

    /** Text for a place; edits of one place are made in the order they were asked for. */
    private record Edit(Span place, String replacement) {}

    private XmlFile(String file, Charset charset, String text) throws XmlSyntaxException {
        this.file = file;
        this.charset = charset;
        this.text = text;
        this.root = XmlText.parse(text, file);
    }

    /**
     * Reads a document.
     *
     * @param file its name for messages
     */
    public static XmlFile parse(byte[] document, String file) throws XmlSyntaxException {
        String start =
                new String(document, 0, Math.min(document.length, DECLARATION_LENGTH), StandardCharsets.ISO_8859_1);
        // a byte order mark in ISO-8859-1
        String encoding = XmlText.declaredEncoding(start.startsWith("\u00EF\u00BB\u00BF") ? start.substring(3) : start);
        try {
            Charset charset = Charset.forName(encoding);
            String text = charset.newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .onUnmappableCharacter(CodingErrorAction.REPORT)
                    .decode(ByteBuffer.wrap(document))
                    .toString();
            XmlFile read = new XmlFile(file, charset, text);
            if (!Arrays.equals(read.bytes(), document)) {
                throw new XmlSyntaxException(file + ": cannot be written back as it is in " + encoding);
            }
            return read;
        } catch (CharacterCodingException | IllegalCharsetNameException | UnsupportedCharsetException e) {
            throw new XmlSyntaxException(file + ": found bytes that are not " + encoding
                    + ", expected the encoding that the document declares (UTF-8 when it declares none)");
        }
    }

    /** The document as it is now. */
    public byte[] bytes() {
        try {
            ByteBuffer encoded = charset.newEncoder()
                    .onUnmappableCharacter(CodingErrorAction.REPORT)
                    .encode(CharBuffer.wrap(text));
            byte[] bytes = new byte[encoded.remaining()];
            encoded.get(bytes);
            return bytes;
        } catch (CharacterCodingException e) {
            throw new IllegalStateException("only ASCII is ever added to a document", e);
        }
    }

    public String text() {
        return text;
    }

    public PlacedElement root() {
        return root;
    }

    /**
     * Makes an element as wanted: adds what is missing in it, changes what differs, takes out what must not be there.
     *
     * @param order names of children of {@code parent} in the order in which new ones are put; others stay where they are
     */
    public void ensure(PlacedElement parent, Wanted wanted, List<String> order) throws XmlSyntaxException {
        Optional<PlacedElement> found =
                parent.children().stream().filter(wanted::isSame).findFirst();
        if (found.isPresent()) {
            match(found.get(), wanted);
        } else {
            insert(parent, List.of(wanted), order);
        }
        apply();
    }

    /** As {@link #ensure}, for an element that is there. */
    public void change(PlacedElement element, Wanted wanted) throws XmlSyntaxException {
        match(element, wanted);
        apply();
    }

    /** Puts a new element right behind another one. */
    public void insertAfter(PlacedElement sibling, Wanted wanted) throws XmlSyntaxException {
        edits.add(new Edit(at(endOfLine(sibling.end())), lineEnd() + render(wanted, indentOf(sibling), unit())));
        apply();
    }

    /** Puts a new element before another one and the comments that lead to it. */
    public void insertBefore(PlacedElement parent, PlacedElement sibling, Wanted wanted) throws XmlSyntaxException {
        int index = parent.children().indexOf(sibling);
        if (index > 0) {
            insertAfter(parent.children().get(index - 1), wanted);
        } else {
            edits.add(new Edit(
                    at(endOfLine(parent.startTag().to())), lineEnd() + render(wanted, indentOf(sibling), unit())));
            apply();
        }
    }

    /** Takes an element out, with its line when nothing else stands there. */
    public void remove(PlacedElement element) throws XmlSyntaxException {
        edits.add(removal(element));
        apply();
    }

    private void match(PlacedElement element, Wanted wanted) {
        for (Map.Entry<String, String> attribute : wanted.attributes().entrySet()) {
            PlacedElement.Attribute present = element.attributes().get(attribute.getKey());
            if (present == null) {
                edits.add(new Edit(
                        at(behindAttributes(element)),
                        " " + attribute.getKey() + "=\"" + XmlText.escape(attribute.getValue()) + "\""));
            } else if (!present.value().equals(attribute.getValue())) {
                edits.add(new Edit(
                        present.inQuotes(), XmlText.escape(attribute.getValue()).replace("'", "&apos;")));
            }
        }
        for (String absent : wanted.absentAttributes()) {
            PlacedElement.Attribute present = element.attributes().get(absent);
            if (present != null) {
                int from = present.whole().from();
                while (Character.isWhitespace(text.charAt(from - 1))) {
                    from--;
                }
                edits.add(new Edit(new Span(from, present.whole().to()), ""));
            }
        }
        wanted.text().filter(value -> !element.text().equals(value)).ifPresent(value -> setText(element, value));
        Set<PlacedElement> matched = new HashSet<>();
        List<Wanted> missing = new ArrayList<>();
        for (Wanted child : wanted.children()) {
            Optional<PlacedElement> found = element.children().stream()
                    .filter(candidate -> child.isSame(candidate) && !matched.contains(candidate))
                    .findFirst();
            if (found.isPresent()) {
                matched.add(found.get());
                match(found.get(), child);
            } else {
                missing.add(child);
            }
        }
        if (!missing.isEmpty()) {
            insert(
                    element,
                    missing,
                    wanted.children().stream().map(Wanted::name).distinct().toList());
        }
        element.children().stream()
                .filter(child -> wanted.exclusive().contains(child.name()) && !matched.contains(child))
                .forEach(child -> edits.add(removal(child)));
    }

    private void setText(PlacedElement element, String value) {
        String escaped = XmlText.escape(value);
        if (element.isEmptyTag()) {
            openUp(element, escaped);
        } else if (element.visibleText().isEmpty()) {
            edits.add(new Edit(at(element.startTag().to()), escaped));
        } else {
            Span place = element.visibleText();
            int from = place.from();
            int to = place.to();
            while (Character.isWhitespace(text.charAt(from))) {
                from++;
            }
            while (Character.isWhitespace(text.charAt(to - 1))) {
                to--;
            }
            edits.add(new Edit(new Span(from, to), escaped));
        }
    }

    /** Turns {@code <a/>} into {@code <a>content</a>}. */
    private void openUp(PlacedElement element, String content) {
        int from = behindAttributes(element);
        edits.add(new Edit(new Span(from, element.startTag().to()), ">" + content + "</" + element.name() + ">"));
    }

    private static int behindAttributes(PlacedElement element) {
        return element.attributes().values().stream()
                .mapToInt(attribute -> attribute.whole().to())
                .max()
                .orElse(element.start() + 1 + element.name().length());
    }

    private void insert(PlacedElement parent, List<Wanted> children, List<String> order) {
        String indent = parent.children().stream()
                .filter(child -> startsItsLine(child.start()))
                .findFirst()
                .map(this::indentOf)
                .orElseGet(() -> indentOf(parent) + unit());
        if (parent.isEmptyTag()) {
            StringBuilder content = new StringBuilder();
            children.forEach(child -> content.append(lineEnd()).append(render(child, indent, unit())));
            openUp(parent, content + lineEnd() + indentOf(parent));
            return;
        }
        for (Wanted child : children) {
            int rank = order.indexOf(child.name());
            Optional<PlacedElement> before = parent.children().stream()
                    .filter(sibling -> order.contains(sibling.name()) && order.indexOf(sibling.name()) <= rank)
                    .max(Comparator.comparingInt(PlacedElement::start))
                    .or(() -> order.isEmpty() ? last(parent.children()) : Optional.empty());
            int place = endOfLine(
                    before.map(PlacedElement::end).orElse(parent.startTag().to()));
            // an element that was closed on the line it began on
            boolean closes = place > parent.endTag().from();
            int from = closes
                    ? before.map(PlacedElement::end).orElse(parent.startTag().to())
                    : place;
            boolean tight = text.substring(from, parent.endTag().from()).isBlank()
                    && text.substring(from, parent.endTag().from()).indexOf('\n') < 0;
            edits.add(new Edit(
                    at(from), lineEnd() + render(child, indent, unit()) + (tight ? lineEnd() + indentOf(parent) : "")));
        }
    }

    private static Optional<PlacedElement> last(List<PlacedElement> elements) {
        return elements.isEmpty() ? Optional.empty() : Optional.of(elements.get(elements.size() - 1));
    }

    private Edit removal(PlacedElement element) {
        int from = element.start();
        int to = element.end();
        int lineStart = text.lastIndexOf('\n', from - 1) + 1;
        int next = text.indexOf('\n', to);
        boolean alone = text.substring(lineStart, from).isBlank()
                && text.substring(to, next < 0 ? text.length() : next).isBlank();
        return new Edit(alone && next >= 0 ? new Span(lineStart, next + 1) : new Span(from, to), "");
    }

    private String render(Wanted wanted, String indent, String unit) {
        StringBuilder out = new StringBuilder(indent).append('<').append(wanted.name());
        wanted.attributes().forEach((name, value) -> out.append(' ')
                .append(name)
                .append("=\"")
                .append(XmlText.escape(value))
                .append('"'));
        if (wanted.children().isEmpty() && wanted.text().isEmpty()) {
            return out.append("/>").toString();
        }
        out.append('>');
        wanted.text().map(XmlText::escape).ifPresent(out::append);
        if (!wanted.children().isEmpty()) {
            wanted.children().forEach(child -> out.append(lineEnd()).append(render(child, indent + unit, unit)));
            out.append(lineEnd()).append(indent);
        }
        return out.append("</").append(wanted.name()).append('>').toString();
    }

    /** Behind what follows on the line, if that is nothing but comments; else the place itself. */
    private int endOfLine(int place) {
        int at = place;
        while (at < text.length()) {
            char c = text.charAt(at);
            if (c == '\r' || c == '\n') {
                return at;
            }
            if (text.startsWith("<!--", at)) {
                int end = text.indexOf("-->", at) + 3;
                if (text.substring(at, end).indexOf('\n') >= 0) {
                    return place;
                }
                at = end;
            } else if (Character.isWhitespace(c)) {
                at++;
            } else {
                return place;
            }
        }
        return place;
    }

    private boolean startsItsLine(int place) {
        return text.substring(text.lastIndexOf('\n', place - 1) + 1, place).isBlank();
    }

    private String indentOf(PlacedElement element) {
        int lineStart = text.lastIndexOf('\n', element.start() - 1) + 1;
        int end = lineStart;
        while (end < element.start() && (text.charAt(end) == ' ' || text.charAt(end) == '\t')) {
            end++;
        }
        return text.substring(lineStart, end);
    }

    /** One step of indentation, as the document has it. */
    private String unit() {
        return root.children().stream()
                .filter(child -> startsItsLine(child.start()))
                .map(this::indentOf)
                .filter(indent -> !indent.isEmpty())
                .findFirst()
                .orElse(DEFAULT_INDENT);
    }

    private String lineEnd() {
        return text.contains("\r\n") ? "\r\n" : "\n";
    }

    private static Span at(int place) {
        return new Span(place, place);
    }

    private void apply() throws XmlSyntaxException {
        if (edits.isEmpty()) {
            return;
        }
        List<Edit> ordered = new ArrayList<>(edits);
        // stable: insertions at one place stay in their order
        ordered.sort(Comparator.comparingInt(edit -> edit.place().from()));
        StringBuilder changed = new StringBuilder();
        int from = 0;
        for (Edit edit : ordered) {
            changed.append(text, from, Math.max(from, edit.place().from())).append(edit.replacement());
            from = Math.max(from, edit.place().to());
        }
        changed.append(text, from, text.length());
        edits.clear();
        text = changed.toString();
        root = XmlText.parse(text, file);
    }
}
