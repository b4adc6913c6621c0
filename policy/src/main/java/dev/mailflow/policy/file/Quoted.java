/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

/** Found values as messages show them: on one line, of bounded length, without control characters. */
final class Quoted {
    private static final int SHOWN = 120;

    private Quoted() {}

    static String of(String found) {
        return "'" + unquoted(found) + "'";
    }

    /** A shown value without its quotes, for names that are kept. */
    static String bare(String shown) {
        return shown.length() > 1 && shown.startsWith("'") && shown.endsWith("'")
                ? shown.substring(1, shown.length() - 1)
                : shown;
    }

    static String unquoted(String found) {
        StringBuilder shown = new StringBuilder();
        String trimmed = found.strip();
        int length = Math.min(trimmed.length(), SHOWN);
        for (int i = 0; i < length; i++) {
            char c = trimmed.charAt(i);
            shown.append(Character.isISOControl(c) || c == '\u2028' || c == '\u2029' ? ' ' : c);
        }
        return shown.append(trimmed.length() > SHOWN ? "…" : "").toString();
    }
}
