/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.nexthop;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

import org.xbill.DNS.CNAMERecord;
import org.xbill.DNS.DClass;
import org.xbill.DNS.Flags;
import org.xbill.DNS.Lookup;
import org.xbill.DNS.Message;
import org.xbill.DNS.Name;
import org.xbill.DNS.Rcode;
import org.xbill.DNS.Record;
import org.xbill.DNS.Resolver;
import org.xbill.DNS.SOARecord;
import org.xbill.DNS.Section;
import org.xbill.DNS.Type;
import org.xbill.DNS.dnssec.ValidatingResolver;

import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;

import dev.mailflow.delivery.DeliveryConfig;
import dev.mailflow.delivery.DeliveryConfig.Dnssec;
import io.netty.channel.EventLoopGroup;

/**
 * Looks records up and remembers what was said for as long as it was said to hold: records for their time to live,
 * their absence as the zone's SOA tells (RFC 2308), a failure for two seconds. Who asks what somebody else is asking
 * just now waits for the same answer. Memory is bounded; nothing blocks.
 *
 * <p>An answer counts as secure only if the resolver was configured as one whose word on DNSSEC is trusted (the AD bit,
 * RFC 6840 section 5.8); anyone on the way could set that bit.
 */
// the chains that are not kept end in a future that is
@SuppressWarnings("FutureReturnValueIgnored")
public final class DnsLookup {
    private static final Duration LIMIT = Duration.ofSeconds(30);
    private static final Duration SERVER_PATIENCE = Duration.ofSeconds(5);
    private static final int MOST_ANSWERS = 50_000;
    private static final int MOST_ALIASES = 8;
    private static final Duration LONGEST = Duration.ofDays(1);
    // RFC 2308 section 5
    private static final Duration LONGEST_ABSENCE = Duration.ofHours(3);
    private static final Duration FAILURE = Duration.ofSeconds(2);

    private final Resolver resolver;
    private final boolean trusted;
    private final Clock clock;
    private final Cache<Question, Held> answers =
            CacheBuilder.newBuilder().maximumSize(MOST_ANSWERS).build();
    private final Map<Question, CompletableFuture<DnsAnswer>> asking = new ConcurrentHashMap<>();

    /** @param trusted whether the resolver's word on DNSSEC counts */
    public DnsLookup(Resolver resolver, boolean trusted, Clock clock) {
        this.resolver = resolver;
        this.trusted = trusted;
        this.clock = clock;
    }

    /**
     * Asks the servers that dnsjava would ask, or the one whose word on DNSSEC counts, as delivery is configured.
     *
     * @param executor completes the answers
     * @throws IllegalArgumentException when the root's trust anchors cannot be read
     */
    public static DnsLookup of(DeliveryConfig config, EventLoopGroup eventLoops, Executor executor) {
        if (config.dnssec() instanceof Dnssec.TrustedResolver trusted) {
            return new DnsLookup(
                    new NameServers(eventLoops, List.of(trusted.resolver()), SERVER_PATIENCE, executor),
                    true,
                    config.clock());
        }
        Resolver resolver = withoutThreads(
                config.resolver().orElseGet(Lookup::getDefaultResolver), eventLoops, SERVER_PATIENCE, executor);
        if (config.dnssec() instanceof Dnssec.Validated validated) {
            ValidatingResolver validating = new ValidatingResolver(resolver, config.clock());
            try {
                validating.loadTrustAnchors(
                        new ByteArrayInputStream(validated.rootAnchors().getBytes(StandardCharsets.US_ASCII)));
            } catch (IOException e) {
                throw new IllegalArgumentException(
                        "rootAnchors: " + e.getMessage() + ", expected DS or DNSKEY records", e);
            }
            return new DnsLookup(validating, true, config.clock());
        }
        return new DnsLookup(resolver, false, config.clock());
    }

    /**
     * Asks the servers that dnsjava would ask, and takes nobody's word on DNSSEC.
     *
     * @param serverPatience how long one server is waited for
     * @param executor completes the answers
     */
    public static DnsLookup ofUsualServers(
            EventLoopGroup eventLoops, Duration serverPatience, Executor executor, Clock clock) {
        return new DnsLookup(
                withoutThreads(Lookup.getDefaultResolver(), eventLoops, serverPatience, executor), false, clock);
    }

    private static Resolver withoutThreads(
            Resolver usual, EventLoopGroup eventLoops, Duration serverPatience, Executor executor) {
        List<InetSocketAddress> servers = NameServers.of(usual);
        return servers.isEmpty() ? usual : new NameServers(eventLoops, servers, serverPatience, executor);
    }

    /** Whether answers can be secure at all. */
    public boolean knowsSecurity() {
        return trusted;
    }

    private record Question(Name name, int type) {}

    private record Held(DnsAnswer answer, Instant until) {}

    /** @param type see {@link Type} */
    public CompletionStage<DnsAnswer> ask(Name name, int type) {
        Question question = new Question(name, type);
        Held held = answers.getIfPresent(question);
        if (held != null && clock.instant().isBefore(held.until())) {
            return CompletableFuture.completedFuture(held.answer());
        }
        CompletableFuture<DnsAnswer> mine = new CompletableFuture<>();
        CompletableFuture<DnsAnswer> others = asking.putIfAbsent(question, mine);
        if (others != null) {
            return others;
        }
        return CompletableFuture.completedFuture(new Chain(question, name, true, LONGEST))
                .thenCompose(chain -> follow(chain, 0))
                .orTimeout(LIMIT.toMillis(), TimeUnit.MILLISECONDS)
                .exceptionally(thrown -> new Held(new DnsAnswer.Unknown(describe(thrown)), in(FAILURE)))
                .thenApply(fresh -> {
                    answers.put(question, fresh);
                    asking.remove(question);
                    mine.complete(fresh.answer());
                    return fresh.answer();
                });
    }

    /** How far aliases have led. */
    private record Chain(Question question, Name at, boolean secure, Duration life) {}

    private CompletionStage<Held> follow(Chain chain, int aliases) {
        Message query =
                Message.newQuery(Record.newRecord(chain.at(), chain.question().type(), DClass.IN));
        if (trusted) {
            // RFC 6840 section 5.7: asks for the AD bit without asking for signatures
            query.getHeader().setFlag(Flags.AD);
        }
        return resolver.sendAsync(query).thenCompose(message -> {
            int rcode = message.getRcode();
            if (rcode != Rcode.NOERROR && rcode != Rcode.NXDOMAIN) {
                return CompletableFuture.completedFuture(new Held(
                        new DnsAnswer.Unknown("the name server answered " + Rcode.string(rcode)), in(FAILURE)));
            }
            return read(message, chain, aliases);
        });
    }

    private CompletionStage<Held> read(Message message, Chain asked, int aliases) {
        boolean secure = asked.secure() && trusted && message.getHeader().getFlag(Flags.AD);
        Name at = asked.at();
        Duration life = asked.life();
        int followed = aliases;
        List<Record> section = message.getSection(Section.ANSWER);
        while (true) {
            List<Record> records = new ArrayList<>();
            List<Record> alias = new ArrayList<>();
            for (Record each : section) {
                if (each.getName().equals(at) && each.getDClass() == DClass.IN) {
                    if (each.getType() == asked.question().type()) {
                        records.add(each);
                    } else if (each.getType() == Type.CNAME) {
                        alias.add(each);
                    }
                }
            }
            if (!records.isEmpty()) {
                for (Record each : records) {
                    life = shorter(life, each.getTTL());
                }
                return held(new DnsAnswer.Found(records, at, secure), life);
            }
            if (alias.isEmpty()) {
                break;
            }
            if (++followed > MOST_ALIASES) {
                return held(new DnsAnswer.Unknown("more than " + MOST_ALIASES + " aliases in a row"), FAILURE);
            }
            life = shorter(life, alias.get(0).getTTL());
            at = ((CNAMERecord) alias.get(0)).getTarget();
        }
        if (!at.equals(asked.at()) && message.getRcode() == Rcode.NOERROR && !hasSoa(message)) {
            // the server left it to us to go on
            return follow(new Chain(asked.question(), at, secure, life), followed);
        }
        return held(new DnsAnswer.Nothing(message.getRcode() == Rcode.NOERROR, at, secure), absence(message, life));
    }

    private static boolean hasSoa(Message message) {
        return message.getSection(Section.AUTHORITY).stream().anyMatch(SOARecord.class::isInstance);
    }

    /** RFC 2308 section 5: without SOA an absence is not remembered. */
    private static Duration absence(Message message, Duration life) {
        return message.getSection(Section.AUTHORITY).stream()
                .filter(SOARecord.class::isInstance)
                .map(SOARecord.class::cast)
                .map(soa -> shorter(shorter(life, soa.getMinimum()), soa.getTTL()))
                .map(time -> time.compareTo(LONGEST_ABSENCE) > 0 ? LONGEST_ABSENCE : time)
                .findFirst()
                .orElse(Duration.ZERO);
    }

    private CompletionStage<Held> held(DnsAnswer answer, Duration life) {
        return CompletableFuture.completedFuture(new Held(answer, in(life)));
    }

    private Instant in(Duration time) {
        return clock.instant().plus(time);
    }

    private static Duration shorter(Duration time, long seconds) {
        return time.compareTo(Duration.ofSeconds(seconds)) <= 0 ? time : Duration.ofSeconds(seconds);
    }

    private static String describe(Throwable thrown) {
        Throwable cause =
                thrown instanceof CompletionException && thrown.getCause() != null ? thrown.getCause() : thrown;
        return cause instanceof java.util.concurrent.TimeoutException
                ? "no answer within " + LIMIT.toSeconds() + " s"
                : cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
    }
}
