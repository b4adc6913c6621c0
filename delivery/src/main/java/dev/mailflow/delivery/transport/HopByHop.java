/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import java.net.InetAddress;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Consumer;

import org.apache.james.core.MailAddress;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.OutboundRecipient;
import dev.mailflow.delivery.RecipientOutcome;
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
import dev.mailflow.policy.connector.NextHops;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;

/**
 * Takes one message for one destination from next hop to next hop until each recipient has an outcome. What a next hop
 * has decided stands; recipients it said nothing about go on to the next one, unless it may already have the message.
 *
 * <p>Steps follow each other, never overlap; each may run on another thread.
 */
final class HopByHop {
    private static final Logger LOGGER = LoggerFactory.getLogger(HopByHop.class);
    private static final int MOST_ADDRESSES = 10;

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

    private final Deque<Target> targets = new ArrayDeque<>();
    private final Deque<InetAddress> addresses = new ArrayDeque<>();
    private DestinationTrust.Go held = DestinationTrust.Go.FREELY;
    private int tried;
    private Optional<HopFailure> clearest = Optional.empty();
    private boolean anotherTimeMayDo;
    private Optional<RecipientOutcome> notResolved = Optional.empty();

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
        this.outcomes = outcomes;
    }

    /** Completes when every recipient has its outcome. */
    CompletionStage<Void> run(Resolution<Target> where) {
        if (where instanceof Resolution.Nowhere<Target> nowhere) {
            settleRemaining(nowhere.outcome());
        } else {
            targets.addAll(where.choices());
            nextTarget();
        }
        return done;
    }

    private void nextTarget() {
        if (targets.isEmpty() || tried >= MOST_ADDRESSES) {
            settleRemaining(clearest.map(this::outcome)
                    .or(() -> notResolved)
                    .orElseGet(() -> new RecipientOutcome.Deferred(
                            "4.4.4",
                            "connector '" + connector.name() + "' has no next hop",
                            Optional.empty(),
                            Optional.empty())));
            return;
        }
        Target target = targets.poll();
        guarded(trust.of(connector, tls, target), verdict -> {
            if (verdict instanceof DestinationTrust.Go go) {
                held = go;
                lookUp(target, Family.IPV4);
            } else {
                consider(((DestinationTrust.Leave) verdict).failure());
                nextTarget();
            }
        });
    }

    private void lookUp(Target target, Family family) {
        guarded(resolver.addresses(target.host(), family), resolution -> {
            if (resolution instanceof Resolution.Nowhere<InetAddress> nowhere
                    && (family == Family.IPV4 || notResolved.isEmpty())) {
                notResolved = Optional.of(nowhere.outcome());
            }
            addresses.addAll(resolution.choices());
            nextAddress(target, family);
        });
    }

    private void nextAddress(Target target, Family family) {
        while (!addresses.isEmpty() && tried < MOST_ADDRESSES) {
            HopAddress hop = new HopAddress(target.host(), addresses.poll(), target.port());
            Optional<HopFailure> unhealthy = health.leaveAlone(hop);
            if (unhealthy.isEmpty()) {
                tried++;
                attempt(target, family, hop, false);
                return;
            }
            consider(unhealthy.get());
        }
        addresses.clear();
        if (family == Family.IPV4) {
            lookUp(target, Family.IPV6);
        } else {
            nextTarget();
        }
    }

    private void attempt(Target target, Family family, HopAddress hop, boolean fresh) {
        // only where it matters: a connection to a host may otherwise serve all domains the host is MX of
        Optional<PeerIdentity> identity = tls.level() == TlsLevel.DOMAIN
                ? tls.name().<PeerIdentity>map(PeerIdentity.OneOf::named).or(target::identity)
                : Optional.empty();
        SessionTerms terms = new SessionTerms(
                connector.name(), tls, identity, held.published(), connector.credentialsFor(message.sender()));
        boolean alone = connector.nextHops() instanceof NextHops.SmartHosts;
        pool.acquire(new ConnectionPool.Key(hop, terms), connector.limits(), fresh, alone)
                .whenComplete((lease, thrown) -> {
                    if (thrown == null) {
                        if (!lease.reused()) {
                            trust.connected(tls, target, held, hop, lease.connection());
                        }
                        guarded(
                                lease.connection().send(message, remaining, content),
                                result -> onResult(target, family, hop, lease, result));
                    } else {
                        HopFailure failure = HopFailure.of(thrown, Optional.of(hop.used()));
                        trust.notConnected(tls, target, held, hop, failure);
                        onFailure(target, family, failure);
                    }
                });
    }

    private void onResult(
            Target target, Family family, HopAddress hop, ConnectionPool.Lease lease, TransactionResult result) {
        lease.release();
        outcomes.putAll(result.settled());
        remaining.removeIf(recipient -> result.settled().containsKey(recipient.address()));
        if (result.failure().isEmpty() || remaining.isEmpty()) {
            settleRemaining(new RecipientOutcome.Deferred(
                    "4.3.0",
                    "no outcome",
                    Optional.empty(),
                    Optional.of(lease.connection().hop())));
            return;
        }
        HopFailure failure = result.failure().get();
        boolean stale = lease.reused()
                && (!result.replied()
                        || failure.reply().filter(reply -> reply.code() == 421).isPresent())
                && (failure.kind() == HopFailure.Kind.LOST || failure.kind() == HopFailure.Kind.REFUSED);
        if (stale) {
            LOGGER.debug("message={} nextHop={} reused connection was stale: {}", message.id(), hop, failure.reason());
            attempt(target, family, hop, true);
        } else {
            onFailure(target, family, failure);
        }
    }

    private void onFailure(Target target, Family family, HopFailure failure) {
        LOGGER.debug("message={} connector={} {}", message.id(), connector.name(), failure.reason());
        if (failure.mayTryNextHop()) {
            consider(failure);
            nextAddress(target, family);
        } else {
            settleRemaining(failure.asOutcome());
        }
    }

    private RecipientOutcome outcome(HopFailure failure) {
        return message.requiresTlsOfNextHop() && !anotherTimeMayDo
                ? new RecipientOutcome.Failed(
                        "5.7.30", "REQUIRETLS support required: " + failure.reason(), failure.reply(), failure.hop())
                : failure.asOutcome();
    }

    /** Where the connector itself demands TLS, its promise is kept as ever: the mail waits. */
    private boolean isForWantOfRequireTls(HopFailure failure) {
        return failure.kind() == HopFailure.Kind.REQUIRETLS
                || (failure.kind() == HopFailure.Kind.TLS && !tls.equals(connector.tls()));
    }

    private void consider(HopFailure failure) {
        anotherTimeMayDo |= !isForWantOfRequireTls(failure);
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
        stage.whenComplete((value, thrown) -> {
            if (thrown == null) {
                try {
                    next.accept(value);
                } catch (RuntimeException e) {
                    LOGGER.error("message={} connector={} internal error", message.id(), connector.name(), e);
                    done.completeExceptionally(e);
                }
            } else {
                LOGGER.error("message={} connector={} internal error", message.id(), connector.name(), thrown);
                done.completeExceptionally(thrown);
            }
        });
    }
}
