/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import java.net.InetAddress;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.common.base.Ticker;
import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;
import com.google.common.net.InetAddresses;

import dev.mailflow.delivery.DeliveryConfig;
import dev.mailflow.delivery.dane.DaneAnswer;
import dev.mailflow.delivery.dane.DaneLookup;
import dev.mailflow.delivery.https.HttpsClient;
import dev.mailflow.delivery.mtasts.StsAnswer;
import dev.mailflow.delivery.mtasts.StsPolicies;
import dev.mailflow.delivery.mtasts.StsPolicy;
import dev.mailflow.delivery.nexthop.DnsLookup;
import dev.mailflow.delivery.nexthop.NextHopResolver;
import dev.mailflow.delivery.nexthop.Target;
import dev.mailflow.delivery.smtp.HopAddress;
import dev.mailflow.delivery.smtp.HopFailure;
import dev.mailflow.delivery.smtp.HopFailure.Kind;
import dev.mailflow.delivery.smtp.SmtpConnection;
import dev.mailflow.delivery.state.StateFile;
import dev.mailflow.delivery.tls.PublishedTrust;
import dev.mailflow.delivery.tls.TlsClients;
import dev.mailflow.delivery.tls.TlsFault;
import dev.mailflow.delivery.tlsrpt.TlsReports;
import dev.mailflow.delivery.tlsrpt.TlsSession;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import io.netty.channel.EventLoopGroup;

/**
 * Decides what is held against a next hop besides the connector's level: its TLSA records, else the MTA-STS policy of the
 * mail domain, in the order of the delivery design. What a connector demands is never weakened by either. Tells TLS
 * reports how it went: of each connection once, however many messages it carries, under what was held against the host
 * and with the one fault that matters most. Where nothing may be connected to, that is told once a minute and not once a
 * message.
 *
 * <p>What an administrator sees when it says no: {@code event=deferred} with status 4.7.5 and the record, policy or
 * missing signature in the reason.
 */
public final class DestinationTrust {
    private static final Logger LOGGER = LoggerFactory.getLogger(DestinationTrust.class);
    private static final String NOT_ACCEPTED = "4.7.5";
    // RFC 8461 section 3.3 suggests a minute; mail is waiting
    private static final Duration HTTPS_LIMIT = Duration.ofSeconds(30);
    /** As long as this, mail that waits for the same reason stands for one session that did not come about. */
    private static final Duration SAME_ATTEMPT = Duration.ofMinutes(1);

    private static final int MOST_ATTEMPTS = 10_000;

    private final DaneLookup dane;
    private final StsPolicies policies;
    private final TlsClients tls;
    private final Executor tlsTasks;
    private final Optional<TlsReports> reports;
    private final List<TlsSession.Observer> observers;
    /** The sessions that lately did not come about, of those that have been told. */
    private final Cache<Missed, Boolean> told;

    /** What sessions that did not come about are told apart by. */
    private record Missed(String domain, Optional<String> mxHost, Optional<TlsFault> fault) {}

    /** @param tlsTasks judges certificates for reports, which may block */
    private DestinationTrust(
            DaneLookup dane,
            StsPolicies policies,
            TlsClients tls,
            Executor tlsTasks,
            Optional<TlsReports> reports,
            Optional<TlsSession.Observer> observer,
            Clock clock) {
        this.dane = dane;
        this.policies = policies;
        this.tls = tls;
        this.tlsTasks = tlsTasks;
        this.reports = reports;
        this.observers = Stream.concat(reports.stream(), observer.stream()).toList();
        this.told = CacheBuilder.newBuilder()
                .maximumSize(MOST_ATTEMPTS)
                .expireAfterWrite(SAME_ATTEMPT)
                .ticker(new Ticker() {
                    @Override
                    public long read() {
                        return TimeUnit.MILLISECONDS.toNanos(clock.millis());
                    }
                })
                .build();
    }

    /**
     * As delivery is configured.
     *
     * @param tlsTasks judges certificates, which may block
     * @param blocking reads and writes what is remembered, and mails reports
     */
    public static DestinationTrust of(
            DeliveryConfig config,
            DnsLookup dns,
            NextHopResolver resolver,
            TlsClients tls,
            EventLoopGroup eventLoops,
            Executor tlsTasks,
            Executor blocking) {
        TlsRequirement web = new TlsRequirement(
                TlsLevel.DOMAIN, Optional.empty(), config.webAuthorities(), Set.of(), Optional.empty());
        HttpsClient https = new HttpsClient(eventLoops, resolver, tls, tlsTasks, web, config.httpsPort(), HTTPS_LIMIT);
        StsPolicies policies = new StsPolicies(
                dns,
                https,
                new StateFile<>(
                        config.stateDirectory().map(directory -> directory.resolve("mta-sts.json")),
                        new StsPolicies.Memory(),
                        blocking),
                config.clock());
        Optional<TlsReports> reports = config.reports()
                .map(settings -> new TlsReports(
                        dns,
                        https,
                        settings,
                        new StateFile<>(
                                config.stateDirectory().map(directory -> directory.resolve("tls-reports.json")),
                                new TlsReports.Memory(),
                                blocking),
                        blocking,
                        config.clock()));
        return new DestinationTrust(
                new DaneLookup(dns), policies, tls, tlsTasks, reports, config.tlsObserver(), config.clock());
    }

    /** Whether and how a next hop may be used. */
    public sealed interface Verdict {}

    /**
     * It may.
     *
     * @param published what is held against it
     * @param policy for reports
     * @param doubt why its owner may have published more than can be told now; never when what is held authenticates it
     * @param fault what is wrong with what its owner has published, for reports on connections to it
     */
    public record Go(
            Optional<PublishedTrust> published,
            TlsSession.Policy policy,
            Optional<String> doubt,
            Optional<StsAnswer.Fault> fault)
            implements Verdict {
        static final Go FREELY = new Go(Optional.empty(), TlsSession.Policy.NONE, Optional.empty(), Optional.empty());
    }

    /** It may not, now. */
    public record Leave(HopFailure failure) implements Verdict {}

    /** What is held against a next hop of a connector. */
    public CompletionStage<Verdict> of(OutboundConnector connector, TlsRequirement requirement, Target target) {
        if (requirement.level() == TlsLevel.NONE || !(requirement.dane() || heedsSts(requirement, target))) {
            return CompletableFuture.completedFuture(Go.FREELY);
        }
        return requirement.dane()
                ? dane.ask(target).thenCompose(answer -> byDane(connector, requirement, target, answer))
                : bySts(target);
    }

    private static boolean heedsSts(TlsRequirement requirement, Target target) {
        return requirement.mtaSts() && !target.mailDomains().isEmpty();
    }

    private CompletionStage<Verdict> byDane(
            OutboundConnector connector, TlsRequirement requirement, Target target, DaneAnswer answer) {
        boolean demanded = requirement.level() == TlsLevel.DANE;
        String who = "TLS level 'dane' of connector '" + connector.name() + "' cannot be kept with '" + target.host()
                + "': ";
        if (answer instanceof DaneAnswer.Unknown unknown) {
            return leave(target, TlsSession.Policy.NONE, TlsFault.DNSSEC_INVALID, "DANE: " + unknown.reason());
        }
        if (answer instanceof DaneAnswer.Published published) {
            PublishedTrust.Dane trust = published.trust();
            TlsSession.Policy reported = new TlsSession.Policy("tlsa", published.records(), List.of());
            if (!trust.usable().isEmpty()) {
                return go(trust, reported, Optional.empty());
            }
            if (demanded) {
                return leave(
                        target,
                        reported,
                        TlsFault.DANE_REQUIRED,
                        who + "none of the TLSA records at '" + trust.owner() + "' is of a kind that counts for mail");
            }
            // the owner wants TLS; an MTA-STS policy may say more, and cannot say less
            return !heedsSts(requirement, target)
                    ? go(trust, reported, Optional.empty())
                    : bySts(target)
                            .thenCompose(verdict -> verdict instanceof Go go
                                            && !go.published()
                                                    .filter(PublishedTrust::enforced)
                                                    .isPresent()
                                    ? CompletableFuture.completedFuture(
                                            new Go(Optional.of(trust), reported, go.doubt(), go.fault()))
                                    : CompletableFuture.completedFuture(verdict));
        }
        String silence = ((DaneAnswer.Silent) answer).reason();
        if (demanded) {
            return leave(target, TlsSession.Policy.NONE, TlsFault.DANE_REQUIRED, who + silence);
        }
        LOGGER.debug("connector={} nextHop={} DANE has no say: {}", connector.name(), target.host(), silence);
        return heedsSts(requirement, target) ? bySts(target) : CompletableFuture.completedFuture(Go.FREELY);
    }

    private CompletionStage<Verdict> bySts(Target target) {
        String domain = target.mailDomains().get(0);
        return policies.ask(domain).thenCompose(answer -> bySts(target, domain, answer));
    }

    private CompletionStage<Verdict> bySts(Target target, String domain, StsAnswer answer) {
        Optional<StsPolicy> known = answer.policy().filter(each -> each.mode() != StsPolicy.Mode.NONE);
        if (known.isEmpty()) {
            return CompletableFuture.completedFuture(
                    new Go(Optional.empty(), TlsSession.Policy.NONE, answer.doubt(), answer.fault()));
        }
        StsPolicy policy = known.get();
        boolean enforced = policy.mode() == StsPolicy.Mode.ENFORCE;
        TlsSession.Policy reported = new TlsSession.Policy("sts", policy.lines(), policy.mx());
        if (policy.names(target.host())) {
            return go(new PublishedTrust.MtaSts(target.host(), enforced), reported, answer.fault());
        }
        String reason = "the MTA-STS policy of '" + domain + "' does not name MX host '" + target.host() + "', only "
                + String.join(", ", policy.mx());
        if (enforced) {
            return leave(target, reported, TlsFault.VALIDATION_FAILURE, reason);
        }
        return CompletableFuture.completedFuture(new Go(
                Optional.empty(),
                reported,
                Optional.empty(),
                Optional.of(new StsAnswer.Fault(TlsFault.VALIDATION_FAILURE, reason))));
    }

    private static CompletionStage<Verdict> go(
            PublishedTrust published, TlsSession.Policy policy, Optional<StsAnswer.Fault> fault) {
        return CompletableFuture.completedFuture(new Go(Optional.of(published), policy, Optional.empty(), fault));
    }

    private CompletionStage<Verdict> leave(Target target, TlsSession.Policy policy, TlsFault fault, String reason) {
        session(target, policy, Optional.empty(), Optional.empty(), Optional.of(fault), Optional.of(reason))
                .filter(session ->
                        told.asMap().putIfAbsent(new Missed(session.domain(), session.mxHost(), session.fault()), true)
                                == null)
                .ifPresent(this::observe);
        HopFailure failure =
                new HopFailure(Kind.TLS, NOT_ACCEPTED, reason, Optional.empty(), Optional.empty()).because(fault);
        // what cannot be told now may be told later
        return CompletableFuture.completedFuture(
                new Leave(fault == TlsFault.DNSSEC_INVALID ? failure : failure.forGood()));
    }

    /** A fresh connection is there. */
    void connected(TlsRequirement requirement, Target target, Go held, HopAddress hop, SmtpConnection connection) {
        if (observers.isEmpty() || !isReported(requirement)) {
            return;
        }
        if (connection.tlsSession().isEmpty()) {
            boolean offered = connection.capabilities().startTls();
            observe(
                    target,
                    held.policy(),
                    Optional.of(hop),
                    connection.ourAddress(),
                    Optional.of(offered ? TlsFault.VALIDATION_FAILURE : TlsFault.STARTTLS_NOT_SUPPORTED),
                    Optional.of(offered ? "the TLS handshake failed" : "STARTTLS is not offered"));
            return;
        }
        if (held.published().isPresent()
                && held.published().get() instanceof PublishedTrust.MtaSts sts
                && !sts.enforced()) {
            try {
                tlsTasks.execute(() -> {
                    Optional<StsAnswer.Fault> refused = tls.judge(
                                    connection.tlsSession().get(), sts)
                            .map(each -> new StsAnswer.Fault(each.fault(), each.getMessage()));
                    secured(target, held, hop, connection, refused.or(held::fault));
                });
            } catch (RejectedExecutionException e) {
                LOGGER.debug("Delivery is ending: one session less is counted", e);
            }
            return;
        }
        secured(target, held, hop, connection, held.fault());
    }

    private void secured(
            Target target, Go held, HopAddress hop, SmtpConnection connection, Optional<StsAnswer.Fault> fault) {
        observe(
                target,
                held.policy(),
                Optional.of(hop),
                connection.ourAddress(),
                fault.map(StsAnswer.Fault::kind),
                fault.map(StsAnswer.Fault::reason));
    }

    /** Who does not heed what destinations publish does not report on it either; nor do reports themselves. */
    private static boolean isReported(TlsRequirement requirement) {
        return requirement.level() != TlsLevel.NONE && (requirement.mtaSts() || requirement.dane());
    }

    /** There is no connection. */
    void notConnected(TlsRequirement requirement, Target target, Go held, HopAddress hop, HopFailure failure) {
        if (isReported(requirement) && failure.fault().isPresent()) {
            observe(
                    target,
                    held.policy(),
                    Optional.of(hop),
                    failure.ourAddress(),
                    failure.fault(),
                    Optional.of(failure.reason()));
        }
    }

    private void observe(
            Target target,
            TlsSession.Policy policy,
            Optional<HopAddress> hop,
            Optional<InetAddress> ourAddress,
            Optional<TlsFault> fault,
            Optional<String> detail) {
        session(target, policy, hop, ourAddress, fault, detail).ifPresent(this::observe);
    }

    private void observe(TlsSession session) {
        observers.forEach(each -> each.observe(session));
    }

    /** Empty: no mail domain wants to know. */
    private static Optional<TlsSession> session(
            Target target,
            TlsSession.Policy policy,
            Optional<HopAddress> hop,
            Optional<InetAddress> ourAddress,
            Optional<TlsFault> fault,
            Optional<String> detail) {
        return target.mailDomains().stream()
                .findFirst()
                .map(domain -> new TlsSession(
                        domain,
                        policy,
                        Optional.of(target.host()),
                        hop.map(each -> InetAddresses.toAddrString(each.address())),
                        ourAddress.map(InetAddresses::toAddrString),
                        fault,
                        detail));
    }

    /** To be called every minute; may block. */
    void tick() {
        try {
            policies.refresh();
            reports.ifPresent(TlsReports::tick);
        } catch (RuntimeException e) {
            LOGGER.error("MTA-STS policies or TLS reports could not be looked after", e);
        }
    }

    void close() {
        policies.close();
        reports.ifPresent(TlsReports::close);
    }
}
