/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.pool;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.BiFunction;

import dev.mailflow.delivery.smtp.HopAddress;
import dev.mailflow.delivery.smtp.HopFailure;
import dev.mailflow.delivery.smtp.SessionTerms;
import dev.mailflow.delivery.smtp.SmtpConnection;
import dev.mailflow.policy.connector.ConnectionLimits;

/**
 * Keeps connections for reuse and keeps within the limits of connectors.
 *
 * <p>A connection serves only messages that agree in next hop and {@link SessionTerms}. Every connection, from the
 * first attempt to connect until it is closed, holds a slot of its connector and of its destination (next hop address).
 * Who finds no slot waits; a slot that comes free goes round the waiting destinations in turn, so a destination with
 * many messages waits no shorter than one with few. While others wait, a connection passes from message to message
 * within its destination only {@link #TURN} times before its slot goes round.
 *
 * <p>Dead destinations are cheap: until a destination has answered once, one connection at a time is tried, and when
 * that fails everybody who waits for the destination is told so, instead of each trying again. A destination that
 * refuses a further connection while others to it are open is not used beyond those for {@link #CAPPED}.
 *
 * <p>Destinations that hang are no cheaper than dead ones. Where the mail of many destinations leaves by one queue, every
 * message that waits for one of them keeps another from being taken out of it. So when a destination has neither taken a
 * connection nor ended a message for {@link #STALLED}, no more messages wait for it than it may have connections; the rest
 * are told at once that it is busy.
 *
 * <p>One lock guards all state; nothing foreign runs under it: completions are collected and run after it is released.
 */
public final class ConnectionPool {
    static final int TURN = 20;
    static final Duration CAPPED = Duration.ofSeconds(30);
    static final Duration STALLED = Duration.ofSeconds(1);

    private final Object lock = new Object();
    private final Map<String, ConnectorSlots> connectors = new HashMap<>();
    private final BiFunction<HopAddress, SessionTerms, CompletionStage<SmtpConnection>> dialer;
    private final HopHealth health;
    private final Duration waitLimit;
    private final Duration ageLimit;
    private final Clock clock;
    private boolean shut;

    /**
     * @param dialer opens connections; fails with {@link HopFailure.HopFailureException} only
     * @param waitLimit who waits longer for a slot is told so
     * @param ageLimit older connections are not reused
     */
    public ConnectionPool(
            BiFunction<HopAddress, SessionTerms, CompletionStage<SmtpConnection>> dialer,
            HopHealth health,
            Duration waitLimit,
            Duration ageLimit,
            Clock clock) {
        this.dialer = dialer;
        this.health = health;
        this.waitLimit = waitLimit;
        this.ageLimit = ageLimit;
        this.clock = clock;
    }

    /** What connections are told apart by. */
    public record Key(HopAddress hop, SessionTerms terms) {}

    /** A connection that belongs to one message until {@link #release}. */
    public final class Lease {
        private final Slot slot;
        private final boolean reused;

        private Lease(Slot slot, boolean reused) {
            this.slot = slot;
            this.reused = reused;
        }

        public SmtpConnection connection() {
            return slot.connection;
        }

        /** Whether it has served another message before. */
        public boolean reused() {
            return reused;
        }

        /** Gives it back, to be reused if it may be. */
        public void release() {
            ConnectionPool.this.release(slot);
        }
    }

    private enum State {
        LEASED,
        IDLE,
        CLOSING
    }

    private static final class Slot {
        private final SmtpConnection connection;
        private final Key key;
        private final DestinationSlots destination;
        private final Instant opened;
        private State state = State.LEASED;
        private Instant idleSince;

        Slot(SmtpConnection connection, Key key, DestinationSlots destination, Instant now) {
            this.connection = connection;
            this.key = key;
            this.destination = destination;
            this.opened = now;
            this.idleSince = now;
        }
    }

    private record Waiter(Key key, boolean fresh, boolean patient, Instant since, CompletableFuture<Lease> lease) {}

    private static final class DestinationSlots {
        private final HopAddress hop;
        private final ConnectorSlots connector;
        private final Map<Key, ArrayDeque<Slot>> idle = new HashMap<>();
        private final ArrayDeque<Waiter> waiters = new ArrayDeque<>();
        private int open;
        private int connecting;
        private int closing;
        private boolean proven;
        // when it last took a connection or ended a message, or had nothing to do
        private Instant progress = Instant.MIN;
        private int cap = Integer.MAX_VALUE;
        private Instant capUntil = Instant.MIN;

        DestinationSlots(HopAddress hop, ConnectorSlots connector) {
            this.hop = hop;
            this.connector = connector;
        }
    }

    private static final class ConnectorSlots {
        private final String name;
        private final Map<HopAddress, DestinationSlots> destinations = new HashMap<>();
        // in turn; only destinations with waiters
        private final LinkedHashSet<DestinationSlots> waiting = new LinkedHashSet<>();
        // longest idle first
        private final LinkedHashSet<Slot> idle = new LinkedHashSet<>();
        private final Set<Slot> all = new HashSet<>();
        private ConnectionLimits limits;
        private int open;
        private int closing;

        ConnectorSlots(String name, ConnectionLimits limits) {
            this.name = name;
            this.limits = limits;
        }
    }

    /**
     * A connection for one message.
     *
     * @param fresh not a reused one
     * @param patient whether to wait for a destination that hangs: nobody else is kept waiting by it
     * @return fails with {@link HopFailure.HopFailureException} only
     */
    public CompletionStage<Lease> acquire(Key key, ConnectionLimits limits, boolean fresh, boolean patient) {
        CompletableFuture<Lease> lease = new CompletableFuture<>();
        List<Runnable> after = new ArrayList<>();
        synchronized (lock) {
            if (shut) {
                after.add(() -> lease.completeExceptionally(
                        busy(key.hop(), "delivery is shutting down").asException()));
            } else {
                ConnectorSlots connector =
                        connectors.computeIfAbsent(key.terms().connector(), name -> new ConnectorSlots(name, limits));
                connector.limits = limits;
                DestinationSlots destination =
                        connector.destinations.computeIfAbsent(key.hop(), hop -> new DestinationSlots(hop, connector));
                Instant now = clock.instant();
                Waiter waiter = new Waiter(key, fresh, patient, now, lease);
                if (destination.open == 0) {
                    destination.progress = now;
                }
                Optional<Slot> idle =
                        fresh || !destination.waiters.isEmpty() ? Optional.empty() : takeIdle(destination, key, after);
                if (idle.isPresent()) {
                    destination.progress = now;
                    give(idle.get(), waiter, true, after);
                } else if (!patient && isCrowded(destination, now)) {
                    after.add(() ->
                            lease.completeExceptionally(stalled(destination).asException()));
                } else {
                    destination.waiters.add(waiter);
                    connector.waiting.add(destination);
                    dispatch(connector, after);
                }
            }
        }
        after.forEach(Runnable::run);
        return lease;
    }

    /** Whether it hangs and enough messages wait for it. */
    private static boolean isCrowded(DestinationSlots destination, Instant now) {
        return destination.waiters.size() >= destination.connector.limits.perDestination()
                && !now.isBefore(destination.progress.plus(STALLED));
    }

    private static HopFailure stalled(DestinationSlots destination) {
        return busy(
                destination.hop,
                destination.hop + " has made no progress for " + STALLED.toSeconds()
                        + " s or more, and enough mail waits for it");
    }

    private Optional<Slot> takeIdle(DestinationSlots destination, Key key, List<Runnable> after) {
        ArrayDeque<Slot> candidates = destination.idle.get(key);
        while (candidates != null) {
            Slot slot = candidates.peekLast();
            if (slot == null) {
                return Optional.empty();
            }
            removeIdle(slot);
            if (mayServe(slot)) {
                return Optional.of(slot);
            }
            shutDown(slot, after);
            candidates = destination.idle.get(key);
        }
        return Optional.empty();
    }

    private boolean mayServe(Slot slot) {
        ConnectionLimits limits = slot.destination.connector.limits;
        return slot.connection.isReusable()
                && slot.connection.messages() < limits.messagesPerConnection()
                && clock.instant().isBefore(slot.opened.plus(ageLimit));
    }

    private void removeIdle(Slot slot) {
        DestinationSlots destination = slot.destination;
        destination.connector.idle.remove(slot);
        ArrayDeque<Slot> same = destination.idle.get(slot.key);
        if (same != null) {
            same.remove(slot);
            if (same.isEmpty()) {
                destination.idle.remove(slot.key);
            }
        }
    }

    private void give(Slot slot, Waiter waiter, boolean reused, List<Runnable> after) {
        slot.state = State.LEASED;
        after.add(() -> waiter.lease().complete(new Lease(slot, reused)));
    }

    private void shutDown(Slot slot, List<Runnable> after) {
        slot.state = State.CLOSING;
        slot.destination.closing++;
        slot.destination.connector.closing++;
        after.add(slot.connection::quit);
    }

    private void dispatch(ConnectorSlots connector, List<Runnable> after) {
        while (true) {
            // At most as many destinations are passed over as have connections, so this does not grow with the waiting.
            Optional<DestinationSlots> turn =
                    connector.waiting.stream().filter(this::mayConnect).findFirst();
            if (turn.isEmpty()) {
                connector.waiting.stream()
                        .filter(destination -> destination.open >= connector.limits.perDestination())
                        .forEach(destination -> makeRoom(
                                destination.idle.values().stream()
                                        .flatMap(ArrayDeque::stream)
                                        .toList(),
                                destination.closing,
                                after));
                return;
            }
            if (connector.open >= connector.limits.connections()) {
                makeRoom(connector.idle, connector.closing, after);
                return;
            }
            DestinationSlots destination = turn.get();
            connector.waiting.remove(destination);
            connect(destination, destination.waiters.poll(), after);
            if (!destination.waiters.isEmpty()) {
                connector.waiting.add(destination);
            }
        }
    }

    private void makeRoom(Iterable<Slot> idle, int alreadyClosing, List<Runnable> after) {
        Iterator<Slot> longestIdle = idle.iterator();
        if (alreadyClosing == 0 && longestIdle.hasNext()) {
            Slot slot = longestIdle.next();
            removeIdle(slot);
            shutDown(slot, after);
        }
    }

    private boolean mayConnect(DestinationSlots destination) {
        ConnectionLimits limits = destination.connector.limits;
        int most = clock.instant().isBefore(destination.capUntil)
                ? Math.min(destination.cap, limits.perDestination())
                : limits.perDestination();
        return !destination.waiters.isEmpty()
                && destination.open < most
                && (destination.proven || destination.connecting == 0);
    }

    private void connect(DestinationSlots destination, Waiter waiter, List<Runnable> after) {
        destination.open++;
        destination.connecting++;
        destination.connector.open++;
        after.add(() -> dialer.apply(destination.hop, waiter.key().terms()).whenComplete((connection, thrown) -> {
            if (thrown == null) {
                connected(destination, waiter, connection);
            } else {
                notConnected(destination, waiter, HopFailure.of(thrown, Optional.of(destination.hop.used())));
            }
        }));
    }

    private void connected(DestinationSlots destination, Waiter waiter, SmtpConnection connection) {
        health.succeeded(destination.hop);
        List<Runnable> after = new ArrayList<>();
        Slot slot;
        synchronized (lock) {
            destination.connecting--;
            destination.proven = true;
            destination.progress = clock.instant();
            slot = new Slot(connection, waiter.key(), destination, clock.instant());
            destination.connector.all.add(slot);
            if (shut) {
                shutDown(slot, after);
                after.add(() -> waiter.lease()
                        .completeExceptionally(busy(destination.hop, "delivery is shutting down")
                                .asException()));
            } else {
                give(slot, waiter, false, after);
                dispatch(destination.connector, after);
            }
        }
        connection.closed().thenRun(() -> gone(slot));
        after.forEach(Runnable::run);
    }

    private void notConnected(DestinationSlots destination, Waiter waiter, HopFailure failure) {
        boolean down = failure.kind() == HopFailure.Kind.UNREACHABLE || failure.kind() == HopFailure.Kind.LOST;
        List<Runnable> after = new ArrayList<>();
        synchronized (lock) {
            destination.connecting--;
            destination.open--;
            destination.connector.open--;
            int established = destination.open - destination.connecting;
            if (established > 0 && destination.proven && !shut && (down || failure.kind() == HopFailure.Kind.REFUSED)) {
                // it takes no more than these: wait for one of them
                destination.cap = established;
                destination.capUntil = clock.instant().plus(CAPPED);
                destination.waiters.addFirst(waiter);
                destination.connector.waiting.add(destination);
                serveFromIdle(destination, after);
            } else {
                destination.proven = false;
                after.add(() -> waiter.lease().completeExceptionally(failure.asException()));
                if (down) {
                    health.failed(destination.hop, failure);
                    destination.waiters.forEach(
                            other -> after.add(() -> other.lease().completeExceptionally(failure.asException())));
                    destination.waiters.clear();
                    destination.connector.waiting.remove(destination);
                }
            }
            dispatch(destination.connector, after);
            tidy(destination);
        }
        after.forEach(Runnable::run);
    }

    private void serveFromIdle(DestinationSlots destination, List<Runnable> after) {
        Waiter head = destination.waiters.peek();
        while (head != null && !head.fresh()) {
            Optional<Slot> idle = takeIdle(destination, head.key(), after);
            if (idle.isEmpty()) {
                break;
            }
            destination.waiters.poll();
            give(idle.get(), head, true, after);
            head = destination.waiters.peek();
        }
        if (destination.waiters.isEmpty()) {
            destination.connector.waiting.remove(destination);
        }
    }

    private void release(Slot slot) {
        List<Runnable> after = new ArrayList<>();
        synchronized (lock) {
            if (slot.state != State.LEASED) {
                return;
            }
            DestinationSlots destination = slot.destination;
            ConnectorSlots connector = destination.connector;
            destination.progress = clock.instant();
            boolean othersWait = connector.waiting.size() > (destination.waiters.isEmpty() ? 0 : 1);
            boolean turnOver = othersWait
                    && connector.open >= connector.limits.connections()
                    && slot.connection.messages() % TURN == 0;
            if (shut || turnOver || !mayServe(slot)) {
                shutDown(slot, after);
            } else {
                slot.state = State.IDLE;
                slot.idleSince = clock.instant();
                destination
                        .idle
                        .computeIfAbsent(slot.key, key -> new ArrayDeque<>())
                        .add(slot);
                connector.idle.add(slot);
                serveFromIdle(destination, after);
                dispatch(connector, after);
            }
        }
        after.forEach(Runnable::run);
    }

    private void gone(Slot slot) {
        List<Runnable> after = new ArrayList<>();
        synchronized (lock) {
            DestinationSlots destination = slot.destination;
            ConnectorSlots connector = destination.connector;
            if (!connector.all.remove(slot)) {
                return;
            }
            switch (slot.state) {
                case IDLE -> removeIdle(slot);
                case CLOSING -> {
                    destination.closing--;
                    connector.closing--;
                }
                case LEASED -> {}
            }
            slot.state = State.CLOSING;
            destination.open--;
            connector.open--;
            dispatch(connector, after);
            tidy(destination);
        }
        after.forEach(Runnable::run);
    }

    private void tidy(DestinationSlots destination) {
        ConnectorSlots connector = destination.connector;
        if (destination.open == 0 && destination.waiters.isEmpty()) {
            connector.destinations.remove(destination.hop, destination);
            if (connector.destinations.isEmpty()) {
                connectors.remove(connector.name, connector);
            }
        }
    }

    /** To be called every now and then: closes what has been idle too long, ends waits that are too long. */
    public void sweep() {
        health.forgetOld();
        List<Runnable> after = new ArrayList<>();
        Instant now = clock.instant();
        synchronized (lock) {
            for (ConnectorSlots connector : List.copyOf(connectors.values())) {
                Instant idleLimit = now.minus(connector.limits.idle());
                for (Slot slot : List.copyOf(connector.idle)) {
                    if (!slot.idleSince.isAfter(idleLimit)) {
                        removeIdle(slot);
                        shutDown(slot, after);
                    }
                }
                Instant waitedSince = now.minus(waitLimit);
                for (DestinationSlots destination : List.copyOf(connector.waiting)) {
                    while (!destination.waiters.isEmpty()
                            && !destination.waiters.peek().since().isAfter(waitedSince)) {
                        Waiter late = destination.waiters.poll();
                        after.add(() -> late.lease()
                                .completeExceptionally(busy(
                                                destination.hop,
                                                "no connection of connector '" + connector.name + "' to "
                                                        + destination.hop + " came free within "
                                                        + waitLimit.toSeconds() + " s (limits: "
                                                        + connector.limits.connections() + " connections, "
                                                        + connector.limits.perDestination() + " per destination)")
                                        .asException()));
                    }
                    while (isCrowded(destination, now)
                            && destination.waiters.size() > connector.limits.perDestination()
                            && !destination.waiters.peekLast().patient()) {
                        Waiter last = destination.waiters.pollLast();
                        after.add(() -> last.lease()
                                .completeExceptionally(stalled(destination).asException()));
                    }
                    if (destination.waiters.isEmpty()) {
                        connector.waiting.remove(destination);
                    }
                    tidy(destination);
                }
                dispatch(connector, after);
            }
        }
        after.forEach(Runnable::run);
    }

    /** Ends all waits, closes idle connections; those in use are closed when they are given back. */
    public void close() {
        List<Runnable> after = new ArrayList<>();
        synchronized (lock) {
            shut = true;
            for (ConnectorSlots connector : connectors.values()) {
                for (DestinationSlots destination : connector.waiting) {
                    destination.waiters.forEach(waiter -> after.add(() -> waiter.lease()
                            .completeExceptionally(busy(destination.hop, "delivery is shutting down")
                                    .asException())));
                    destination.waiters.clear();
                }
                connector.waiting.clear();
                for (Slot slot : List.copyOf(connector.idle)) {
                    removeIdle(slot);
                    shutDown(slot, after);
                }
            }
        }
        after.forEach(Runnable::run);
    }

    /** Ends the connections that are still in use. */
    public void abandon(HopFailure reason) {
        List<SmtpConnection> inUse;
        synchronized (lock) {
            inUse = connectors.values().stream()
                    .flatMap(connector -> connector.all.stream())
                    .map(slot -> slot.connection)
                    .toList();
        }
        inUse.forEach(connection -> connection.close(reason));
    }

    /** How many connections there are, those being opened included. */
    public int connections() {
        synchronized (lock) {
            return connectors.values().stream()
                    .mapToInt(connector -> connector.open)
                    .sum();
        }
    }

    private static HopFailure busy(HopAddress hop, String reason) {
        return new HopFailure(HopFailure.Kind.BUSY, "4.4.5", reason, Optional.empty(), Optional.of(hop.used()));
    }
}
