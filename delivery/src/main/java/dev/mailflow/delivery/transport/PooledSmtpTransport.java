/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.ForkJoinWorkerThread;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.common.util.concurrent.MoreExecutors;
import com.google.common.util.concurrent.ThreadFactoryBuilder;

import dev.mailflow.delivery.DeliveryConfig;
import dev.mailflow.delivery.DeliveryReport;
import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.OutboundRecipient;
import dev.mailflow.delivery.OutboundTransport;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.nexthop.DnsLookup;
import dev.mailflow.delivery.nexthop.NextHopResolver;
import dev.mailflow.delivery.nexthop.Resolution;
import dev.mailflow.delivery.nexthop.Target;
import dev.mailflow.delivery.pool.ConnectionPool;
import dev.mailflow.delivery.pool.HopHealth;
import dev.mailflow.delivery.smtp.HopFailure;
import dev.mailflow.delivery.smtp.PreparedContent;
import dev.mailflow.delivery.smtp.SmtpDialer;
import dev.mailflow.delivery.tls.TlsClients;
import dev.mailflow.policy.connector.NextHops;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import dev.mailflow.policy.envelope.RequestedTls;
import io.netty.channel.nio.NioEventLoopGroup;

/**
 * The outbound engine: next hops, pooled connections, failover, one outcome per recipient.
 *
 * <p>Threads: a few event loops for all connections; {@code content} threads read messages; {@code tls} threads check
 * certificates. The last two may block and are kept apart, so that a slow revocation service does not keep messages
 * from being read. {@code tls} threads that wait for one, whose {@code revocation} threads are others again, are replaced
 * meanwhile, so that it does not keep the handshakes of others. Nothing waits on an event loop.
 */
public final class PooledSmtpTransport implements OutboundTransport {
    private static final Logger LOGGER = LoggerFactory.getLogger(PooledSmtpTransport.class);
    // RFC 5321 section 4.5.3.1.8: every server takes that many
    private static final int RECIPIENTS_PER_TRANSACTION = 100;
    private static final int BLOCKING_THREADS = 8;
    /** Of which each service has two at most. */
    private static final int REVOCATION_THREADS = 32;

    private static final int MOST_TLS_THREADS = 128;
    private static final Duration SWEEP = Duration.ofMillis(250);
    private static final Duration CLOSE_LIMIT = Duration.ofSeconds(5);
    private static final Duration TICK = Duration.ofMinutes(1);
    /** What became due while nobody ran need not wait as long. */
    private static final Duration FIRST_TICK = Duration.ofSeconds(5);

    private final NioEventLoopGroup eventLoops;
    private final ThreadPoolExecutor contentThreads;
    private final ForkJoinPool tlsThreads;
    private final ThreadPoolExecutor revocationThreads;
    private final NextHopResolver resolver;
    private final DestinationTrust trust;
    private final HopHealth health;
    private final ConnectionPool pool;
    private final Duration addressPatience;

    @SuppressWarnings("FutureReturnValueIgnored") // the sweep runs as long as the event loops do
    public PooledSmtpTransport(DeliveryConfig config) {
        this.eventLoops = new NioEventLoopGroup(config.ioThreads(), threads("io"));
        this.contentThreads = blocking("content", BLOCKING_THREADS);
        this.tlsThreads = replacing("tls");
        this.revocationThreads = blocking("revocation", REVOCATION_THREADS);
        TlsClients tls = new TlsClients(
                config.tlsProtocols(),
                revocationThreads,
                config.revocationLimit(),
                config.webAuthorities(),
                config.clock());
        SmtpDialer dialer = new SmtpDialer(
                eventLoops,
                tls,
                tlsThreads,
                contentThreads,
                config.timeouts(),
                config.heloName(),
                config.sourceAddress());
        DnsLookup dns = DnsLookup.of(config, eventLoops, contentThreads);
        this.resolver = new NextHopResolver(config, dns, new Random());
        this.trust = DestinationTrust.of(config, dns, resolver, tls, eventLoops, tlsThreads, contentThreads);
        this.health = new HopHealth(config.clock());
        this.addressPatience = config.addressPatience();
        this.pool = new ConnectionPool(
                dialer::open, health, config.timeouts().freeConnection(), config.connectionAge(), config.clock());
        eventLoops
                .next()
                .scheduleWithFixedDelay(
                        () -> contentThreads.execute(trust::tick),
                        FIRST_TICK.toSeconds(),
                        TICK.toSeconds(),
                        TimeUnit.SECONDS);
        eventLoops
                .next()
                .scheduleWithFixedDelay(pool::sweep, SWEEP.toMillis(), SWEEP.toMillis(), TimeUnit.MILLISECONDS);
    }

    private static ThreadPoolExecutor blocking(String purpose, int most) {
        ThreadPoolExecutor executor =
                new ThreadPoolExecutor(most, most, 10, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), threads(purpose));
        executor.allowCoreThreadTimeOut(true);
        return executor;
    }

    /** Threads of which one that waits for a {@link CompletableFuture} is replaced while it does, up to a bound. */
    private static ForkJoinPool replacing(String purpose) {
        AtomicInteger number = new AtomicInteger();
        return new ForkJoinPool(
                BLOCKING_THREADS,
                pool -> {
                    ForkJoinWorkerThread thread = new ForkJoinWorkerThread(pool) {};
                    thread.setName("mailflow-delivery-" + purpose + "-" + number.getAndIncrement());
                    return thread;
                },
                null,
                true,
                BLOCKING_THREADS,
                MOST_TLS_THREADS,
                BLOCKING_THREADS,
                // beyond the bound they wait like any other thread
                pool -> true,
                10,
                TimeUnit.SECONDS);
    }

    private static ThreadFactory threads(String purpose) {
        return new ThreadFactoryBuilder()
                .setNameFormat("mailflow-delivery-" + purpose + "-%d")
                .setDaemon(true)
                .build();
    }

    @Override
    public CompletionStage<DeliveryReport> send(
            OutboundConnector connector, TlsRequirement effectiveTls, OutboundMessage message) {
        if (message.requiresTlsOfNextHop() && effectiveTls.level() == TlsLevel.NONE) {
            return all(
                    message,
                    new RecipientOutcome.Failed(
                            "5.7.30",
                            "REQUIRETLS support required: connector '" + connector.name() + "' forbids TLS",
                            Optional.empty(),
                            Optional.empty()));
        }
        return prepareAndSend(connector, asked(effectiveTls, message), message);
    }

    /**
     * REQUIRETLS asks for an authenticated next hop (RFC 8689 section 4.2.1), by what its owner has published or else by
     * name: which of them is known when it is its turn. A report with a null sender would be lost for want of one, and is
     * only kept from plaintext.
     */
    private static TlsRequirement asked(TlsRequirement tls, OutboundMessage message) {
        if (message.requiresTlsOfNextHop()) {
            return tls.level().compareTo(TlsLevel.DOMAIN) >= 0
                    ? tls
                    : tls.atLeastEncrypt().heeding(true, true);
        }
        if (message.requestedTls() == RequestedTls.OPTIONAL) {
            // RFC 8689 section 5: what the domain publishes does not stop it; what the connector promises is kept
            return tls.heeding(false, false);
        }
        return message.requestedTls() == RequestedTls.REQUIRED && tls.level() != TlsLevel.NONE
                ? tls.atLeastEncrypt()
                : tls;
    }

    private CompletionStage<DeliveryReport> prepareAndSend(
            OutboundConnector connector, TlsRequirement tls, OutboundMessage message) {
        PreparedContent content;
        try {
            content = PreparedContent.read(message.content());
        } catch (IOException | RuntimeException e) {
            return allDeferred(message, "4.3.0", "the message cannot be read: " + e);
        }
        Map<MailAddress, RecipientOutcome> outcomes = new ConcurrentHashMap<>();
        List<CompletableFuture<Void>> parts = new ArrayList<>();
        groups(connector, message).forEach((domain, recipients) -> {
            CompletionStage<Resolution<Target>> where = connector.nextHops() instanceof NextHops.SmartHosts smartHosts
                    ? CompletableFuture.completedFuture(new Resolution.Found<>(resolver.order(smartHosts)))
                    : resolver.mx(domain.orElseThrow());
            for (int from = 0; from < recipients.size(); from += RECIPIENTS_PER_TRANSACTION) {
                List<OutboundRecipient> part =
                        recipients.subList(from, Math.min(recipients.size(), from + RECIPIENTS_PER_TRANSACTION));
                HopByHop delivery = new HopByHop(
                        connector,
                        tls,
                        message,
                        part,
                        content,
                        resolver,
                        trust,
                        health,
                        pool,
                        eventLoops,
                        addressPatience,
                        outcomes);
                parts.add(where.thenCompose(delivery::run).toCompletableFuture());
            }
        });
        return CompletableFuture.allOf(parts.toArray(CompletableFuture[]::new)).handle((done, thrown) -> {
            Map<MailAddress, RecipientOutcome> ordered = new LinkedHashMap<>();
            message.recipients()
                    .forEach(recipient -> ordered.put(
                            recipient.address(),
                            Optional.ofNullable(outcomes.get(recipient.address()))
                                    .orElseGet(() -> deferred("4.3.0", "internal error: " + thrown))));
            return new DeliveryReport(ordered);
        });
    }

    private static Map<Optional<Domain>, List<OutboundRecipient>> groups(
            OutboundConnector connector, OutboundMessage message) {
        boolean byDomain = connector.nextHops() instanceof NextHops.UseMx;
        Map<MailAddress, OutboundRecipient> distinct = new LinkedHashMap<>();
        message.recipients().forEach(recipient -> distinct.putIfAbsent(recipient.address(), recipient));
        Map<Optional<Domain>, List<OutboundRecipient>> groups = new LinkedHashMap<>();
        distinct.values().forEach(recipient -> groups.computeIfAbsent(
                        byDomain ? Optional.of(recipient.address().getDomain()) : Optional.empty(),
                        domain -> new ArrayList<>())
                .add(recipient));
        return groups;
    }

    private static CompletionStage<DeliveryReport> allDeferred(OutboundMessage message, String status, String reason) {
        return all(message, deferred(status, reason));
    }

    private static CompletionStage<DeliveryReport> all(OutboundMessage message, RecipientOutcome outcome) {
        Map<MailAddress, RecipientOutcome> outcomes = new LinkedHashMap<>();
        message.recipients().forEach(recipient -> outcomes.put(recipient.address(), outcome));
        return CompletableFuture.completedFuture(new DeliveryReport(outcomes));
    }

    private static RecipientOutcome deferred(String status, String reason) {
        return new RecipientOutcome.Deferred(status, reason, Optional.empty(), Optional.empty());
    }

    /** How many connections are open or being opened. */
    public int connections() {
        return pool.connections();
    }

    /** Looks after what was published by destinations, and sends the TLS reports that are due; otherwise done every minute. */
    void tick() {
        trust.tick();
    }

    @Override
    public void close() {
        trust.close();
        pool.close();
        pool.abandon(new HopFailure(
                HopFailure.Kind.BUSY, "4.3.2", "delivery is shutting down", Optional.empty(), Optional.empty()));
        eventLoops
                .shutdownGracefully(0, CLOSE_LIMIT.toMillis(), TimeUnit.MILLISECONDS)
                .awaitUninterruptibly(2 * CLOSE_LIMIT.toMillis());
        for (ExecutorService each : List.of(contentThreads, tlsThreads, revocationThreads)) {
            // what is still queued ends at once, because the pool is closed, and thus gets its outcome
            each.shutdown();
            if (!MoreExecutors.shutdownAndAwaitTermination(each, CLOSE_LIMIT)) {
                LOGGER.warn("Threads are still busy after {}", CLOSE_LIMIT);
            }
        }
    }
}
