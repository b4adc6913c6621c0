/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.message;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.temporal.JulianFields;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.StringTokenizer;

/** Reads the date and time of a field (RFC 5322 sections 3.3 and 4.3) and tells its parts (RFC 5260 section 4.2). */
public final class MessageDate {
    private static final List<String> MONTHS =
            List.of("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec");

    /** RFC 5322 section 4.3; any other zone in letters is as good as -0000. */
    private static final Map<String, Integer> ZONES =
            Map.of("edt", -4, "est", -5, "cdt", -5, "cst", -6, "mdt", -6, "mst", -7, "pdt", -7, "pst", -8);

    private static final DateTimeFormatter STD11 =
            DateTimeFormatter.ofPattern("EEE, dd MMM yyyy HH:mm:ss xx", Locale.ENGLISH);
    private static final DateTimeFormatter ISO = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ssXXX", Locale.ROOT);

    /** The parts of a date that can be compared. */
    public enum Part {
        YEAR,
        MONTH,
        DAY,
        DATE,
        JULIAN,
        HOUR,
        MINUTE,
        SECOND,
        TIME,
        ISO8601,
        STD11,
        ZONE,
        WEEKDAY;

        /** Case does not count. */
        public static Optional<Part> named(String name) {
            for (Part part : values()) {
                if (part.name().equalsIgnoreCase(name)) {
                    return Optional.of(part);
                }
            }
            return Optional.empty();
        }
    }

    private MessageDate() {}

    /** The date that is the whole value or follows its last semicolon; empty when there is none or no such day. */
    public static Optional<OffsetDateTime> read(String value) {
        String text = withoutComments(value.substring(value.lastIndexOf(';') + 1));
        int comma = text.indexOf(',');
        StringTokenizer words = new StringTokenizer(text.substring(comma + 1), " \t");
        if (words.countTokens() < 4) {
            return Optional.empty();
        }
        try {
            int day = number(words.nextToken(), 1, 2);
            int month = MONTHS.indexOf(words.nextToken().toLowerCase(Locale.ROOT)) + 1;
            LocalDate date = LocalDate.of(year(words.nextToken()), month, day);
            StringBuilder time = new StringBuilder(words.nextToken());
            String zone = "-0000";
            while (words.hasMoreTokens()) {
                String word = words.nextToken();
                if (word.startsWith(":") || time.charAt(time.length() - 1) == ':') {
                    time.append(word);
                } else {
                    zone = word;
                    break;
                }
            }
            return Optional.of(OffsetDateTime.of(date, time(time.toString()), zone(zone)));
        } catch (DateTimeException | NumberFormatException e) {
            return Optional.empty();
        }
    }

    private static String withoutComments(String value) {
        if (value.indexOf('(') < 0) {
            return value;
        }
        StringBuilder text = new StringBuilder(value.length());
        int depth = 0;
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (c == '(') {
                depth++;
            } else if (c == ')' && depth > 0) {
                depth--;
                text.append(' ');
            } else if (c == '\\' && depth > 0) {
                i++;
            } else if (depth == 0) {
                text.append(c);
            }
        }
        return text.toString();
    }

    private static int number(String digits, int shortest, int longest) {
        if (digits.length() < shortest
                || digits.length() > longest
                || !digits.chars().allMatch(c -> c >= '0' && c <= '9')) {
            throw new NumberFormatException(digits);
        }
        return Integer.parseInt(digits);
    }

    /** RFC 5322 section 4.3: two and three digits count from 1900, two below 50 from 2000. */
    private static int year(String digits) {
        int year = number(digits, 2, 4);
        return switch (digits.length()) {
            case 2 -> year < 50 ? year + 2000 : year + 1900;
            case 3 -> year + 1900;
            default -> year;
        };
    }

    private static LocalTime time(String text) {
        String[] parts = text.split(":", -1);
        if (parts.length < 2 || parts.length > 3) {
            throw new NumberFormatException(text);
        }
        int second = parts.length == 3 ? number(parts[2], 1, 2) : 0;
        // a leap second has no place in java.time
        return LocalTime.of(number(parts[0], 1, 2), number(parts[1], 1, 2), second == 60 ? 59 : second);
    }

    private static ZoneOffset zone(String word) {
        return offset(word).orElseGet(() -> ZoneOffset.ofHours(ZONES.getOrDefault(word.toLowerCase(Locale.ROOT), 0)));
    }

    /** {@code +hhmm} or {@code -hhmm}; empty when it is none. */
    public static Optional<ZoneOffset> offset(String text) {
        if (text.length() != 5 || (text.charAt(0) != '+' && text.charAt(0) != '-')) {
            return Optional.empty();
        }
        try {
            int hours = number(text.substring(1, 3), 2, 2);
            int minutes = number(text.substring(3), 2, 2);
            int sign = text.charAt(0) == '-' ? -1 : 1;
            return Optional.of(ZoneOffset.ofHoursMinutes(sign * hours, sign * minutes));
        } catch (DateTimeException | NumberFormatException e) {
            return Optional.empty();
        }
    }

    /** A moment where this server is. */
    public static OffsetDateTime local(Instant instant) {
        return instant.atZone(ZoneId.systemDefault()).toOffsetDateTime();
    }

    public static String part(OffsetDateTime date, Part part) {
        return switch (part) {
            case YEAR -> digits(date.getYear(), 4);
            case MONTH -> digits(date.getMonthValue(), 2);
            case DAY -> digits(date.getDayOfMonth(), 2);
            case DATE -> digits(date.getYear(), 4) + "-" + digits(date.getMonthValue(), 2) + "-"
                    + digits(date.getDayOfMonth(), 2);
            case JULIAN -> String.valueOf(date.getLong(JulianFields.MODIFIED_JULIAN_DAY));
            case HOUR -> digits(date.getHour(), 2);
            case MINUTE -> digits(date.getMinute(), 2);
            case SECOND -> digits(date.getSecond(), 2);
            case TIME -> digits(date.getHour(), 2) + ":" + digits(date.getMinute(), 2) + ":"
                    + digits(date.getSecond(), 2);
            case ISO8601 -> ISO.format(date);
            case STD11 -> STD11.format(date);
            case ZONE -> {
                int minutes = date.getOffset().getTotalSeconds() / 60;
                yield (minutes < 0 ? "-" : "+") + digits(Math.abs(minutes) / 60, 2) + digits(Math.abs(minutes) % 60, 2);
            }
            case WEEKDAY -> String.valueOf(date.getDayOfWeek().getValue() % 7);
        };
    }

    private static String digits(int number, int width) {
        String digits = String.valueOf(number);
        return "0".repeat(Math.max(0, width - digits.length())) + digits;
    }
}
