/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.message;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

import org.apache.james.core.MailAddress;
import org.apache.james.mime4j.codec.EncoderUtil;
import org.apache.james.mime4j.util.MimeUtil;

import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.rewrite.AddressList;
import dev.mailflow.rules.match.Collation;

/** Adds, deletes and changes fields; all others keep every byte. What is written is ASCII, folded, and free of line ends. */
public final class HeaderEdit {
    /** RFC 5322 section 2.1.1: what a line should not exceed. */
    private static final int LINE = 78;

    /** RFC 5322 section 2.1.1: what a line must not exceed. */
    private static final int LONGEST_LINE = 998;

    private HeaderEdit() {}

    /**
     * The section with one more field.
     *
     * @param value text; what is not ASCII is encoded (RFC 2047), line ends and NUL become spaces
     * @param last whether the field is the last one, else the first
     */
    public static HeaderSection added(HeaderSection header, String name, String value, boolean last) {
        List<HeaderField> fields = new ArrayList<>(header.fields());
        HeaderField field = field(name, value);
        if (last) {
            // a message may end within its header, without a line end
            int end = fields.size() - 1;
            if (end >= 0 && !fields.get(end).raw().endsWith("\n")) {
                fields.set(end, new HeaderField(fields.get(end).raw() + "\r\n"));
            }
            fields.add(field);
        } else {
            fields.add(0, field);
        }
        return header.with(fields);
    }

    private static HeaderField field(String name, String value) {
        String safe = safe(value);
        String folded = MimeUtil.fold(name + ": " + encoded(safe), 0);
        if (longestLine(folded) > LONGEST_LINE) {
            folded = MimeUtil.fold(name + ": " + encodedWords(safe, 0), 0);
        }
        return new HeaderField(folded + "\r\n");
    }

    private static int longestLine(String folded) {
        return folded.lines().mapToInt(String::length).max().orElse(0);
    }

    /** Nothing that ends a line or a string: a value may come from the message itself. */
    static String safe(String value) {
        StringBuilder safe = new StringBuilder(value);
        for (int i = 0; i < safe.length(); i++) {
            char c = safe.charAt(i);
            if ((c < ' ' && c != '\t') || c == 0x7f) {
                safe.setCharAt(i, ' ');
            }
        }
        return safe.toString().strip();
    }

    /** Words that are not ASCII are encoded, neighbours together, so that addresses beside them can still be read. */
    private static String encoded(String value) {
        if (isAscii(value)) {
            return value;
        }
        StringBuilder text = new StringBuilder();
        List<String> run = new ArrayList<>();
        for (String word : value.split(" ", -1)) {
            if (isAscii(word)) {
                flush(text, run);
                append(text, word);
            } else {
                run.add(word);
            }
        }
        flush(text, run);
        return text.toString();
    }

    private static void flush(StringBuilder text, List<String> run) {
        if (!run.isEmpty()) {
            append(text, encodedWords(String.join(" ", run), 0));
            run.clear();
        }
    }

    private static void append(StringBuilder text, String word) {
        text.append(text.isEmpty() ? "" : " ").append(word);
    }

    private static String encodedWords(String text, int used) {
        return EncoderUtil.encodeEncodedWord(text, EncoderUtil.Usage.TEXT_TOKEN, used, StandardCharsets.UTF_8, null);
    }

    private static boolean isAscii(String text) {
        return text.chars().allMatch(c -> c < 128);
    }

    /**
     * The section without some of the fields of a name.
     *
     * @param name in lower case
     * @param number counted from 1, which of the fields of that name alone may go; 0: any
     * @param last whether it is counted from the end
     */
    public static HeaderSection deleted(
            HeaderSection header, String name, int number, boolean last, Predicate<IndexedField> which) {
        List<HeaderField> fields = header.fields();
        int total = 0;
        if (last) {
            for (HeaderField field : fields) {
                total += HeaderIndex.name(field).equals(name) ? 1 : 0;
            }
        }
        List<HeaderField> left = new ArrayList<>(fields.size());
        int seen = 0;
        for (HeaderField field : fields) {
            boolean named = HeaderIndex.name(field).equals(name);
            seen += named ? 1 : 0;
            boolean candidate = named && (number == 0 || number == (last ? total - seen + 1 : seen));
            if (!candidate || !which.test(new IndexedField(field))) {
                left.add(field);
            }
        }
        return left.size() == fields.size() ? header : header.with(left);
    }

    /** The section with a prefix before the subject, whose own bytes stay; with a subject if it had none. */
    public static HeaderSection subjectPrefixed(HeaderSection header, String prefix) {
        for (int i = 0; i < header.fields().size(); i++) {
            HeaderField field = header.fields().get(i);
            if (HeaderIndex.name(field).equals("subject")) {
                List<HeaderField> fields = new ArrayList<>(header.fields());
                fields.set(i, prefixed(field, prefix));
                return header.with(fields);
            }
        }
        return added(header, "Subject", prefix, true);
    }

    private static HeaderField prefixed(HeaderField field, String prefix) {
        String raw = field.raw();
        int colon = raw.indexOf(':');
        int start = colon + 1;
        while (start < raw.length() && (raw.charAt(start) == ' ' || raw.charAt(start) == '\t')) {
            start++;
        }
        String rest = raw.substring(start);
        boolean spaced = prefix.endsWith(" ");
        String safe = safe(prefix);
        String words;
        String gap;
        if (isAscii(safe)) {
            words = safe;
            gap = spaced ? " " : "";
        } else {
            // white space between two encoded words is not shown, so it must be in one of them
            boolean inside = spaced && rest.startsWith("=?");
            words = encodedWords(inside ? safe + " " : safe, colon + 2);
            gap = " ";
        }
        int firstLine = rest.indexOf('\n') < 0 ? rest.length() : rest.indexOf('\n');
        boolean fold = gap.equals(" ") && !rest.isBlank() && colon + 2 + words.length() + 1 + firstLine > LINE;
        return new HeaderField(raw.substring(0, colon) + ": " + words + (fold ? "\r\n " : gap) + rest);
    }

    /** The section with one more address in its To field; unchanged when To or Cc has it already. */
    public static HeaderSection recipientAdded(HeaderSection header, MailAddress address) {
        String text = new String(address.asString().getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
        Optional<Integer> target = Optional.empty();
        boolean unreadable = false;
        for (int i = 0; i < header.fields().size(); i++) {
            HeaderField field = header.fields().get(i);
            String name = HeaderIndex.name(field);
            if (!name.equals("to") && !name.equals("cc")) {
                continue;
            }
            if (AddressList.read(field.raw(), field.raw().indexOf(':') + 1) instanceof AddressList.Addresses list) {
                if (list.all().stream().anyMatch(one -> Collation.lower(one.localPart() + "@" + one.domain())
                        .equals(Collation.lower(address.asString())))) {
                    return header;
                }
                if (name.equals("to") && target.isEmpty()) {
                    target = Optional.of(i);
                }
            } else {
                unreadable |= name.equals("to");
            }
        }
        if (target.isEmpty()) {
            List<HeaderField> fields = new ArrayList<>(header.fields());
            fields.add(HeaderField.of(unreadable ? "Cc" : "To", text));
            return header.with(fields);
        }
        List<HeaderField> fields = new ArrayList<>(header.fields());
        String raw = fields.get(target.get()).raw();
        String list = raw.stripTrailing();
        boolean empty = list.endsWith(":") && list.indexOf(':') == list.length() - 1;
        fields.set(target.get(), new HeaderField(list + (empty ? " " : ",\r\n ") + text + "\r\n"));
        return header.with(fields);
    }
}
