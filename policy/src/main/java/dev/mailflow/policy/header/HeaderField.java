/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.header;

/**
 * One header field exactly as it came, judged by the name that any reader might take from it.
 *
 * @param raw the bytes, each as the character of its value (ISO 8859-1), with folds and the line end
 */
public record HeaderField(String raw) {

    /** A field of our own making, e.g. to replace one. */
    public static HeaderField of(String name, String value) {
        return new HeaderField(name + ": " + value + "\r\n");
    }

    /**
     * Everything before the first colon, folds and all, without white space at its ends; the whole field when it has no
     * colon.
     */
    public String name() {
        int colon = raw.indexOf(':');
        return (colon < 0 ? raw : raw.substring(0, colon)).strip();
    }

    /** Whether the name is one RFC 5322 section 2.2 allows: printable ASCII, directly before its colon. */
    boolean isWellFormed() {
        int colon = raw.indexOf(':');
        return colon > 0 && raw.substring(0, colon).chars().allMatch(c -> c > ' ' && c < 0x7f);
    }

    /** The same field under another name; the value keeps every byte. */
    HeaderField renamed(String name) {
        return new HeaderField(name + raw.substring(raw.indexOf(':')));
    }
}
