/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.syntax;

import java.io.StringReader;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apache.jsieve.parser.generated.ASTargument;
import org.apache.jsieve.parser.generated.ASTarguments;
import org.apache.jsieve.parser.generated.ASTblock;
import org.apache.jsieve.parser.generated.ASTcommand;
import org.apache.jsieve.parser.generated.ASTstring;
import org.apache.jsieve.parser.generated.ASTstring_list;
import org.apache.jsieve.parser.generated.ASTtest;
import org.apache.jsieve.parser.generated.ASTtest_list;
import org.apache.jsieve.parser.generated.JavaCharStream;
import org.apache.jsieve.parser.generated.Node;
import org.apache.jsieve.parser.generated.ParseException;
import org.apache.jsieve.parser.generated.SieveParser;
import org.apache.jsieve.parser.generated.SieveParserConstants;
import org.apache.jsieve.parser.generated.SieveParserTokenManager;
import org.apache.jsieve.parser.generated.SimpleNode;
import org.apache.jsieve.parser.generated.Token;
import org.apache.jsieve.parser.generated.TokenMgrError;

/**
 * Reads a script with the parser of Apache jSieve into our own tree.
 *
 * <p>Some things stand between the text and that parser. Its character stream resolves the unicode escapes of Java, which
 * Sieve does not know, and throws an error at a bad one: it is shown no backslash at all, but for each escaped pair two
 * characters that the script does not use. It knows no line end but CRLF in a multi-line string, no quantifier in lower
 * case and no number beyond an int: the first two are put right before, the third is read by us. And it descends by
 * recursion: a text that nests too deeply is refused before, by a pass over its tokens.
 */
public final class ScriptReader {

    /** Commands, tests and brackets inside one another; RFC 5228 section 2.10.5 asks for 15 levels of each at least. */
    public static final int MAX_NESTING = 128;

    /** Characters; a list of 100,000 domains takes about 3 million. */
    public static final int MAX_LENGTH = 16 << 20;

    private static final int SHOWN = 160;
    private static final Pattern LINE_END = Pattern.compile("\\r\\n|\\n|\\r");
    private static final Pattern LEXICAL_ERROR = Pattern.compile("line (\\d+), column (\\d+)");

    private final Escapes escapes;
    private final BiConsumer<Position, String> problems;
    private final Map<Position, Written> numbers = new HashMap<>();

    private ScriptReader(Escapes escapes, BiConsumer<Position, String> problems) {
        this.escapes = escapes;
        this.problems = problems;
    }

    /**
     * Reads a script.
     *
     * @param problems told what is wrong but does not end the reading
     * @return its commands
     * @throws SyntaxException at the first thing that is no Sieve
     */
    public static List<Call> read(String script, BiConsumer<Position, String> problems) throws SyntaxException {
        if (script.length() > MAX_LENGTH) {
            throw new SyntaxException(
                    new Position(1, 1),
                    "the script has " + script.length() + " characters, expected " + MAX_LENGTH + " at most");
        }
        ScriptReader reader =
                new ScriptReader(new Escapes(LINE_END.matcher(script).replaceAll("\r\n")), problems);
        try {
            String text = reader.checked();
            return reader.commands(new SieveParser(tokens(text)).start().jjtGetChild(0));
        } catch (ParseException e) {
            throw reader.unexpected(e);
        } catch (TokenMgrError e) {
            throw reader.lexical(e, script);
        }
    }

    private static SieveParserTokenManager tokens(String text) {
        return new SieveParserTokenManager(new Characters(text));
    }

    /** Counts characters, not the columns of tabs. */
    private static final class Characters extends JavaCharStream {
        Characters(String text) {
            super(new StringReader(text));
            setTabSize(1);
        }
    }

    /**
     * The text for the parser. A test nests in the one before it, in parentheses or not; a command nests in braces. What
     * nests is counted for each open bracket and summed up.
     */
    private String checked() throws SyntaxException {
        StringBuilder text = new StringBuilder(escapes.hidden());
        SieveParserTokenManager tokens = tokens(escapes.hidden());
        int[] lines = lineStarts(escapes.hidden());
        Deque<Integer> outer = new ArrayDeque<>();
        int sum = 0;
        int chain = 0;
        Token before = new Token();
        for (Token token = tokens.getNextToken();
                token.kind != SieveParserConstants.EOF;
                token = tokens.getNextToken()) {
            if (isQuantifier(before, token)) {
                int at = offset(lines, token);
                text.setCharAt(at, Character.toUpperCase(text.charAt(at)));
                written(at(before), before.image + token.image);
            } else if (token.kind == SieveParserConstants.IDENTIFIER) {
                chain++;
            } else if (token.kind == SieveParserConstants.NUMBER) {
                written(at(token), token.image);
                int at = offset(lines, token);
                for (int i = at; i < at + token.image.length(); i++) {
                    text.setCharAt(i, Character.isDigit(text.charAt(i)) ? '0' : text.charAt(i));
                }
            } else {
                switch (token.image) {
                    case "(", "{" -> {
                        outer.push(chain);
                        sum += chain;
                        chain = 0;
                    }
                    case ")", "}" -> {
                        if (!outer.isEmpty()) {
                            int inside = outer.pop();
                            sum -= inside;
                            chain = token.image.equals("}") ? 0 : inside;
                        }
                    }
                    case ",", ";" -> chain = 0;
                    default -> {}
                }
            }
            if (sum + chain + outer.size() > MAX_NESTING) {
                throw new SyntaxException(at(token), "found more than " + MAX_NESTING + " levels of nesting");
            }
            before = token;
        }
        return text.toString();
    }

    private static int[] lineStarts(String text) {
        int[] starts = new int[16];
        int count = 1;
        for (int end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) {
            if (count == starts.length) {
                starts = Arrays.copyOf(starts, count * 2);
            }
            starts[count++] = end + 1;
        }
        return starts;
    }

    private static int offset(int[] lines, Token token) {
        return lines[token.beginLine - 1] + token.beginColumn - 1;
    }

    /** A letter right behind a number: RFC 5228 section 8.1 has them in either case. */
    private static boolean isQuantifier(Token before, Token token) {
        return before.kind == SieveParserConstants.NUMBER
                && token.kind == SieveParserConstants.IDENTIFIER
                && token.image.length() == 1
                && "kmg".contains(token.image)
                && before.endLine == token.beginLine
                && before.endColumn + 1 == token.beginColumn;
    }

    private List<Call> commands(Node commands) {
        List<Call> calls = new ArrayList<>(commands.jjtGetNumChildren());
        for (int i = 0; i < commands.jjtGetNumChildren(); i++) {
            ASTcommand command = (ASTcommand) commands.jjtGetChild(i);
            Optional<List<Call>> block = Optional.empty();
            for (int child = 0; child < command.jjtGetNumChildren(); child++) {
                if (command.jjtGetChild(child) instanceof ASTblock node) {
                    block = Optional.of(commands(node.jjtGetChild(0)));
                }
            }
            calls.add(call(command, block));
        }
        return calls;
    }

    private Call call(SimpleNode node, Optional<List<Call>> block) {
        List<Argument> arguments = new ArrayList<>();
        List<Call> tests = new ArrayList<>();
        boolean listed = false;
        for (int child = 0; child < node.jjtGetNumChildren(); child++) {
            if (node.jjtGetChild(child) instanceof ASTarguments all) {
                for (int i = 0; i < all.jjtGetNumChildren(); i++) {
                    Node one = all.jjtGetChild(i);
                    if (one instanceof ASTargument argument) {
                        arguments.add(argument(argument));
                    } else if (one instanceof ASTtest test) {
                        tests.add(call(test, Optional.empty()));
                    } else if (one instanceof ASTtest_list list) {
                        listed = true;
                        for (int t = 0; t < list.jjtGetNumChildren(); t++) {
                            tests.add(call((ASTtest) list.jjtGetChild(t), Optional.empty()));
                        }
                    }
                }
            }
        }
        Token first = node.getFirstToken();
        return new Call(first.image.toLowerCase(Locale.ROOT), at(first), arguments, tests, listed, block, shown(node));
    }

    private Argument argument(ASTargument node) {
        Token first = node.getFirstToken();
        return switch (first.kind) {
            case SieveParserConstants.TAG -> new Argument.Tag(first.image.toLowerCase(Locale.ROOT), at(first));
            case SieveParserConstants.NUMBER -> new Argument.Amount(
                    numbers.get(at(first)).value(), at(first));
            default -> strings((ASTstring_list) node.jjtGetChild(0), first);
        };
    }

    private Argument.Strings strings(ASTstring_list list, Token first) {
        List<Argument.Item> items = new ArrayList<>(list.jjtGetNumChildren());
        for (int i = 0; i < list.jjtGetNumChildren(); i++) {
            Token token = ((ASTstring) list.jjtGetChild(i)).getFirstToken();
            items.add(new Argument.Item(text(token), at(token)));
        }
        return new Argument.Strings(items, first.image.equals("["), at(first));
    }

    /** A number as the script has it. */
    private record Written(long value, String text) {}

    private void written(Position at, String text) {
        numbers.put(at, new Written(number(at, text), text));
    }

    private long number(Position at, String digits) {
        int shift =
                switch (Character.toUpperCase(digits.charAt(digits.length() - 1))) {
                    case 'K' -> 10;
                    case 'M' -> 20;
                    case 'G' -> 30;
                    default -> 0;
                };
        try {
            return Math.multiplyExact(
                    Long.parseLong(shift == 0 ? digits : digits.substring(0, digits.length() - 1)), 1L << shift);
        } catch (ArithmeticException | NumberFormatException e) {
            problems.accept(at, "found '" + shortened(digits) + "', expected a number below 2^63");
            return Long.MAX_VALUE;
        }
    }

    private String text(Token token) {
        String image = token.image;
        return token.kind == SieveParserConstants.QUOTED_STRING
                ? escapes.unquoted(image.substring(1, image.length() - 1))
                : escapes.shown(multiLine(image));
    }

    /** RFC 5228 section 2.4.2: what is between the first line and the last, stuffed dots removed. */
    private static String multiLine(String image) {
        int start = image.indexOf('\n') + 1;
        int end = image.lastIndexOf('.');
        StringBuilder text = new StringBuilder(image.length());
        int line = start;
        while (line < end) {
            int next = image.indexOf('\n', line) + 1;
            if (next == 0 || next > end) {
                next = end;
            }
            text.append(image, image.startsWith("..", line) ? line + 1 : line, next);
            line = next;
        }
        return text.toString();
    }

    /** The tokens up to the block, in one line. */
    private String shown(SimpleNode node) {
        StringBuilder text = new StringBuilder();
        Token last = node.getLastToken();
        for (Token token = node.getFirstToken(); token != null && text.length() < SHOWN; token = token.next) {
            String image = token.kind == SieveParserConstants.NUMBER
                    ? numbers.get(at(token)).text()
                    : token.image;
            if (image.equals("{") || image.equals(";")) {
                break;
            }
            boolean tight = text.isEmpty()
                    || image.equals(",")
                    || image.equals(")")
                    || image.equals("]")
                    || text.charAt(text.length() - 1) == '('
                    || text.charAt(text.length() - 1) == '[';
            text.append(tight ? "" : " ").append(image.length() > SHOWN ? image.substring(0, SHOWN) : image);
            if (token == last) {
                break;
            }
        }
        return shortened(escapes.shown(text.toString()).replaceAll("\\s+", " "));
    }

    private static String shortened(String text) {
        return text.length() <= SHOWN ? text : text.substring(0, SHOWN - 1) + "\u2026";
    }

    private static Position at(Token token) {
        return new Position(Math.max(token.beginLine, 1), Math.max(token.beginColumn, 1));
    }

    private SyntaxException unexpected(ParseException e) {
        Token found = e.currentToken == null ? new Token() : e.currentToken;
        Token next = found.next == null ? found : found.next;
        String shown = next.kind == SieveParserConstants.EOF
                ? "the end of the script"
                : "'" + shortened(escapes.shown(String.valueOf(next.image)).replaceAll("\\s+", " ")) + "'";
        return new SyntaxException(at(next), "found " + shown + ", expected " + expected(e));
    }

    private static String expected(ParseException e) {
        List<String> names = new ArrayList<>();
        if (e.expectedTokenSequences != null) {
            for (int[] sequence : e.expectedTokenSequences) {
                String name =
                        switch (sequence[0]) {
                            case SieveParserConstants.EOF -> "the end of the script";
                            case SieveParserConstants.EOF_HASH_COMMENT -> "a comment";
                            case SieveParserConstants.IDENTIFIER -> "a name";
                            case SieveParserConstants.TAG -> "a tag";
                            case SieveParserConstants.NUMBER -> "a number";
                            case SieveParserConstants.QUOTED_STRING, SieveParserConstants.MULTI_LINE -> "a string";
                            default -> e.tokenImage[sequence[0]].replace('"', '\'');
                        };
                if (!names.contains(name) && !name.equals("a comment")) {
                    names.add(name);
                }
            }
        }
        return names.isEmpty() ? "a command" : String.join(" or ", names);
    }

    /** The error tells its place in its message only. */
    private SyntaxException lexical(TokenMgrError e, String script) {
        Matcher place = LEXICAL_ERROR.matcher(String.valueOf(e.getMessage()));
        if (!place.find()) {
            return new SyntaxException(new Position(1, 1), "found a character that is no part of the language");
        }
        Position at = new Position(Integer.parseInt(place.group(1)), Math.max(Integer.parseInt(place.group(2)), 1));
        List<String> lines = script.lines().skip(at.line() - 1L).limit(1).toList();
        String line = lines.isEmpty() ? "" : lines.get(0);
        if (at.column() > line.length() || e.getMessage().contains("<EOF>")) {
            return new SyntaxException(at, "found the end of the script in a string or comment that is still open");
        }
        return new SyntaxException(
                at, "found '" + line.charAt(at.column() - 1) + "', expected a command, a tag, a number or a string");
    }

    /** Stands for backslashes and what they escape, character for character. */
    private static final class Escapes {
        private static final char PRIVATE_USE = '\uE000';
        private static final char LAST_PRIVATE_USE = '\uF8FF';

        private final char backslash;
        private final char quote;
        private final char escapedBackslash;
        private final String hidden;

        Escapes(String script) throws SyntaxException {
            char[] free = new char[3];
            char candidate = PRIVATE_USE;
            for (int i = 0; i < free.length; candidate++) {
                if (candidate > LAST_PRIVATE_USE) {
                    throw new SyntaxException(
                            new Position(1, 1),
                            "found every private-use character of Unicode, expected some to be free");
                }
                if (script.indexOf(candidate) < 0) {
                    free[i++] = candidate;
                }
            }
            backslash = free[0];
            quote = free[1];
            escapedBackslash = free[2];
            hidden = hide(script);
        }

        private String hide(String script) {
            if (script.indexOf('\\') < 0) {
                return script;
            }
            StringBuilder text = new StringBuilder(script);
            for (int i = 0; i < text.length(); i++) {
                if (text.charAt(i) == '\\') {
                    text.setCharAt(i, backslash);
                    i++;
                    if (i < text.length() && text.charAt(i) == '"') {
                        text.setCharAt(i, quote);
                    } else if (i < text.length() && text.charAt(i) == '\\') {
                        text.setCharAt(i, escapedBackslash);
                    }
                }
            }
            return text.toString();
        }

        String hidden() {
            return hidden;
        }

        /** As it was written. */
        String shown(String text) {
            return text.replace(backslash, '\\').replace(quote, '"').replace(escapedBackslash, '\\');
        }

        /** RFC 5228 section 2.4.2: a backslash is dropped, what follows it stays. */
        String unquoted(String text) {
            if (text.indexOf(backslash) < 0) {
                return text;
            }
            StringBuilder plain = new StringBuilder(text.length());
            for (int i = 0; i < text.length(); i++) {
                char c = text.charAt(i);
                if (c == quote) {
                    plain.append('"');
                } else if (c == escapedBackslash) {
                    plain.append('\\');
                } else if (c != backslash) {
                    plain.append(c);
                }
            }
            return plain.toString();
        }
    }
}
