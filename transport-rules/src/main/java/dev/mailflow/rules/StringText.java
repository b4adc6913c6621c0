/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.rules.syntax.Argument;

/** Finds the encoded characters (RFC 5228 section 2.4.2.4) and the variables (RFC 5229 section 3) in a string. */
final class StringText {
    private static final int LONGEST_NAME = 128;
    private static final int MAX_CAPTURED = 99;

    /** Linear: each alternative is told by its next character. */
    private static final Pattern ENCODED =
            Pattern.compile("\\$\\{(hex|unicode):([0-9a-fA-F\\s]*+)\\}", Pattern.CASE_INSENSITIVE);

    private final Compilation compilation;
    private final Argument.Item item;
    private final SourceLocation location;
    private final String text;
    private final List<Text.Piece> pieces = new ArrayList<>(1);
    private final StringBuilder literal = new StringBuilder();

    private StringText(Compilation compilation, Argument.Item item, String text) {
        this.compilation = compilation;
        this.item = item;
        this.location = compilation.location(item.at());
        this.text = text;
    }

    static Text read(Compilation compilation, Argument.Item item) {
        String text = item.text();
        if (!text.contains("${")) {
            return Text.of(text, compilation.location(item.at()));
        }
        if (compilation.has(Extension.ENCODED_CHARACTER)) {
            text = decoded(compilation, item);
        }
        if (!compilation.has(Extension.VARIABLES)) {
            return Text.of(text, compilation.location(item.at()));
        }
        return new StringText(compilation, item, text).read();
    }

    private static String decoded(Compilation compilation, Argument.Item item) {
        Matcher matcher = ENCODED.matcher(item.text());
        StringBuilder decoded = new StringBuilder();
        while (matcher.find()) {
            String digits = matcher.group(2).strip();
            Optional<String> characters = digits.isEmpty()
                    ? Optional.empty()
                    : matcher.group(1).equalsIgnoreCase("hex") ? hex(digits) : unicode(compilation, item, digits);
            matcher.appendReplacement(decoded, Matcher.quoteReplacement(characters.orElse(matcher.group())));
        }
        return matcher.appendTail(decoded).toString();
    }

    private static Optional<String> hex(String digits) {
        String[] pairs = digits.split("\\s+");
        byte[] bytes = new byte[pairs.length];
        for (int i = 0; i < pairs.length; i++) {
            if (pairs[i].length() > 2) {
                return Optional.empty();
            }
            bytes[i] = (byte) Integer.parseInt(pairs[i], 16);
        }
        return Optional.of(new String(bytes, java.nio.charset.StandardCharsets.UTF_8));
    }

    private static Optional<String> unicode(Compilation compilation, Argument.Item item, String digits) {
        StringBuilder characters = new StringBuilder();
        for (String one : digits.split("\\s+")) {
            String significant = one.replaceFirst("^0+(?=.)", "");
            int c = significant.length() > 6 ? Integer.MAX_VALUE : Integer.parseInt(significant, 16);
            if (c > Character.MAX_CODE_POINT || (c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE)) {
                compilation.error(item.at(), "found '${unicode:" + one + "}', expected a character of Unicode");
                return Optional.empty();
            }
            characters.appendCodePoint(c);
        }
        return Optional.of(characters.toString());
    }

    private Text read() {
        int at = 0;
        while (at < text.length()) {
            int start = text.indexOf("${", at);
            int end = start < 0 ? -1 : text.indexOf('}', start);
            if (end < 0) {
                break;
            }
            literal.append(text, at, start);
            // the last opening before the brace counts: the ones before it are text
            int inner = text.lastIndexOf("${", end);
            literal.append(text, start, inner);
            String name = text.substring(inner + 2, end);
            if (!reference(name)) {
                literal.append(text, inner, end + 1);
            }
            at = end + 1;
        }
        literal.append(text, at, text.length());
        flush();
        return new Text(pieces, location);
    }

    private void flush() {
        if (!literal.isEmpty()) {
            pieces.add(new Text.Literal(literal.toString()));
            literal.setLength(0);
        }
    }

    /** @return false when it is no reference but text */
    private boolean reference(String name) {
        if (!name.isEmpty() && name.chars().allMatch(c -> c >= '0' && c <= '9')) {
            String digits = name.replaceFirst("^0+(?=.)", "");
            int index = digits.length() > 2 ? MAX_CAPTURED + 1 : Integer.parseInt(digits);
            if (index > MAX_CAPTURED) {
                compilation.error(item.at(), "found '${" + name + "}', expected a number up to " + MAX_CAPTURED);
                return true;
            }
            flush();
            pieces.add(new Text.Captured(index));
            return true;
        }
        if (name.indexOf('.') > 0 && name.chars().allMatch(c -> c == '.' || isWord(c)) && !name.endsWith(".")) {
            compilation.error(
                    item.at(), "found '${" + name + "}', expected a variable without a namespace: there are none");
            return true;
        }
        if (!isName(name)) {
            return false;
        }
        Optional<Integer> slot = compilation.slot(name, item.at());
        if (slot.isPresent()) {
            flush();
            pieces.add(new Text.Variable(slot.get()));
        }
        return true;
    }

    /** RFC 5228 section 8.1: an identifier. */
    static boolean isName(String name) {
        return !name.isEmpty()
                && name.length() <= LONGEST_NAME
                && !(name.charAt(0) >= '0' && name.charAt(0) <= '9')
                && name.chars().allMatch(StringText::isWord);
    }

    private static boolean isWord(int c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    }
}
