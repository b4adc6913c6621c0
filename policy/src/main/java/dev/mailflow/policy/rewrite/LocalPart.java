/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import java.text.Normalizer;
import java.util.Locale;

/**
 * Local parts as rewriting compares them: {@code "joe"} and {@code joe} are one mailbox (RFC 5321 section 4.1.2), case
 * does not count (mail-flow behaviour, section 1), and neither does how an accent is composed (RFC 6532 section 3.1).
 */
public final class LocalPart {
    private static final String SPECIALS_ALLOWED = "!#$%&'*+-/=?^_`{|}~.";

    private LocalPart() {}

    /** The local part with quotes only where it needs them; case is kept. */
    public static String canonical(String written) {
        return written.indexOf('"') < 0 && written.indexOf('\\') < 0 ? written : quoted(unquoted(written));
    }

    /** The form in which local parts are equal: canonical and without case. */
    static String folded(String written) {
        return fold(canonical(written));
    }

    /** Drops case from a canonical text. */
    static String fold(String canonical) {
        for (int i = 0; i < canonical.length(); i++) {
            if (canonical.charAt(i) > 127) {
                return Normalizer.normalize(canonical, Normalizer.Form.NFC).toLowerCase(Locale.ROOT);
            }
        }
        return canonical.toLowerCase(Locale.ROOT);
    }

    /** What the local part says, without any quotes. */
    public static String content(String written) {
        return written.indexOf('"') < 0 && written.indexOf('\\') < 0 ? written : unquoted(written);
    }

    private static String unquoted(String written) {
        StringBuilder content = new StringBuilder(written.length());
        for (int i = 0; i < written.length(); i++) {
            char c = written.charAt(i);
            if (c == '\\' && i + 1 < written.length()) {
                i++;
                content.append(written.charAt(i));
            } else if (c != '"') {
                content.append(c);
            }
        }
        return content.toString();
    }

    private static String quoted(String content) {
        boolean plain = !content.isEmpty();
        for (int i = 0; i < content.length() && plain; i++) {
            plain = isPlain(content.charAt(i));
        }
        if (plain) {
            return content;
        }
        StringBuilder quoted = new StringBuilder(content.length() + 2).append('"');
        for (int i = 0; i < content.length(); i++) {
            char c = content.charAt(i);
            if (c == '"' || c == '\\') {
                quoted.append('\\');
            }
            quoted.append(c);
        }
        return quoted.append('"').toString();
    }

    private static boolean isPlain(char c) {
        return (c >= 'a' && c <= 'z')
                || (c >= 'A' && c <= 'Z')
                || (c >= '0' && c <= '9')
                || c > 127
                || SPECIALS_ALLOWED.indexOf(c) >= 0;
    }
}
