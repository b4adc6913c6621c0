/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import java.net.InetAddress;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

import org.apache.james.core.MailAddress;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.common.util.concurrent.MoreExecutors;

import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.OutboundRecipient;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.nexthop.HostAddresses;
import dev.mailflow.delivery.nexthop.NextHopResolver;
import dev.mailflow.delivery.nexthop.NextHopResolver.Family;
import dev.mailflow.delivery.nexthop.Resolution;
import dev.mailflow.delivery.nexthop.Target;
import dev.mailflow.delivery.pool.ConnectionPool;
import dev.mailflow.delivery.pool.HopHealth;
import dev.mailflow.delivery.smtp.HopAddress;
import dev.mailflow.delivery.smtp.HopFailure;
import dev.mailflow.delivery.smtp.PreparedContent;
import dev.mailflow.delivery.smtp.SessionTerms;
import dev.mailflow.delivery.smtp.TransactionResult;
import dev.mailflow.delivery.tls.PeerIdentity;
import dev.mailflow.delivery.tls.PublishedTrust;
import dev.mailflow.delivery.tls.TlsFault;
import dev.mailflow.policy.connector.NextHops;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;

/**
 * Takes one message for one destination from next hop to next hop until each recipient has an outcome. What a next hop
 * has decided stands; recipients it said nothing about go on to the next one, unless it may already have the message. So do
 * those it refuses for now, at RCPT, DATA or the end of the content, when it takes the message for nobody: then it is more likely
 * the one in trouble than they are. Where it takes it for others they wait, and what it has taken is soon written down.
 *
 * <p>An address that takes no TCP connection within a short time is not waited for: the next one of the host, of the other
 * family if there is one, is tried beside it, and whoever is ready first gets the mail (RFC 8305, as far as it suits a
 * relay). The others never see more than a connection that is closed; while the race is on no mail transaction is.
 *
 * <p>Steps follow each other, never overlap; each may run on another thread.
 */
final class HopByHop {
    private static final Logger LOGGER = LoggerFactory.getLogger(HopByHop.class);
    private static final int MOST_ADDRESSES = 10;
    /** How many MX hosts of a domain are asked for the same recipients in one attempt, when each refuses them for now. */
    private static final int MOST_REFUSALS_BY_MX = 3;

    private final OutboundConnector connector;
    private final TlsRequirement tls;
    private final OutboundMessage message;
    private final List<OutboundRecipient> remaining;
    private final PreparedContent content;
    private final NextHopResolver resolver;
    private final DestinationTrust trust;
    private final HopHealth health;
    private final ConnectionPool pool;
    private final Map<MailAddress, RecipientOutcome> outcomes;
    private final CompletableFuture<Void> done = new CompletableFuture<>();

    private final ScheduledExecutorService timer;
    private final Duration patience;
    private final Executor serially = MoreExecutors.newSequentialExecutor(MoreExecutors.directExecutor());

    private final Deque<Target> targets = new ArrayDeque<>();
    /** Attempts at connections to the present target. */
    private final List<Attempt> running = new ArrayList<>();

    /** Changes with the present target: what was begun for another one must not go on with the addresses of this one. */
    private int visit;

    private HostAddresses addresses = HostAddresses.NONE;
    /** Whether any address of the present target is known. */
    private boolean addressKnown;
    /** Whether DNS did not tell all addresses of the present target. */
    private boolean lookUpFailed;

    private boolean ipv6Asked;
    private boolean ipv6Awaited;
    /** No connection is there yet to send on. */
    private boolean seeking;

    /** What the last next hop that was asked said of recipients. */
    private final Map<MailAddress, RecipientOutcome> refusedForNow = new HashMap<>();

    private int refusals;

    private DestinationTrust.Go held = DestinationTrust.Go.FREELY;
    private int tried;
    private Optional<HopFailure> clearest = Optional.empty();
    /** A next hop that might have taken the message, had there been a connection for it. */
    private Optional<HopFailure> turnedAway = Optional.empty();

    private boolean anotherTimeMayDo;
    /** Why a policy that is not known now may authenticate a next hop another time. */
    private Optional<String> doubt = Optional.empty();

    private Optional<RecipientOutcome> notResolved = Optional.empty();

    /** One address that is being connected to. */
    private record Attempt(Target target, HopAddress hop, ConnectionPool.Acquisition acquisition) {}

    /** @param patience how long an address has for taking a TCP connection before another one is tried beside it */
    HopByHop(
            OutboundConnector connector,
            TlsRequirement tls,
            OutboundMessage message,
            List<OutboundRecipient> recipients,
            PreparedContent content,
            NextHopResolver resolver,
            DestinationTrust trust,
            HopHealth health,
            ConnectionPool pool,
            ScheduledExecutorService timer,
            Duration patience,
            Map<MailAddress, RecipientOutcome> outcomes) {
        this.connector = connector;
        this.tls = tls;
        this.message = message;
        this.remaining = new ArrayList<>(recipients);
        this.content = content;
        this.resolver = resolver;
        this.trust = trust;
        this.health = health;
        this.pool = pool;
        this.timer = timer;
        this.patience = patience;
        this.outcomes = outcomes;
    }

    /** Completes when every recipient has its outcome. */
    CompletionStage<Void> run(Resolution<Target> where) {
        step(() -> {
            if (where instanceof Resolution.Nowhere<Target> nowhere) {
                settleRemaining(nowhere.outcome());
            } else {
                targets.addAll(where.choices());
                nextTarget();
            }
        });
        return done;
    }

    private void nextTarget() {
        // the address of a host none of whose addresses is known may be that of a next hop that keeps the promise
        anotherTimeMayDo |= lookUpFailed && !addressKnown;
        lookUpFailed = false;
        addressKnown = false;
        if (targets.isEmpty() || tried >= MOST_ADDRESSES) {
            giveUp();
            return;
        }
        Target target = targets.poll();
        visit++;
        guarded(resolver.loops(target), loop -> {
            if (loop.isPresent()) {
                // RFC 5321 section 5.1: from our own preference on, mail would come back to us
                targets.clear();
                notResolved = notResolved.or(() -> loop);
                nextTarget();
            } else {
                judge(target);
            }
        });
    }

    private void giveUp() {
        outcomes.putAll(refusedForNow);
        settleRemaining(clearest.map(this::outcome)
                .or(() -> notResolved)
                .orElseGet(() -> new RecipientOutcome.Deferred(
                        "4.4.4",
                        "connector '" + connector.name() + "' has no next hop",
                        Optional.empty(),
                        Optional.empty())));
    }

    private void judge(Target target) {
        guarded(trust.of(connector, tls, target), verdict -> {
            if (verdict instanceof DestinationTrust.Go go) {
                held = go;
                enter(target);
            } else {
                held = DestinationTrust.Go.FREELY;
                consider(((DestinationTrust.Leave) verdict).failure());
                nextTarget();
            }
        });
    }

    private void enter(Target target) {
        ipv6Asked = false;
        seeking = true;
        guarded(resolver.addresses(target.host(), Family.IPV4), resolution -> {
            note(resolution, Family.IPV4);
            addresses = HostAddresses.of(resolution.choices(), address -> health.isOutrun(hop(target, address)));
            if (addresses.hasPreferred()) {
                advance(target);
            } else {
                askForIpv6(target);
            }
        });
    }

    @SuppressWarnings("FutureReturnValueIgnored") // what it does once it is too late is nothing
    private void askForIpv6(Target target) {
        ipv6Asked = true;
        ipv6Awaited = true;
        int present = visit;
        guarded(resolver.addresses(target.host(), Family.IPV6), resolution -> {
            if (visit != present) {
                return;
            }
            ipv6Awaited = false;
            note(resolution, Family.IPV6);
            addresses = addresses.with(resolution.choices(), address -> health.isOutrun(hop(target, address)));
            if (seeking) {
                advance(target);
            }
        });
        // a name server that does not answer for AAAA records keeps nobody from the other addresses
        later(() -> {
            if (seeking && ipv6Awaited) {
                advance(target);
            }
        });
    }

    private void note(Resolution<InetAddress> resolution, Family family) {
        addressKnown |= !resolution.choices().isEmpty();
        if (resolution instanceof Resolution.Nowhere<InetAddress> nowhere) {
            lookUpFailed |= nowhere.outcome() instanceof RecipientOutcome.Deferred deferred
                    && deferred.enhancedStatus().equals(NextHopResolver.LOOKUP_FAILED);
            if (family == Family.IPV4 || notResolved.isEmpty()) {
                notResolved = Optional.of(nowhere.outcome());
            }
        }
    }

    private static HopAddress hop(Target target, InetAddress address) {
        return new HopAddress(target.host(), address, target.port());
    }

    /** Tries the next address of the target, or what comes after it if there is none and nothing is under way. */
    private void advance(Target target) {
        while (tried < MOST_ADDRESSES) {
            Optional<InetAddress> next = addresses.next();
            if (next.isEmpty()) {
                break;
            }
            HopAddress hop = hop(target, next.get());
            Optional<HopFailure> unhealthy = health.leaveAlone(hop);
            if (unhealthy.isEmpty()) {
                tried++;
                attempt(target, hop, false);
                return;
            }
            consider(unhealthy.get());
        }
        if (!ipv6Asked && tried < MOST_ADDRESSES) {
            askForIpv6(target);
        } else if (running.isEmpty() && !ipv6Awaited) {
            nextTarget();
        }
    }

    /** What is demanded of the present target. */
    private TlsRequirement demanded() {
        boolean byPublished =
                held.published().filter(PublishedTrust::authenticates).isPresent();
        return message.requiresTlsOfNextHop() && !byPublished ? tls.atLeastDomain() : tls;
    }

    private void attempt(Target target, HopAddress hop, boolean fresh) {
        TlsRequirement demanded = demanded();
        // only where it matters: a connection to a host may otherwise serve all domains the host is MX of
        Optional<PeerIdentity> identity = demanded.level() == TlsLevel.DOMAIN
                ? demanded.name().<PeerIdentity>map(PeerIdentity.OneOf::named).or(target::identity)
                : Optional.empty();
        SessionTerms terms = new SessionTerms(
                connector.name(), demanded, identity, held.published(), connector.credentialsFor(message.sender()));
        boolean alone = connector.nextHops() instanceof NextHops.SmartHosts;
        Attempt attempt = new Attempt(
                target, hop, pool.acquire(new ConnectionPool.Key(hop, terms), connector.limits(), fresh, alone));
        running.add(attempt);
        attempt.acquisition()
                .lease()
                .whenComplete((lease, thrown) -> step(() -> {
                    if (thrown == null) {
                        onLease(attempt, lease);
                    } else {
                        onNoLease(attempt, HopFailure.of(thrown, Optional.of(hop.used())));
                    }
                }));
        lookAgainAt(attempt);
    }

    /** Looks after a while whether the address has answered. */
    private void lookAgainAt(Attempt attempt) {
        if (attempt.acquisition().lease().toCompletableFuture().isDone()) {
            return;
        }
        Future<?> look = later(() -> {
            if (!running.contains(attempt)) {
                return;
            }
            if (!attempt.acquisition().isUnanswered()) {
                lookAgainAt(attempt);
            } else if (ipv6Asked) {
                advance(attempt.target());
            } else {
                askForIpv6(attempt.target());
            }
        });
        attempt.acquisition().lease().whenComplete((lease, thrown) -> look.cancel(false));
    }

    /** After the patience, if the target is still the same. */
    private Future<?> later(Runnable action) {
        int present = visit;
        try {
            return timer.schedule(
                    () -> step(() -> {
                        if (visit == present) {
                            action.run();
                        }
                    }),
                    patience.toMillis(),
                    TimeUnit.MILLISECONDS);
        } catch (RejectedExecutionException e) {
            LOGGER.debug("message={} delivery is ending", message.id(), e);
            return CompletableFuture.completedFuture(null);
        }
    }

    private void onLease(Attempt attempt, ConnectionPool.Lease lease) {
        if (!running.remove(attempt)) {
            // another address was ready before
            lease.release();
            return;
        }
        running.forEach(other -> {
            if (other.acquisition().isUnanswered()) {
                health.outrun(other.hop());
            }
            other.acquisition().withdraw();
        });
        running.clear();
        seeking = false;
        if (!lease.reused()) {
            trust.connected(tls, attempt.target(), held, attempt.hop(), lease.connection());
        }
        guarded(lease.connection().send(message, remaining, content), result -> onResult(attempt, lease, result));
    }

    private void onNoLease(Attempt attempt, HopFailure failure) {
        if (running.remove(attempt)) {
            trust.notConnected(tls, attempt.target(), held, attempt.hop(), failure);
            onFailure(attempt.target(), failure);
        }
    }

    private void onResult(Attempt attempt, ConnectionPool.Lease lease, TransactionResult result) {
        lease.release();
        boolean refused = keep(result);
        if (remaining.isEmpty()) {
            done.complete(null);
            return;
        }
        if (result.failure().isEmpty()) {
            onRefusal(attempt.target());
            return;
        }
        HopFailure failure = result.failure().get();
        boolean stale = lease.reused()
                && (!result.replied()
                        || failure.reply().filter(reply -> reply.code() == 421).isPresent())
                && (failure.kind() == HopFailure.Kind.LOST || failure.kind() == HopFailure.Kind.REFUSED);
        if (stale) {
            LOGGER.debug(
                    "message={} nextHop={} reused connection was stale: {}",
                    message.id(),
                    attempt.hop(),
                    failure.reason());
            attempt(attempt.target(), attempt.hop(), true);
        } else if (refused && failure.mayTryNextHop()) {
            consider(failure);
            onRefusal(attempt.target());
        } else {
            onFailure(attempt.target(), failure);
        }
    }

    /** @return whether recipients are left that the next hop has refused for now */
    private boolean keep(TransactionResult result) {
        boolean taken = result.settled().values().stream().anyMatch(RecipientOutcome.Delivered.class::isInstance)
                || result.failure().filter(failure -> !failure.mayTryNextHop()).isPresent();
        boolean refused = false;
        for (var settled : result.settled().entrySet()) {
            if (settled.getValue() instanceof RecipientOutcome.Deferred && !taken) {
                refusedForNow.put(settled.getKey(), settled.getValue());
                refused = true;
            } else {
                outcomes.put(settled.getKey(), settled.getValue());
                refusedForNow.remove(settled.getKey());
            }
        }
        remaining.removeIf(recipient -> outcomes.containsKey(recipient.address()));
        return refused;
    }

    /** Others may have room, or know the recipients. */
    private void onRefusal(Target target) {
        refusals++;
        if (connector.nextHops() instanceof NextHops.UseMx && refusals >= MOST_REFUSALS_BY_MX) {
            giveUp();
        } else {
            seeking = true;
            advance(target);
        }
    }

    private void onFailure(Target target, HopFailure failure) {
        LOGGER.debug("message={} connector={} {}", message.id(), connector.name(), failure.reason());
        if (failure.mayTryNextHop()) {
            consider(failure);
            seeking = true;
            advance(target);
        } else {
            settleRemaining(failure.asOutcome());
        }
    }

    private RecipientOutcome outcome(HopFailure worst) {
        // those that were not there say nothing of the one that was busy
        HopFailure failure =
                worst.kind().compareTo(HopFailure.Kind.UNREACHABLE) <= 0 ? turnedAway.orElse(worst) : worst;
        if (!message.requiresTlsOfNextHop()) {
            return failure.asOutcome();
        }
        if (!anotherTimeMayDo) {
            return new RecipientOutcome.Failed(
                    "5.7.30", "REQUIRETLS support required: " + failure.reason(), failure.reply(), failure.hop());
        }
        return doubt.map(why -> failure.with(failure.reason() + "; " + why))
                .orElse(failure)
                .asOutcome();
    }

    /** Whether the connector demands of every mail what the message demands. */
    private boolean isKeptByConnector() {
        return connector.tls().level().compareTo(TlsLevel.DOMAIN) >= 0;
    }

    /** Where the connector itself demands TLS, its promise is kept as ever: the mail waits. */
    private boolean isForWantOfRequireTls(HopFailure failure) {
        return failure.kind() == HopFailure.Kind.REQUIRETLS
                || (failure.kind() == HopFailure.Kind.TLS
                        && failure.lasting()
                        && !isKeptByConnector()
                        && !mayBeAuthenticatedLater(failure));
    }

    /** Whether a policy that cannot be had now may make the next hop good; without TLS none can. */
    private boolean mayBeAuthenticatedLater(HopFailure failure) {
        return held.doubt().isPresent() && !failure.fault().equals(Optional.of(TlsFault.STARTTLS_NOT_SUPPORTED));
    }

    private void consider(HopFailure failure) {
        anotherTimeMayDo |= !isForWantOfRequireTls(failure);
        if (failure.kind() == HopFailure.Kind.TLS && mayBeAuthenticatedLater(failure)) {
            doubt = held.doubt();
        }
        if (failure.kind() == HopFailure.Kind.BUSY) {
            turnedAway = Optional.of(failure);
        }
        if (clearest.isEmpty() || failure.kind().compareTo(clearest.get().kind()) >= 0) {
            clearest = Optional.of(failure);
        }
    }

    private void settleRemaining(RecipientOutcome outcome) {
        remaining.forEach(recipient -> outcomes.putIfAbsent(recipient.address(), outcome));
        remaining.clear();
        done.complete(null);
    }

    private <T> void guarded(CompletionStage<T> stage, Consumer<T> next) {
        stage.whenComplete((value, thrown) -> step(() -> {
            if (thrown == null) {
                next.accept(value);
            } else {
                broken(thrown);
            }
        }));
    }

    private void step(Runnable action) {
        serially.execute(() -> {
            try {
                action.run();
            } catch (RuntimeException e) {
                broken(e);
            }
        });
    }

    private void broken(Throwable thrown) {
        LOGGER.error("message={} connector={} internal error", message.id(), connector.name(), thrown);
        done.completeExceptionally(thrown);
    }
}
