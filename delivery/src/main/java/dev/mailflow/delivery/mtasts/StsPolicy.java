/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.mtasts;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

import dev.mailflow.policy.domain.DomainPattern;

/**
 * What the owner of a mail domain has published about the TLS of its MX hosts (RFC 8461 section 3.2).
 *
 * @param mx patterns of MX hosts in lower case; {@code *.} stands for one label; may be empty in mode {@code none} only
 */
public record StsPolicy(Mode mode, Duration maxAge, List<String> mx) {
    @SuppressWarnings("CanonicalDuration") // the figure of RFC 8461 section 3.2
    private static final Duration LONGEST = Duration.ofSeconds(31_557_600);

    private static final int MOST_PATTERNS = 1000;

    /** What is to be done about an MX host that does not live up to it. */
    public enum Mode {
        ENFORCE,
        TESTING,
        NONE;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    public StsPolicy {
        mx = List.copyOf(mx);
    }

    /**
     * Reads a policy.
     *
     * @throws IllegalArgumentException saying what was found and what was expected
     */
    public static StsPolicy parse(String text) {
        Optional<String> version = Optional.empty();
        Optional<Mode> mode = Optional.empty();
        Optional<Duration> maxAge = Optional.empty();
        List<String> mx = new ArrayList<>();
        for (String line : text.split("\r?\n", -1)) {
            int colon = line.indexOf(':');
            if (colon < 0) {
                if (line.isBlank()) {
                    continue;
                }
                throw new IllegalArgumentException("found a line without colon: '" + shown(line) + "'");
            }
            String key = line.substring(0, colon).strip();
            String value = line.substring(colon + 1).strip();
            // of a field that is there twice the first one counts
            switch (key) {
                case "version" -> version = version.or(() -> Optional.of(value));
                case "mode" -> {
                    if (mode.isEmpty()) {
                        mode = Optional.of(mode(value));
                    }
                }
                case "max_age" -> {
                    if (maxAge.isEmpty()) {
                        maxAge = Optional.of(maxAge(value));
                    }
                }
                case "mx" -> mx.add(pattern(value));
                default -> {
                    // an extension of a later time
                }
            }
            if (mx.size() > MOST_PATTERNS) {
                throw new IllegalArgumentException("found more than " + MOST_PATTERNS + " mx");
            }
        }
        if (!version.equals(Optional.of("STSv1"))) {
            throw new IllegalArgumentException(
                    "version: found " + version.map(StsPolicy::shown).orElse("none") + ", expected STSv1");
        }
        Mode known = mode.orElseThrow(() -> new IllegalArgumentException("found no mode"));
        if (known != Mode.NONE && mx.isEmpty()) {
            throw new IllegalArgumentException("found mode " + known + " without mx");
        }
        return new StsPolicy(known, maxAge.orElseThrow(() -> new IllegalArgumentException("found no max_age")), mx);
    }

    private static Mode mode(String value) {
        return switch (value) {
            case "enforce" -> Mode.ENFORCE;
            case "testing" -> Mode.TESTING;
            case "none" -> Mode.NONE;
            default -> throw new IllegalArgumentException(
                    "mode: found '" + shown(value) + "', expected enforce, testing or none");
        };
    }

    private static Duration maxAge(String value) {
        if (!value.matches("[0-9]{1,10}")) {
            throw new IllegalArgumentException("max_age: found '" + shown(value) + "', expected 0 to 31557600 seconds");
        }
        Duration age = Duration.ofSeconds(Long.parseLong(value));
        return age.compareTo(LONGEST) > 0 ? LONGEST : age;
    }

    private static String pattern(String value) {
        boolean wildcard = value.startsWith("*.");
        try {
            String name = DomainPattern.normalize(wildcard ? value.substring(2) : value);
            if (name.indexOf('*') < 0) {
                return wildcard ? "*." + name : name;
            }
        } catch (IllegalArgumentException e) {
            // reported like every other value that is no name
        }
        throw new IllegalArgumentException("mx: found '" + shown(value) + "', expected a host name or *. and one");
    }

    private static String shown(String text) {
        String printable = text.replaceAll("[^\\x20-\\x7e]", "?");
        return printable.length() <= 100 ? printable : printable.substring(0, 100) + "…";
    }

    /** Whether a host may be MX of the domain (RFC 8461 section 4.1); {@code *.} stands for exactly one label. */
    public boolean names(String host) {
        String lower = host.toLowerCase(Locale.ROOT);
        int dot = lower.indexOf('.');
        return mx.stream()
                .anyMatch(pattern -> pattern.startsWith("*.")
                        ? dot > 0 && lower.substring(dot + 1).equals(pattern.substring(2))
                        : lower.equals(pattern));
    }

    /** As it would be published, without line ends. */
    public List<String> lines() {
        List<String> lines = new ArrayList<>();
        lines.add("version: STSv1");
        lines.add("mode: " + mode);
        mx.forEach(pattern -> lines.add("mx: " + pattern));
        lines.add("max_age: " + maxAge.toSeconds());
        return lines;
    }
}
