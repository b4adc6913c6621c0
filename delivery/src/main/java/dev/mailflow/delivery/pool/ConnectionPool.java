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
 * message that waits for one of them keeps another from being taken out of it. So when a destination takes no connection, or
 * has neither said anything nor taken a part of a message on any of them for {@link #HANGS}, no more messages wait for it than
 * it may have connections; the rest are told at once that it is busy. One that is only slow is waited for, but when nothing has
 * come of it for {@link #STALLED} no more than {@link #MOST_WAITING_FOR_SLOW} messages wait for all such together.
 *
 * <p>Nor do many destinations that hang keep others from theirs. What has not been answered for {@link #LATE} while it is being
 * opened, or for {@link #HUNG} while it carries a message, holds no slot of its connector until it is; when it is answered
 * after all, the connector has for a while more connections than it may have, and opens no others. And destinations that
 * have not taken a message yet share three quarters of the slots: the rest is for those that have.
 *
 * <p>One lock guards all state; nothing foreign runs under it: completions are collected and run after it is released.
 */
public final class ConnectionPool {
    static final int TURN = 20;
    static final Duration CAPPED = Duration.ofSeconds(30);
    static final Duration STALLED = Duration.ofSeconds(1);
    static final Duration HANGS = Duration.ofMinutes(1);
    static final Duration LATE = Duration.ofSeconds(1);
    static final Duration HUNG = Duration.ofSeconds(2);
    /** How many connections of a connector may hang without holding a slot. */
    private static final int MOST_LATE = 1000;
    /** Few enough to leave the queue room for others, and enough for a slow destination to have its next message at hand. */
    private static final int MOST_WAITING_FOR_SLOW = 100;

    private final Object lock = new Object();
    private final Map<String, ConnectorSlots> connectors = new HashMap<>();
    private final Dialer dialer;
    private final HopHealth health;
    private final Duration waitLimit;
    private final Duration ageLimit;
    private final Clock clock;
    private boolean shut;

    /**
     * @param waitLimit who waits longer for a slot is told so
     * @param ageLimit older connections are not reused
     */
    public ConnectionPool(Dialer dialer, HopHealth health, Duration waitLimit, Duration ageLimit, Clock clock) {
        this.dialer = dialer;
        this.health = health;
        this.waitLimit = waitLimit;
        this.ageLimit = ageLimit;
        this.clock = clock;
    }

    /** Opens connections. */
    @FunctionalInterface
    public interface Dialer {
        /**
         * @param answered is run when the peer has taken the TCP connection, on any thread
         * @return fails with {@link HopFailure.HopFailureException} only
         */
        CompletionStage<SmtpConnection> open(HopAddress hop, SessionTerms terms, Runnable answered);
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

    /** The wait for a {@link Lease}. */
    public final class Acquisition {
        private final Waiter waiter;
        private final DestinationSlots destination;

        private Acquisition(Waiter waiter, DestinationSlots destination) {
            this.waiter = waiter;
            this.destination = destination;
        }

        /** Fails with {@link HopFailure.HopFailureException} only. */
        public CompletionStage<Lease> lease() {
            return waiter.lease();
        }

        /** Whether it waits because the address has taken no TCP connection yet, not because of limits. */
        public boolean isUnanswered() {
            synchronized (lock) {
                return !waiter.lease().isDone()
                        && destination.unanswered > 0
                        && destination.unanswered == destination.open;
            }
        }

        /**
         * Ends the wait. A lease that is on its way comes all the same, and must be released; a connection that is being
         * opened is closed when it is open, unless somebody else waits for it.
         */
        public void withdraw() {
            synchronized (lock) {
                waiter.withdrawn = true;
                if (destination.waiters.remove(waiter) && destination.waiters.isEmpty()) {
                    destination.connector.noLongerWaiting(destination);
                }
                tidy(destination);
            }
        }
    }

    /** What holds a slot of its destination and, unless it is late, of its connector. */
    private static class Held {
        final DestinationSlots destination;
        Instant progress;
        boolean late;

        Held(DestinationSlots destination, Instant now) {
            this.destination = destination;
            this.progress = now;
        }
    }

    /** A connection that is being opened. */
    private static final class Opening extends Held {
        private boolean answered;

        Opening(DestinationSlots destination, Instant now) {
            super(destination, now);
        }
    }

    private static final class Slot extends Held {
        private final SmtpConnection connection;
        private final Key key;
        private final Instant opened;
        private State state = State.LEASED;
        private Instant idleSince;
        private long progressSeen;

        Slot(SmtpConnection connection, Key key, DestinationSlots destination, Instant now) {
            super(destination, now);
            this.connection = connection;
            this.key = key;
            this.opened = now;
            this.idleSince = now;
        }
    }

    private static final class Waiter {
        private final Key key;
        private final boolean fresh;
        private final boolean patient;
        private final Instant since;
        private final CompletableFuture<Lease> lease = new CompletableFuture<>();
        private boolean withdrawn;

        Waiter(Key key, boolean fresh, boolean patient, Instant since) {
            this.key = key;
            this.fresh = fresh;
            this.patient = patient;
            this.since = since;
        }

        Key key() {
            return key;
        }

        boolean fresh() {
            return fresh;
        }

        boolean patient() {
            return patient;
        }

        Instant since() {
            return since;
        }

        CompletableFuture<Lease> lease() {
            return lease;
        }
    }

    private static final class DestinationSlots {
        private final HopAddress hop;
        private final ConnectorSlots connector;
        private final Map<Key, ArrayDeque<Slot>> idle = new HashMap<>();
        private final ArrayDeque<Waiter> waiters = new ArrayDeque<>();
        private int open;
        private int late;
        private int connecting;
        private int unanswered;
        private int closing;
        // whether it has answered
        private boolean proven;
        // whether it has taken a message, lately
        private boolean tested;
        // when it last took a connection, said anything or took a part of a message, or had nothing to do
        private Instant progress = Instant.MIN;
        private int cap = Integer.MAX_VALUE;
        private Instant capUntil = Instant.MIN;

        DestinationSlots(HopAddress hop, ConnectorSlots connector, boolean tested) {
            this.hop = hop;
            this.connector = connector;
            this.tested = tested;
        }

        void tested(boolean now) {
            if (tested == now) {
                return;
            }
            boolean waits = connector.noLongerWaiting(this);
            connector.strangers += now ? late - open : open - late;
            tested = now;
            if (waits) {
                connector.waits(this);
            }
        }
    }

    private static final class ConnectorSlots {
        private final String name;
        private final Map<HopAddress, DestinationSlots> destinations = new HashMap<>();
        // in turn; only destinations with waiters; those that have taken a message and those that have not
        private final LinkedHashSet<DestinationSlots> waiting = new LinkedHashSet<>();
        private final LinkedHashSet<DestinationSlots> waitingStrangers = new LinkedHashSet<>();
        private final Set<Opening> openings = new HashSet<>();
        // longest idle first
        private final LinkedHashSet<Slot> idle = new LinkedHashSet<>();
        private final Set<Slot> all = new HashSet<>();
        private ConnectionLimits limits;
        private int open;
        private int late;
        // how many slots those hold that have not taken a message
        private int strangers;
        private int closing;
        // for how many destinations of which nothing comes messages waited lately
        private int stalled;

        ConnectorSlots(String name, ConnectionLimits limits) {
            this.name = name;
            this.limits = limits;
        }

        void waits(DestinationSlots destination) {
            (destination.tested ? waiting : waitingStrangers).add(destination);
        }

        boolean noLongerWaiting(DestinationSlots destination) {
            return waiting.remove(destination) || waitingStrangers.remove(destination);
        }

        List<DestinationSlots> allWaiting() {
            List<DestinationSlots> all = new ArrayList<>(waiting);
            all.addAll(waitingStrangers);
            return all;
        }

        int waitingDestinations() {
            return waiting.size() + waitingStrangers.size();
        }

        int slotsHeld() {
            return open - late;
        }

        boolean isFull() {
            return slotsHeld() >= limits.connections();
        }

        boolean hasRoomForStrangers() {
            return strangers < limits.connections() - limits.connections() / 4;
        }

        void opened(DestinationSlots destination) {
            destination.open++;
            open++;
            strangers += destination.tested ? 0 : 1;
        }

        void closed(Held held) {
            prompt(held);
            held.destination.open--;
            open--;
            strangers -= held.destination.tested ? 0 : 1;
        }

        void late(Held held) {
            if (!held.late && late < MOST_LATE) {
                held.late = true;
                held.destination.late++;
                late++;
                strangers -= held.destination.tested ? 0 : 1;
            }
        }

        void prompt(Held held) {
            if (held.late) {
                held.late = false;
                held.destination.late--;
                late--;
                strangers += held.destination.tested ? 0 : 1;
            }
        }
    }

    /**
     * A connection for one message.
     *
     * @param fresh not a reused one
     * @param patient whether to wait for a destination that hangs: nobody else is kept waiting by it
     */
    public Acquisition acquire(Key key, ConnectionLimits limits, boolean fresh, boolean patient) {
        List<Runnable> after = new ArrayList<>();
        Acquisition acquisition;
        synchronized (lock) {
            Instant now = clock.instant();
            Waiter waiter = new Waiter(key, fresh, patient, now);
            ConnectorSlots connector =
                    connectors.computeIfAbsent(key.terms().connector(), name -> new ConnectorSlots(name, limits));
            connector.limits = limits;
            DestinationSlots destination = connector.destinations.computeIfAbsent(
                    key.hop(), hop -> new DestinationSlots(hop, connector, health.hasTakenMail(hop)));
            acquisition = new Acquisition(waiter, destination);
            if (destination.open == 0) {
                destination.progress = now;
            }
            Optional<Slot> idle = shut || fresh || !destination.waiters.isEmpty()
                    ? Optional.empty()
                    : takeIdle(destination, key, after);
            if (shut) {
                after.add(() -> waiter.lease()
                        .completeExceptionally(
                                busy(key.hop(), "delivery is shutting down").asException()));
            } else if (idle.isPresent()) {
                destination.progress = now;
                give(idle.get(), waiter, true, after);
            } else if (!patient && isCrowded(destination, now)) {
                after.add(() -> waiter.lease()
                        .completeExceptionally(stalled(destination, now).asException()));
            } else {
                destination.waiters.add(waiter);
                connector.waits(destination);
                dispatch(connector, after);
            }
            tidy(destination);
        }
        after.forEach(Runnable::run);
        return acquisition;
    }

    /** Whether nothing comes of it, which is more than to wait for a slot, and enough messages wait for it. */
    private static boolean isCrowded(DestinationSlots destination, Instant now) {
        return isWithoutProgress(destination, STALLED, now)
                && destination.waiters.size() >= mostWaiting(destination, now);
    }

    private static boolean isWithoutProgress(DestinationSlots destination, Duration time, Instant now) {
        return destination.open > 0 && !now.isBefore(destination.progress.plus(time));
    }

    private static int mostWaiting(DestinationSlots destination, Instant now) {
        ConnectorSlots connector = destination.connector;
        if (!destination.proven && connector.late > connector.limits.connections()) {
            // where a great many do not answer, the one message that tries each of them is enough
            return 0;
        }
        boolean hangs = destination.unanswered == destination.open || isWithoutProgress(destination, HANGS, now);
        return hangs
                ? connector.limits.perDestination()
                : Math.max(connector.limits.perDestination(), MOST_WAITING_FOR_SLOW / Math.max(1, connector.stalled));
    }

    private static HopFailure stalled(DestinationSlots destination, Instant now) {
        Duration time = isWithoutProgress(destination, HANGS, now) ? HANGS : STALLED;
        return busy(
                destination.hop,
                destination.hop + " has made no progress for " + time.toSeconds()
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
        slot.progress = clock.instant();
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
            Optional<DestinationSlots> turn = turn(connector);
            if (turn.isEmpty()) {
                for (Slot slot : List.copyOf(connector.idle)) {
                    DestinationSlots destination = slot.destination;
                    boolean inTheWay = !destination.waiters.isEmpty()
                            && destination.open >= connector.limits.perDestination()
                            && destination.closing == 0;
                    if (inTheWay) {
                        removeIdle(slot);
                        shutDown(slot, after);
                    }
                }
                return;
            }
            if (connector.isFull()) {
                makeRoom(connector, after);
                return;
            }
            DestinationSlots destination = turn.get();
            connector.noLongerWaiting(destination);
            connect(destination, destination.waiters.poll(), after);
            if (!destination.waiters.isEmpty()) {
                connector.waits(destination);
            }
        }
    }

    /** Who may have the next slot. At most as many destinations are passed over as have connections. */
    private Optional<DestinationSlots> turn(ConnectorSlots connector) {
        Optional<DestinationSlots> stranger = connector.hasRoomForStrangers()
                ? connector.waitingStrangers.stream().filter(this::mayConnect).findFirst()
                : Optional.empty();
        return stranger.or(
                () -> connector.waiting.stream().filter(this::mayConnect).findFirst());
    }

    private void makeRoom(ConnectorSlots connector, List<Runnable> after) {
        Iterator<Slot> longestIdle = connector.idle.iterator();
        if (connector.closing == 0 && longestIdle.hasNext()) {
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
        Instant now = clock.instant();
        if (destination.open == 0) {
            destination.progress = now;
        }
        Opening opening = new Opening(destination, now);
        destination.connector.openings.add(opening);
        destination.connector.opened(destination);
        destination.connecting++;
        destination.unanswered++;
        after.add(() -> dialer.open(destination.hop, waiter.key().terms(), () -> answered(opening))
                .whenComplete((connection, thrown) -> {
                    if (thrown == null) {
                        connected(opening, waiter, connection);
                    } else {
                        notConnected(opening, waiter, HopFailure.of(thrown, Optional.of(destination.hop.used())));
                    }
                }));
    }

    private void answered(Opening opening) {
        synchronized (lock) {
            if (noLongerUnanswered(opening)) {
                opening.destination.progress = clock.instant();
            }
        }
    }

    private static boolean noLongerUnanswered(Opening opening) {
        if (opening.answered) {
            return false;
        }
        opening.answered = true;
        opening.destination.unanswered--;
        return true;
    }

    private void connected(Opening opening, Waiter waiter, SmtpConnection connection) {
        DestinationSlots destination = opening.destination;
        health.succeeded(destination.hop);
        answered(opening);
        List<Runnable> after = new ArrayList<>();
        Slot slot;
        synchronized (lock) {
            destination.connecting--;
            destination.proven = true;
            destination.progress = clock.instant();
            destination.connector.openings.remove(opening);
            destination.connector.prompt(opening);
            slot = new Slot(connection, waiter.key(), destination, clock.instant());
            destination.connector.all.add(slot);
            Optional<Waiter> taker = waiter.withdrawn ? another(destination, waiter.key()) : Optional.of(waiter);
            if (shut) {
                shutDown(slot, after);
                taker.ifPresent(each -> after.add(() -> each.lease()
                        .completeExceptionally(busy(destination.hop, "delivery is shutting down")
                                .asException())));
            } else {
                taker.ifPresentOrElse(each -> give(slot, each, false, after), () -> shutDown(slot, after));
                dispatch(destination.connector, after);
            }
        }
        connection.closed().thenRun(() -> gone(slot));
        after.forEach(Runnable::run);
    }

    /** Somebody who waits for the same connection as one who waits no longer. */
    private static Optional<Waiter> another(DestinationSlots destination, Key key) {
        Optional<Waiter> found = destination.waiters.stream()
                .filter(each -> each.key().equals(key))
                .findFirst();
        found.ifPresent(destination.waiters::remove);
        if (destination.waiters.isEmpty()) {
            destination.connector.noLongerWaiting(destination);
        }
        return found;
    }

    private void notConnected(Opening opening, Waiter waiter, HopFailure failure) {
        DestinationSlots destination = opening.destination;
        boolean down = failure.kind() == HopFailure.Kind.UNREACHABLE || failure.kind() == HopFailure.Kind.LOST;
        List<Runnable> after = new ArrayList<>();
        synchronized (lock) {
            noLongerUnanswered(opening);
            destination.connecting--;
            destination.connector.openings.remove(opening);
            destination.connector.closed(opening);
            int established = destination.open - destination.connecting;
            if (established > 0 && destination.proven && !shut && (down || failure.kind() == HopFailure.Kind.REFUSED)) {
                // it takes no more than these: wait for one of them
                destination.cap = established;
                destination.capUntil = clock.instant().plus(CAPPED);
                if (!waiter.withdrawn) {
                    destination.waiters.addFirst(waiter);
                    destination.connector.waits(destination);
                }
                serveFromIdle(destination, after);
            } else {
                destination.proven = false;
                destination.tested(false);
                after.add(() -> waiter.lease().completeExceptionally(failure.asException()));
                if (down) {
                    health.failed(destination.hop, failure);
                    destination.waiters.forEach(
                            other -> after.add(() -> other.lease().completeExceptionally(failure.asException())));
                    destination.waiters.clear();
                    destination.connector.noLongerWaiting(destination);
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
            destination.connector.noLongerWaiting(destination);
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
            connector.prompt(slot);
            if (slot.connection.isReusable()) {
                destination.tested(true);
                health.tookMail(destination.hop);
            }
            boolean othersWait = connector.waitingDestinations() > (destination.waiters.isEmpty() ? 0 : 1);
            boolean turnOver = (othersWait && connector.isFull() && slot.connection.messages() % TURN == 0)
                    || connector.slotsHeld() > connector.limits.connections();
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
            connector.closed(slot);
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
                lookForLate(connector, now);
                connector.stalled = (int) connector.allWaiting().stream()
                        .filter(destination -> isWithoutProgress(destination, STALLED, now))
                        .count();
                for (DestinationSlots destination : connector.allWaiting()) {
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
                            && destination.waiters.size() > mostWaiting(destination, now)
                            && !destination.waiters.peekLast().patient()) {
                        Waiter last = destination.waiters.pollLast();
                        after.add(() -> last.lease()
                                .completeExceptionally(stalled(destination, now).asException()));
                    }
                    if (destination.waiters.isEmpty()) {
                        connector.noLongerWaiting(destination);
                    }
                    tidy(destination);
                }
                dispatch(connector, after);
            }
        }
        after.forEach(Runnable::run);
    }

    private static void lookForLate(ConnectorSlots connector, Instant now) {
        for (Opening opening : connector.openings) {
            if (!now.isBefore(opening.progress.plus(LATE))) {
                connector.late(opening);
            }
        }
        for (Slot slot : connector.all) {
            if (slot.state != State.LEASED) {
                continue;
            }
            long progress = slot.connection.progress();
            if (progress != slot.progressSeen) {
                slot.progressSeen = progress;
                slot.progress = now;
                slot.destination.progress = now;
                connector.prompt(slot);
            } else if (!now.isBefore(slot.progress.plus(HUNG))) {
                connector.late(slot);
                if (!now.isBefore(slot.destination.progress.plus(HUNG))) {
                    slot.destination.tested(false);
                }
            }
        }
    }

    /** Ends all waits, closes idle connections; those in use are closed when they are given back. */
    public void close() {
        List<Runnable> after = new ArrayList<>();
        synchronized (lock) {
            shut = true;
            for (ConnectorSlots connector : connectors.values()) {
                for (DestinationSlots destination : connector.allWaiting()) {
                    destination.waiters.forEach(waiter -> after.add(() -> waiter.lease()
                            .completeExceptionally(busy(destination.hop, "delivery is shutting down")
                                    .asException())));
                    destination.waiters.clear();
                }
                connector.waiting.clear();
                connector.waitingStrangers.clear();
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
