/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.net.URI;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import dev.mailflow.policy.Secret;
import dev.mailflow.policy.certificate.CertificatePin;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.connection.IpRange;
import dev.mailflow.policy.connector.ConnectorType;
import dev.mailflow.policy.connector.InternalHeaders;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.domain.AcceptedDomain;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.domain.SenderPattern;
import dev.mailflow.policy.hybrid.LdapSettings;
import dev.mailflow.policy.rewrite.RewriteSide;

/** The kinds of value that {@code mailflow.xml} knows. */
final class Values {
    private static final Pattern NAME_SYNTAX = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,63}");
    private static final Pattern DURATION_SYNTAX = Pattern.compile("(\\d{1,9})([smhd])");
    private static final Pattern PORT_SUFFIX = Pattern.compile("(.*):(\\d{1,5})");
    private static final Pattern IPV4_SHAPE = Pattern.compile("[0-9.]+");
    private static final Duration LONGEST = Duration.ofDays(3650);
    private static final int LARGEST_COUNT = 1_000_000;
    private static final int LARGEST_PORT = 65_535;

    static final ValueType<Boolean> BOOLEAN =
            ValueType.words(ordered(Map.entry("true", Boolean.TRUE), Map.entry("false", Boolean.FALSE)));

    static final ValueType<String> NAME = ValueType.of(
            "a name of 1 to 64 letters, digits, '.', '_' and '-', not beginning with '.' or '-'",
            text -> matching(NAME_SYNTAX, text));

    static final ValueType<String> TEXT = ValueType.of("some text", text -> {
        if (text.isBlank()) {
            throw new IllegalArgumentException();
        }
        return text;
    });

    static final ValueType<String> COMMENT = ValueType.of("any text", text -> text);

    static final ValueType<String> SCRIPT = new ValueType<>("a Sieve script", TEXT.parser(), ValueType.Handling.SCRIPT);

    static final ValueType<Secret> SECRET = new ValueType<>(
            "a secret that is not empty",
            text -> {
                if (text.isEmpty()) {
                    throw new IllegalArgumentException();
                }
                return Secret.of(text);
            },
            ValueType.Handling.SECRET);

    static final ValueType<DomainPattern> DOMAIN = ValueType.of(
            "a domain ('contoso.com'), a domain with its subdomains ('*.contoso.com') or '*'", DomainPattern::parse);

    static final ValueType<DomainPattern> DOMAIN_NOT_ALL =
            ValueType.of("a domain ('contoso.com') or a domain with its subdomains ('*.contoso.com')", text -> {
                DomainPattern pattern = DomainPattern.parse(text);
                if (pattern.kind() == DomainPattern.Kind.ANY) {
                    throw new ValueType.Hint("'*' is not allowed here");
                }
                return pattern;
            });

    static final ValueType<DomainPattern> ONE_DOMAIN = ValueType.of("a domain ('contoso.com')", text -> {
        DomainPattern pattern = DomainPattern.parse(text);
        if (pattern.kind() != DomainPattern.Kind.EXACT) {
            throw new ValueType.Hint("no wildcard here");
        }
        return pattern;
    });

    static final ValueType<SenderPattern> SENDER = ValueType.of(
            "a mailbox ('joe@contoso.com'), '*@contoso.com', a domain, '*.contoso.com' or '*'", SenderPattern::parse);

    static final ValueType<RewriteSide> REWRITE =
            ValueType.of("a mailbox ('joe@contoso.com') or a domain ('contoso.com', '*.contoso.com')", text -> {
                if (text.equals("*")) {
                    throw new ValueType.Hint("'*' is not allowed here");
                }
                return RewriteSide.parse(text);
            });

    static final ValueType<IpRange> IP_RANGE = ValueType.of(
            "an address ('192.0.2.1'), a CIDR range ('192.0.2.0/24', '2001:db8::/32') or a range"
                    + " ('192.0.2.1-192.0.2.9')",
            IpRange::parse);

    static final ValueType<Duration> DURATION =
            ValueType.of("a time of at least 1s, such as 30s, 15m, 1h or 5d", Values::duration);

    static final ValueType<List<Duration>> DURATIONS = ValueType.of(
            "times of at least 1s separated by spaces, such as '1m 5m 1h'",
            text -> Arrays.stream(text.split("\\s+")).map(Values::duration).toList());

    static final ValueType<Instant> INSTANT = ValueType.of("a time such as 2027-01-31T00:00:00Z", text -> {
        try {
            return Instant.parse(text);
        } catch (DateTimeException e) {
            throw new IllegalArgumentException(e);
        }
    });

    static final ValueType<Integer> PORT = number("a TCP port", 1, LARGEST_PORT);
    static final ValueType<Integer> COUNT = number("a whole number", 1, LARGEST_COUNT);
    static final ValueType<Integer> RANK = number("a whole number", 0, LARGEST_COUNT);

    static final ValueType<CertificatePin> PIN = ValueType.of(
            "the SHA-256 of a certificate or its public key: 64 hexadecimal digits or 44 characters of base64",
            CertificatePin::parse);

    static final ValueType<FileUrl> FILE = ValueType.of(FileUrl.EXPECTED, FileUrl::parse);

    static final ValueType<String> URL = ValueType.of("a URL", text -> {
        if (!URI.create(text).isAbsolute()) {
            throw new IllegalArgumentException();
        }
        return text;
    });

    static final ValueType<String> LDAP_FILTER = ValueType.of(
            "a search filter (RFC 4515) in parentheses with " + LdapSettings.PLACEHOLDER
                    + " in the place of the address",
            text -> {
                boolean balanced = text.startsWith("(")
                        && text.endsWith(")")
                        && text.chars().filter(c -> c == '(').count()
                                == text.chars().filter(c -> c == ')').count();
                if (!balanced || !text.contains(LdapSettings.PLACEHOLDER)) {
                    throw new IllegalArgumentException();
                }
                return text;
            });

    static final ValueType<HostAndPort> HOST =
            ValueType.of("a host name, an IPv4 address or an [IPv6 address], with or without ':port'", Values::host);

    static final ValueType<AcceptedDomain.Type> DOMAIN_TYPE = ValueType.words(AcceptedDomain.Type.values());
    static final ValueType<ConnectorType> INBOUND_TYPE =
            ValueType.words(ConnectorType.ORGANIZATION, ConnectorType.PARTNER);
    static final ValueType<ConnectorType> OUTBOUND_TYPE = ValueType.words(ConnectorType.values());
    static final ValueType<TlsLevel> TLS_LEVEL = ValueType.words(TlsLevel.values());
    static final ValueType<InternalHeaders> INTERNAL_HEADERS = ValueType.words(
            ordered(Map.entry("preserve", InternalHeaders.PRESERVE), Map.entry("strip", InternalHeaders.STRIP)));

    private Values() {}

    /**
     * A next hop as written.
     *
     * @param host a name, an IPv4 literal or an IPv6 literal without brackets
     */
    record HostAndPort(String host, OptionalInt port) {}

    @SafeVarargs
    private static <T> Map<String, T> ordered(Map.Entry<String, T>... entries) {
        Map<String, T> map = new LinkedHashMap<>();
        for (Map.Entry<String, T> entry : entries) {
            map.put(entry.getKey(), entry.getValue());
        }
        return map;
    }

    private static String matching(Pattern syntax, String text) {
        if (!syntax.matcher(text).matches()) {
            throw new IllegalArgumentException();
        }
        return text;
    }

    private static ValueType<Integer> number(String what, int least, int most) {
        return ValueType.of(what + " from " + least + " to " + most, text -> {
            int value = text.matches("[0-9]{1,9}") ? Integer.parseInt(text) : -1;
            if (value < least || value > most) {
                throw new IllegalArgumentException();
            }
            return value;
        });
    }

    private static Duration duration(String text) {
        Matcher matcher = DURATION_SYNTAX.matcher(text);
        if (!matcher.matches()) {
            throw new IllegalArgumentException();
        }
        long amount = Long.parseLong(matcher.group(1));
        Duration duration =
                switch (matcher.group(2).charAt(0)) {
                    case 's' -> Duration.ofSeconds(amount);
                    case 'm' -> Duration.ofMinutes(amount);
                    case 'h' -> Duration.ofHours(amount);
                    default -> Duration.ofDays(amount);
                };
        if (duration.isZero()) {
            throw new IllegalArgumentException();
        }
        if (duration.compareTo(LONGEST) > 0) {
            throw new ValueType.Hint("no longer than " + LONGEST.toDays() + "d");
        }
        return duration;
    }

    private static HostAndPort host(String text) {
        if (text.contains("/") || text.contains("@")) {
            throw new ValueType.Hint("only the host, not a URL or an address");
        }
        if (text.contains("*")) {
            throw new ValueType.Hint("no wildcard: mail is sent to this very host");
        }
        if (text.indexOf(':') != text.lastIndexOf(':') && !text.startsWith("[")) {
            throw new ValueType.Hint("an IPv6 address goes in brackets");
        }
        Matcher withPort = PORT_SUFFIX.matcher(text);
        boolean hasPort = withPort.matches();
        OptionalInt port = hasPort ? OptionalInt.of(PORT.parser().parse(withPort.group(2))) : OptionalInt.empty();
        return new HostAndPort(hostName(hasPort ? withPort.group(1) : text), port);
    }

    private static String hostName(String text) {
        if (text.startsWith("[") && text.endsWith("]")) {
            String literal = text.substring(1, text.length() - 1);
            if (!literal.contains(":")) {
                throw new ValueType.Hint("brackets are for IPv6 addresses");
            }
            return address(literal);
        }
        return IPV4_SHAPE.matcher(text).matches()
                ? address(text)
                : Optional.of(DomainPattern.parse(text))
                        .filter(pattern -> pattern.kind() == DomainPattern.Kind.EXACT)
                        .map(DomainPattern::name)
                        .orElseThrow(IllegalArgumentException::new);
    }

    private static String address(String literal) {
        return IpAddress.parse(literal).toString();
    }
}
