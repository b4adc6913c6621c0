/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.domain;

import java.net.IDN;
import java.util.Locale;

import org.apache.james.core.Domain;

/**
 * A domain as policies name it: {@code contoso.com} (that domain only), {@code *.contoso.com} (the domain and all its
 * subdomains) or {@code *} (every domain). See section 1 of the mail-flow behaviour.
 *
 * @param kind which of the three
 * @param name lower-case A-label form without {@code *.}; empty for {@link Kind#ANY}
 */
public record DomainPattern(Kind kind, String name) implements Comparable<DomainPattern> {

    /** The three kinds, least specific first. */
    public enum Kind {
        ANY,
        SUFFIX,
        EXACT
    }

    private static final int LONGEST_NAME = 253;
    private static final int LONGEST_LABEL = 63;

    public static final DomainPattern ANY = new DomainPattern(Kind.ANY, "");

    /**
     * Reads a pattern.
     *
     * @throws IllegalArgumentException saying what was found and what is valid
     */
    public static DomainPattern parse(String text) {
        String trimmed = text.trim();
        if (trimmed.equals("*")) {
            return ANY;
        }
        boolean suffix = trimmed.startsWith("*.");
        return new DomainPattern(
                suffix ? Kind.SUFFIX : Kind.EXACT, aLabels(suffix ? trimmed.substring(2) : trimmed, text));
    }

    private static String aLabels(String name, String found) {
        String ascii;
        try {
            ascii = name.contains("*") ? "*" : aLabelsOf(name);
        } catch (IllegalArgumentException e) {
            ascii = "*";
        }
        if (!isLabels(ascii)) {
            throw new IllegalArgumentException("found '" + found
                    + "', expected a domain ('contoso.com'), a domain with its subdomains ('*.contoso.com') or '*'");
        }
        return ascii;
    }

    /** Labels of letters, digits, '_' and '-', the latter not at their ends; by hand, for lists of a million domains. */
    private static boolean isLabels(String name) {
        int start = 0;
        for (int i = 0; i <= name.length(); i++) {
            char c = i < name.length() ? name.charAt(i) : '.';
            if (c == '.') {
                boolean label = i > start
                        && i - start <= LONGEST_LABEL
                        && name.charAt(start) != '-'
                        && name.charAt(i - 1) != '-';
                if (!label) {
                    return false;
                }
                start = i + 1;
            } else if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')) {
                return false;
            }
        }
        return name.length() <= LONGEST_NAME;
    }

    /**
     * The form in which domains are compared: lower case, A-labels, no final dot. What has no A-labels (a stranger may
     * call itself anything) is only put in lower case, so that it equals no valid domain.
     */
    public static String normalize(String domain) {
        try {
            return aLabelsOf(domain);
        } catch (IllegalArgumentException e) {
            return domain.toLowerCase(Locale.ROOT);
        }
    }

    private static String aLabelsOf(String domain) {
        String noDot = domain.endsWith(".") ? domain.substring(0, domain.length() - 1) : domain;
        for (int i = 0; i < noDot.length(); i++) {
            if (noDot.charAt(i) > 127) {
                return IDN.toASCII(noDot, IDN.ALLOW_UNASSIGNED).toLowerCase(Locale.ROOT);
            }
        }
        return noDot.toLowerCase(Locale.ROOT);
    }

    public static String normalize(Domain domain) {
        return normalize(domain.asString());
    }

    /** Whether the domain, in any case and in U- or A-label form, is one this pattern names. */
    public boolean matches(String domain) {
        String candidate = normalize(domain);
        return switch (kind) {
            case ANY -> true;
            case EXACT -> candidate.equals(name);
            case SUFFIX -> candidate.equals(name)
                    || (candidate.endsWith(name) && candidate.charAt(candidate.length() - name.length() - 1) == '.');
        };
    }

    public boolean matches(Domain domain) {
        return matches(domain.asString());
    }

    /** Greater is more specific: exact, then the longest {@code *.} suffix, then {@code *}. */
    public int specificity() {
        return switch (kind) {
            case ANY -> 0;
            case SUFFIX -> 1 + name.length();
            case EXACT -> Integer.MAX_VALUE;
        };
    }

    /** Whether every domain {@code other} names is also named by this pattern. */
    public boolean covers(DomainPattern other) {
        return switch (kind) {
            case ANY -> true;
            case EXACT -> equals(other);
            case SUFFIX -> other.kind != Kind.ANY && matches(other.name);
        };
    }

    @Override
    public int compareTo(DomainPattern other) {
        int bySpecificity = Integer.compare(other.specificity(), specificity());
        return bySpecificity != 0 ? bySpecificity : name.compareTo(other.name);
    }

    @Override
    public String toString() {
        return switch (kind) {
            case ANY -> "*";
            case SUFFIX -> "*." + name;
            case EXACT -> name;
        };
    }
}
