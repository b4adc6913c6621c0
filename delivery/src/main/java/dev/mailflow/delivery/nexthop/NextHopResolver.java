/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.nexthop;

import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.stream.Stream;

import org.apache.james.core.Domain;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.xbill.DNS.AAAARecord;
import org.xbill.DNS.ARecord;
import org.xbill.DNS.Address;
import org.xbill.DNS.Lookup;
import org.xbill.DNS.MXRecord;
import org.xbill.DNS.Name;
import org.xbill.DNS.NameTooLongException;
import org.xbill.DNS.Record;
import org.xbill.DNS.TextParseException;
import org.xbill.DNS.Type;
import org.xbill.DNS.hosts.HostsFileParser;

import com.google.common.net.InetAddresses;

import dev.mailflow.delivery.DeliveryConfig;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.tls.PeerIdentity;
import dev.mailflow.policy.connector.NextHops;
import dev.mailflow.policy.connector.SmartHost;
import dev.mailflow.policy.domain.DomainPattern;

/**
 * Finds hosts to deliver to: configured smart hosts, or the MX records of a recipient domain (RFC 5321 section 5.1,
 * RFC 7505). Nothing blocks; answers are kept for their time to live, the negative ones too.
 */
public final class NextHopResolver {
    private static final Logger LOGGER = LoggerFactory.getLogger(NextHopResolver.class);

    /** RFC 3463: a directory server failed, DNS is meant. */
    public static final String LOOKUP_FAILED = "4.4.3";

    private final DnsLookup dns;
    private final List<Name> searchPath;
    private final HostsFileParser hostsFile = new HostsFileParser();
    private final Set<Name> ownNames;
    private final int mxPort;
    private final Random random;

    /** @param dns answers all questions */
    public NextHopResolver(DeliveryConfig config, DnsLookup dns, Random random) {
        this.dns = dns;
        // smart hosts are written by administrators, who expect what their system does with short names
        this.searchPath = config.resolver().isEmpty() ? Lookup.getDefaultSearchPath() : List.of();
        this.mxPort = config.mxPort();
        this.random = random;
        this.ownNames = new HashSet<>();
        name(config.heloName()).ifPresent(ownNames::add);
        config.ownNames().forEach(own -> name(own).ifPresent(ownNames::add));
    }

    /** Smart hosts by priority, within a priority at random by weight. */
    public List<Target> order(NextHops.SmartHosts smartHosts) {
        TreeMap<Integer, List<SmartHost>> byPriority = new TreeMap<>();
        smartHosts.hosts().forEach(host -> byPriority
                .computeIfAbsent(host.priority(), priority -> new ArrayList<>())
                .add(host));
        List<Target> ordered = new ArrayList<>();
        byPriority.values().forEach(group -> {
            while (!group.isEmpty()) {
                int draw = random.nextInt(group.stream()
                        .mapToInt(host -> Math.max(1, host.weight()))
                        .sum());
                int chosen = 0;
                while (draw >= Math.max(1, group.get(chosen).weight())) {
                    draw -= Math.max(1, group.get(chosen).weight());
                    chosen++;
                }
                ordered.add(target(group.remove(chosen)));
            }
        });
        return ordered;
    }

    private static Target target(SmartHost smartHost) {
        String host = smartHost.host();
        Optional<PeerIdentity> identity =
                literal(host).<PeerIdentity>map(PeerIdentity.Addressed::new).or(() -> named(host));
        return new Target(host, smartHost.port(), identity, true, List.of());
    }

    /** MX hosts of a domain by preference, within a preference at random. */
    public CompletionStage<Resolution<Target>> mx(Domain domain) {
        String text = domain.asString();
        Optional<InetAddress> literal = domainLiteral(text);
        if (literal.isPresent()) {
            return CompletableFuture.completedFuture(new Resolution.Found<>(List.of(new Target(
                    InetAddresses.toAddrString(literal.get()),
                    mxPort,
                    Optional.of(new PeerIdentity.Addressed(literal.get())),
                    false,
                    List.of()))));
        }
        String ascii;
        try {
            ascii = DomainPattern.normalize(text);
        } catch (IllegalArgumentException e) {
            ascii = "";
        }
        Optional<Name> name = name(ascii);
        if (name.isEmpty()) {
            return nowhere(failed("5.1.2", "'" + text + "' is not a domain name"));
        }
        String asked = ascii;
        return dns.ask(name.get(), Type.MX).thenCompose(answer -> {
            if (answer instanceof DnsAnswer.Found found) {
                return CompletableFuture.completedFuture(mxTargets(text, asked, found));
            }
            if (answer instanceof DnsAnswer.Nothing nothing) {
                return nothing.exists()
                        ? itself(text, asked, nothing)
                        : nowhere(failed("5.1.2", "domain '" + text + "' does not exist"));
            }
            return nowhere(deferred(
                    LOOKUP_FAILED,
                    "MX records of '" + text + "' cannot be looked up: " + ((DnsAnswer.Unknown) answer).reason()));
        });
    }

    /** RFC 5321 section 5.1: without MX records the domain is its own MX host, if it has an address. */
    private CompletionStage<Resolution<Target>> itself(String text, String asked, DnsAnswer.Nothing noMx) {
        if (ownNames.contains(noMx.canonical())) {
            return nowhere(failed("5.4.6", "domain '" + text + "' is this server: mail would loop"));
        }
        return hasNone(asked, Family.IPV4)
                .thenCompose(none -> none ? hasNone(asked, Family.IPV6) : CompletableFuture.completedFuture(false))
                .thenApply(none -> none
                        ? new Resolution.Nowhere<>(
                                failed("5.1.2", "domain '" + text + "' has neither MX records nor an address"))
                        : new Resolution.Found<>(
                                List.of(new Target(asked, mxPort, named(asked), noMx.secure(), List.of(asked)))));
    }

    /** Whether it is certain that a host has no address of a family. */
    private CompletionStage<Boolean> hasNone(String host, Family family) {
        return addresses(host, family)
                .thenApply(found -> found instanceof Resolution.Nowhere<InetAddress> nowhere
                        && nowhere.outcome().equals(noAddress(host)));
    }

    private Resolution<Target> mxTargets(String domain, String asked, DnsAnswer.Found answer) {
        List<MXRecord> hosts = new ArrayList<>();
        for (Record each : answer.records()) {
            if (each instanceof MXRecord mx) {
                hosts.add(mx);
            }
        }
        if (hosts.size() == 1 && hosts.get(0).getTarget().equals(Name.root)) {
            return new Resolution.Nowhere<>(failed("5.1.10", "domain '" + domain + "' accepts no mail (null MX)"));
        }
        hosts.removeIf(host -> host.getTarget().equals(Name.root));
        Collections.shuffle(hosts, random);
        hosts.sort(Comparator.comparingInt(MXRecord::getPriority));
        // RFC 5321 section 5.1: from our own preference on, mail would come back to us
        for (int i = 0; i < hosts.size(); i++) {
            if (ownNames.contains(hosts.get(i).getTarget())) {
                int own = hosts.get(i).getPriority();
                hosts.removeIf(host -> host.getPriority() >= own);
                if (hosts.isEmpty()) {
                    return new Resolution.Nowhere<>(
                            failed("5.4.6", "the best MX host of '" + domain + "' is this server: mail would loop"));
                }
                break;
            }
        }
        if (hosts.isEmpty()) {
            return new Resolution.Nowhere<>(deferred("4.4.4", "domain '" + domain + "' has no usable MX record"));
        }
        String canonical = answer.canonical().toString(true).toLowerCase(Locale.ROOT);
        List<String> mailDomains = canonical.equals(asked) ? List.of(asked) : List.of(asked, canonical);
        return new Resolution.Found<>(hosts.stream()
                .map(mx -> mx.getTarget().toString(true).toLowerCase(Locale.ROOT))
                .map(host -> new Target(
                        host,
                        mxPort,
                        // Without DNSSEC the MX record proves nothing: the certificate must name the mail domain
                        // itself.
                        answer.secure() ? PeerIdentity.of(List.of(asked, host)) : named(asked),
                        answer.secure(),
                        mailDomains))
                .toList());
    }

    /**
     * What mail for an MX host comes to that is another name of this server (RFC 5321 section 5.1); empty where it is not.
     * Aliases are known only when the host's addresses are looked up, so this is for a host whose turn it is. A smart host
     * is what an administrator wrote: it may well be this machine, on another port.
     */
    public CompletionStage<Optional<RecipientOutcome>> loops(Target target) {
        Optional<Name> name =
                target.mailDomains().isEmpty() || literal(target.host()).isPresent()
                        ? Optional.empty()
                        : hostName(target.host()).map(NextHopResolver::absolute);
        if (name.isEmpty()
                || Stream.of(Family.values())
                        .anyMatch(family -> written(name.get(), family).isPresent())) {
            return CompletableFuture.completedFuture(Optional.empty());
        }
        // an alias is one for all types of records
        return dns.ask(name.get(), Family.IPV4.recordType).thenApply(answer -> answer.end()
                .filter(ownNames::contains)
                .map(own -> failed(
                        "5.4.6",
                        "MX host '" + target.host() + "' of '"
                                + target.mailDomains().get(0) + "' is an alias of '" + own.toString(true)
                                + "', which is this server: mail would loop")));
    }

    /** Which addresses of a host are asked for. */
    public enum Family {
        IPV4(Type.A),
        IPV6(Type.AAAA);

        private final int recordType;

        Family(int recordType) {
            this.recordType = recordType;
        }
    }

    /**
     * Addresses of a host. Families are asked for one after the other, IPv6 only where IPv4 leads nowhere: most hosts
     * need one query instead of two, and a name server that never answers for AAAA records delays nothing.
     */
    public CompletionStage<Resolution<InetAddress>> addresses(String host, Family family) {
        Optional<InetAddress> literal = literal(host);
        if (literal.isPresent()) {
            return family == Family.IPV6
                    ? nowhere(noAddress(host))
                    : CompletableFuture.completedFuture(new Resolution.Found<>(List.of(literal.get())));
        }
        Optional<Name> name = hostName(host);
        if (name.isEmpty()) {
            return nowhere(deferred("4.4.4", "'" + host + "' is not a host name"));
        }
        Optional<InetAddress> written = written(name.get(), family);
        return written.isPresent()
                ? CompletableFuture.completedFuture(new Resolution.Found<>(List.of(written.get())))
                : ask(candidates(name.get()), family).thenApply(answer -> addresses(host, answer));
    }

    /** What the hosts file of this system says, as for every other program. */
    private Optional<InetAddress> written(Name host, Family family) {
        try {
            return hostsFile.getAddressForHost(absolute(host), family.recordType);
        } catch (IOException | IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    private static Name absolute(Name host) {
        try {
            return host.isAbsolute() ? host : Name.concatenate(host, Name.root);
        } catch (NameTooLongException e) {
            throw new IllegalArgumentException(e);
        }
    }

    /** A name without a dot is completed as the system completes it. */
    private List<Name> candidates(Name host) {
        List<Name> candidates = new ArrayList<>();
        if (!host.isAbsolute() && host.labels() == 1) {
            for (Name suffix : searchPath) {
                try {
                    candidates.add(Name.concatenate(host, suffix));
                } catch (NameTooLongException e) {
                    LOGGER.debug("'{}' is too long for search suffix {}", host, suffix);
                }
            }
        }
        candidates.add(absolute(host));
        return candidates;
    }

    private CompletionStage<DnsAnswer> ask(List<Name> candidates, Family family) {
        CompletionStage<DnsAnswer> answer = dns.ask(candidates.get(0), family.recordType);
        return candidates.size() == 1
                ? answer
                : answer.thenCompose(first -> first instanceof DnsAnswer.Found
                        ? CompletableFuture.completedFuture(first)
                        : ask(candidates.subList(1, candidates.size()), family));
    }

    private static Resolution<InetAddress> addresses(String host, DnsAnswer answer) {
        if (answer instanceof DnsAnswer.Unknown unknown) {
            return new Resolution.Nowhere<>(
                    deferred(LOOKUP_FAILED, "host '" + host + "' cannot be looked up: " + unknown.reason()));
        }
        List<InetAddress> found = new ArrayList<>();
        if (answer instanceof DnsAnswer.Found records) {
            for (Record each : records.records()) {
                if (each instanceof ARecord a) {
                    found.add(a.getAddress());
                } else if (each instanceof AAAARecord aaaa) {
                    found.add(aaaa.getAddress());
                }
            }
        }
        return found.isEmpty() ? new Resolution.Nowhere<>(noAddress(host)) : new Resolution.Found<>(found);
    }

    private static RecipientOutcome noAddress(String host) {
        return deferred("4.4.4", "host '" + host + "' has no address");
    }

    private static Optional<Name> hostName(String host) {
        try {
            return Optional.of(Name.fromString(DomainPattern.normalize(host)));
        } catch (TextParseException | IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    private static <T> CompletionStage<Resolution<T>> nowhere(RecipientOutcome outcome) {
        return CompletableFuture.completedFuture(new Resolution.Nowhere<>(outcome));
    }

    private static RecipientOutcome failed(String status, String reason) {
        return new RecipientOutcome.Failed(status, reason, Optional.empty(), Optional.empty());
    }

    private static RecipientOutcome deferred(String status, String reason) {
        return new RecipientOutcome.Deferred(status, reason, Optional.empty(), Optional.empty());
    }

    private static Optional<PeerIdentity> named(String host) {
        return PeerIdentity.of(List.of(host));
    }

    private static Optional<InetAddress> literal(String host) {
        try {
            return Address.isDottedQuad(host)
                    ? Optional.of(Address.getByAddress(host))
                    : host.indexOf(':') >= 0 ? Optional.of(Address.getByAddress(host, Address.IPv6)) : Optional.empty();
        } catch (UnknownHostException e) {
            return Optional.empty();
        }
    }

    // James keeps domain literals without their brackets; no top-level domain looks like one
    private static Optional<InetAddress> domainLiteral(String domain) {
        String inner =
                domain.startsWith("[") && domain.endsWith("]") ? domain.substring(1, domain.length() - 1) : domain;
        return literal(inner.regionMatches(true, 0, "IPv6:", 0, 5) ? inner.substring(5) : inner);
    }

    private static Optional<Name> name(String text) {
        try {
            return text.isEmpty() ? Optional.empty() : Optional.of(Name.fromString(text, Name.root));
        } catch (TextParseException e) {
            return Optional.empty();
        }
    }
}
