/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

import org.xbill.DNS.Resolver;

import dev.mailflow.delivery.nexthop.NameServers;
import dev.mailflow.delivery.tlsrpt.ReportSettings;
import dev.mailflow.delivery.tlsrpt.TlsSession;
import dev.mailflow.policy.certificate.TrustAnchors;

/**
 * Settings of the outbound engine that no connector has. Immutable; every setting but {@code heloName} has a default.
 *
 * @param heloName how we introduce ourselves: a name that leads to our address, or an address literal
 * @param ownNames MX hosts of these names are ourselves; {@code heloName} is always one
 * @param mxPort port of MX hosts
 * @param resolver empty: the system's name servers and search path
 * @param sourceAddress connections to addresses of its family leave from it
 * @param ioThreads threads that serve connections
 * @param tlsProtocols the only TLS versions spoken
 * @param revocationLimit how long a certificate's revocation may be asked for; then it counts as not revoked
 * @param addressPatience how long an address may take to accept a TCP connection before the next address of the host is
 *     tried beside it
 * @param connectionAge no connection is reused that is older
 * @param dnssec how it is known what DNSSEC vouches for
 * @param webAuthorities whom MTA-STS and reports by HTTPS trust
 * @param httpsPort port of web servers
 * @param stateDirectory where MTA-STS policies and counts for TLS reports outlive a restart; empty: nowhere
 * @param tlsObserver is told how TLS went with the hosts of mail domains whose wishes are heeded
 * @param reports in whose name TLS reports are sent; empty: none are
 */
public record DeliveryConfig(
        String heloName,
        Set<String> ownNames,
        int mxPort,
        SmtpTimeouts timeouts,
        Optional<Resolver> resolver,
        Clock clock,
        Optional<InetAddress> sourceAddress,
        int ioThreads,
        List<String> tlsProtocols,
        Duration revocationLimit,
        Duration addressPatience,
        Duration connectionAge,
        Dnssec dnssec,
        TrustAnchors webAuthorities,
        int httpsPort,
        Optional<Path> stateDirectory,
        Optional<TlsSession.Observer> tlsObserver,
        Optional<ReportSettings> reports) {

    /** How it is known what DNSSEC vouches for. */
    public sealed interface Dnssec {
        /** It is not: DANE has no say. */
        record Unknown() implements Dnssec {}

        /** A recursive resolver validates, and nobody on the way to it can speak for it. */
        record TrustedResolver(InetSocketAddress resolver) implements Dnssec {}

        /**
         * We validate what the usual resolvers bring.
         *
         * @param rootAnchors DS or DNSKEY records of the root, as in a zone file
         */
        record Validated(String rootAnchors) implements Dnssec {}

        /** Reads a file by its URL. */
        @FunctionalInterface
        interface Files {
            String read(String url) throws IOException;
        }

        /**
         * What an administrator has written, as parameters {@code trustedResolver} and {@code rootTrustAnchors}.
         *
         * @throws IllegalArgumentException naming the parameter, what was found and what would be right
         */
        static Dnssec of(Optional<String> trustedResolver, Optional<String> rootTrustAnchors, Files files) {
            if (trustedResolver.isPresent() && rootTrustAnchors.isPresent()) {
                throw new IllegalArgumentException(
                        "parameters <trustedResolver> and <rootTrustAnchors>: found both, expected one of them: either"
                                + " a resolver is believed or its answers are validated here");
            }
            if (trustedResolver.isPresent()) {
                return new TrustedResolver(NameServers.address(trustedResolver.get())
                        .orElseThrow(() -> new IllegalArgumentException("parameter <trustedResolver>: found '"
                                + trustedResolver.get()
                                + "', expected an address or address:port, IPv6 in brackets")));
            }
            if (rootTrustAnchors.isEmpty()) {
                return new Unknown();
            }
            try {
                return new Validated(files.read(rootTrustAnchors.get()));
            } catch (IOException e) {
                throw new IllegalArgumentException(
                        "parameter <rootTrustAnchors>: found '" + rootTrustAnchors.get() + "', which cannot be read: "
                                + e.getMessage(),
                        e);
            }
        }
    }

    public DeliveryConfig {
        ownNames = Set.copyOf(ownNames);
        tlsProtocols = List.copyOf(tlsProtocols);
        if (heloName.isBlank() || heloName.chars().anyMatch(c -> c <= ' ' || c > 126)) {
            throw new IllegalArgumentException(
                    "heloName: found '" + heloName + "', expected a host name or an address literal in brackets");
        }
        if (mxPort < 1 || mxPort > 65535) {
            throw new IllegalArgumentException("mxPort: found " + mxPort + ", expected 1 to 65535");
        }
        if (addressPatience.compareTo(Duration.ofMillis(10)) < 0) {
            throw new IllegalArgumentException(
                    "addressPatience: found " + addressPatience.toMillis() + " ms, expected at least 10");
        }
        if (ioThreads < 1) {
            throw new IllegalArgumentException("ioThreads: found " + ioThreads + ", expected at least 1");
        }
    }

    public static Builder builder(String heloName) {
        return new Builder(heloName);
    }

    /** Collects settings; not thread-safe. */
    public static final class Builder {
        private final String heloName;
        private Set<String> ownNames = Set.of();
        private int mxPort = 25;
        private SmtpTimeouts timeouts = SmtpTimeouts.DEFAULT;
        private Optional<Resolver> resolver = Optional.empty();
        private Clock clock = Clock.systemUTC();
        private Optional<InetAddress> sourceAddress = Optional.empty();
        private int ioThreads = Math.max(1, Math.min(4, Runtime.getRuntime().availableProcessors()));
        private List<String> tlsProtocols = List.of("TLSv1.3", "TLSv1.2");
        private Duration revocationLimit = Duration.ofSeconds(5);
        // RFC 8305 section 5
        private Duration addressPatience = Duration.ofMillis(250);
        private Duration connectionAge = Duration.ofMinutes(5);
        private Dnssec dnssec = new Dnssec.Unknown();
        private TrustAnchors webAuthorities = TrustAnchors.jdk();
        private int httpsPort = 443;
        private Optional<Path> stateDirectory = Optional.empty();
        private Optional<TlsSession.Observer> tlsObserver = Optional.empty();
        private Optional<ReportSettings> reports = Optional.empty();

        private Builder(String heloName) {
            this.heloName = Objects.requireNonNull(heloName);
        }

        public Builder ownNames(Set<String> names) {
            this.ownNames = names;
            return this;
        }

        public Builder mxPort(int port) {
            this.mxPort = port;
            return this;
        }

        public Builder timeouts(SmtpTimeouts limits) {
            this.timeouts = limits;
            return this;
        }

        public Builder resolver(Resolver nameServers) {
            this.resolver = Optional.of(nameServers);
            return this;
        }

        public Builder clock(Clock source) {
            this.clock = source;
            return this;
        }

        public Builder sourceAddress(InetAddress address) {
            this.sourceAddress = Optional.of(address);
            return this;
        }

        public Builder ioThreads(int threads) {
            this.ioThreads = threads;
            return this;
        }

        public Builder tlsProtocols(List<String> protocols) {
            this.tlsProtocols = protocols;
            return this;
        }

        public Builder revocationLimit(Duration limit) {
            this.revocationLimit = limit;
            return this;
        }

        public Builder addressPatience(Duration time) {
            this.addressPatience = time;
            return this;
        }

        public Builder connectionAge(Duration age) {
            this.connectionAge = age;
            return this;
        }

        public Builder dnssec(Dnssec how) {
            this.dnssec = how;
            return this;
        }

        public Builder webAuthorities(TrustAnchors authorities) {
            this.webAuthorities = authorities;
            return this;
        }

        public Builder httpsPort(int port) {
            this.httpsPort = port;
            return this;
        }

        public Builder stateDirectory(Path directory) {
            this.stateDirectory = Optional.of(directory);
            return this;
        }

        public Builder tlsObserver(TlsSession.Observer observer) {
            this.tlsObserver = Optional.of(observer);
            return this;
        }

        public Builder reports(ReportSettings settings) {
            this.reports = Optional.of(settings);
            return this;
        }

        public DeliveryConfig build() {
            return new DeliveryConfig(
                    heloName,
                    ownNames,
                    mxPort,
                    timeouts,
                    resolver,
                    clock,
                    sourceAddress,
                    ioThreads,
                    tlsProtocols,
                    revocationLimit,
                    addressPatience,
                    connectionAge,
                    dnssec,
                    webAuthorities,
                    httpsPort,
                    stateDirectory,
                    tlsObserver,
                    reports);
        }
    }
}
