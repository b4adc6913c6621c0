/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

import javax.mail.MessagingException;

import org.apache.james.core.MailAddress;
import org.apache.james.lifecycle.api.LifecycleUtil;
import org.apache.james.metrics.api.MetricFactory;
import org.apache.james.queue.api.MailQueue;
import org.apache.james.queue.api.MailQueue.MailQueueException;
import org.apache.james.queue.api.MailQueue.MailQueueItem;
import org.apache.james.queue.api.MailQueueFactory;
import org.apache.mailet.AttributeName;
import org.apache.mailet.Mail;
import org.apache.mailet.MailetContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.inject.Inject;
import com.google.inject.Singleton;

import dev.mailflow.delivery.DeliveryReport;
import dev.mailflow.delivery.OutboundTransport;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.RecipientOutcome.Deferred;
import dev.mailflow.delivery.RecipientOutcome.Failed;
import dev.mailflow.delivery.tls.TlsFault;
import dev.mailflow.delivery.tlsrpt.TlsSession;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.connector.NextHops;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.RetrySchedule;
import dev.mailflow.policy.connector.Route;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.host.OwnHostName;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/**
 * Delivers mail from one durable queue per outbound connector. A queued mail is acknowledged only after its outcome is
 * safe: what was delivered needs nothing more, what failed has been reported to its sender, what waits is back in the
 * queue with its next attempt's time. A crash at any point leaves the mail queued.
 *
 * <p>Each queue has its own consumer, so a connector whose next hops are dead delays nobody else's mail. The connector's
 * settings are looked up for every attempt: a reload takes effect on mail that is queued already. Mail of a connector
 * that is gone or disabled waits, and is never sent by another one, because that could break the promise under which it
 * was queued.
 *
 * <p>What an administrator sees when delivery fails: one {@code event=deferred} or {@code event=failed} line with
 * connector, next hop, TLS, the remote reply and the time of the next attempt.
 */
@Singleton
public final class DeliveryService {
    private static final int BLOCKING_THREADS = 32;
    private static final Logger LOGGER = LoggerFactory.getLogger(DeliveryService.class);

    /** Set to true on a mail that may only leave over TLS, whatever its connector says. */
    public static final AttributeName REQUIRE_TLS = AttributeName.of("mailflow.requireTls");

    /**
     * Names, on a mail for the other premises of a hybrid organization, the organization it comes from: said with XOORG to a
     * next hop that offers it.
     */
    public static final AttributeName ORGANIZATION = AttributeName.of("mailflow.organization");

    /** True on a journal report: it has no sender to be told, and must not be lost. */
    public static final AttributeName JOURNAL_REPORT = AttributeName.of("mailflow.journalReport");

    /**
     * On a mail that a queue handed out to be processed: names that processing. What is queued meanwhile and bears the same is
     * queued when the processing is done, in the same commit, by queues that can do so; others know nothing of it.
     */
    public static final AttributeName PROCESSING = AttributeName.of("mailflow.queue.delivery");

    /** How long a stop waits for attempts that are under way before it leaves them to the next start. */
    private static final Duration STOP_PATIENCE = Duration.ofSeconds(15);
    /** How long a stop waits for the outcomes of attempts that it ended. */
    private static final Duration CONCLUSION_PATIENCE = Duration.ofSeconds(5);
    /** More attempts than connections, so that those who wait for a slow next hop leave room for others. */
    private static final int ATTEMPTS_PER_CONNECTION = 5;
    /**
     * An attempt by MX records that takes longer, most likely because its destination does not answer, no longer keeps the
     * next mail in the queue.
     */
    private static final Duration LONG_ATTEMPT = Duration.ofMillis(300);
    /** How many attempts may be under way beyond the usual number, all connectors together. */
    private static final int MOST_LONG_ATTEMPTS = 500;

    private final PolicyRepository policies;
    private final MailQueueFactory<?> queues;
    private final MetricFactory metrics;
    private final MailFlowEvents events;
    private final Clock clock;
    private final Map<String, QueueConsumer> consumers = new ConcurrentHashMap<>();
    private final Semaphore longAttempts = new Semaphore(MOST_LONG_ATTEMPTS);

    private volatile Optional<String> introducedAs = Optional.empty();

    private Optional<Running> running = Optional.empty();
    private int users;

    @Inject
    public DeliveryService(
            PolicyRepository policies, MailQueueFactory<?> queues, MetricFactory metrics, MailFlowEvents events) {
        this(policies, queues, metrics, events, Clock.systemUTC());
    }

    public DeliveryService(
            PolicyRepository policies,
            MailQueueFactory<?> queues,
            MetricFactory metrics,
            MailFlowEvents events,
            Clock clock) {
        this.policies = policies;
        this.queues = queues;
        this.metrics = metrics;
        this.events = events;
        this.clock = clock;
    }

    /**
     * Starts delivery, once: every mailet that uses the service starts and stops it, the first and last call count.
     *
     * @param context whose postmaster reports failures
     * @param transports makes the transport when this is the first start
     * @param reportingMta our host name in delivery reports
     */
    public synchronized void start(MailetContext context, Supplier<OutboundTransport> transports, String reportingMta) {
        users++;
        if (running.isPresent()) {
            return;
        }
        introducedAs = Optional.of(reportingMta);
        Notifications notifications = new Notifications(context, reportingMta, events, clock);
        OutboundTransport transport = transports.get();
        Scheduler blocking = Schedulers.fromExecutorService(WorkerThreads.of("mailflow-delivery", BLOCKING_THREADS));
        PolicyRepository.Subscription subscription =
                policies.subscribe(policy -> ensureConsumers(policy, transport, notifications, blocking));
        running = Optional.of(new Running(transport, notifications, blocking, subscription));
        ensureConsumers(policies.current(), transport, notifications, blocking);
        // Mail of connectors that the policy has no longer is still ours to wait for, warn about and return.
        ConnectorQueues.connectorsOf(queues.listCreatedMailQueues())
                .forEach(connector -> consume(connector, transport, notifications, blocking));
    }

    /** Stops delivery when its last user stops it: attempts under way may end, the rest stays queued. */
    public synchronized void stop() {
        users--;
        if (users > 0 || running.isEmpty()) {
            return;
        }
        Running stopping = running.get();
        running = Optional.empty();
        stopping.subscription().close();
        consumers.values().forEach(QueueConsumer::stopTaking);
        Instant deadline = clock.instant().plus(STOP_PATIENCE);
        consumers.values().forEach(consumer -> consumer.awaitAttempts(Duration.between(clock.instant(), deadline)));
        // What the transport gives up now is deferred, and the deferral must be in the queue before its threads end.
        stopping.transport().close();
        Instant end = clock.instant().plus(CONCLUSION_PATIENCE);
        consumers.values().forEach(consumer -> consumer.awaitAttempts(Duration.between(clock.instant(), end)));
        consumers.values().forEach(QueueConsumer::close);
        consumers.clear();
        stopping.blocking().dispose();
    }

    /**
     * Puts the mail, with the recipients it has, into the connector's queue. When this returns the queue has it; the
     * caller keeps its own copy to dispose of.
     *
     * @throws MailQueueException when the queue did not take it
     */
    public void enqueue(Mail mail, String connector) throws MailQueueException {
        DeliveryState.first(beginning(mail, connector)).putOn(mail);
        queue(connector).enQueue(mail);
        running().ifPresent(now -> consume(connector, now.transport(), now.notifications(), now.blocking()));
    }

    /** When it came in; now, if it was held for so long, as in quarantine, that it could not be tried again. */
    private Instant beginning(Mail mail, String connector) {
        Instant now = clock.instant();
        Instant arrival = QueuedMail.arrival(mail, now);
        return policies.current()
                .outboundConnectors()
                .find(connector)
                .map(known -> arrival.plus(known.retry().expireAfter()))
                .filter(now::isBefore)
                .map(expiry -> arrival)
                .orElse(now);
    }

    /**
     * Ends the mail for recipients whom no next hop can reach, and tells its sender.
     *
     * @param status RFC 3463, {@code 5.x.x}
     * @param reason one sentence for people
     * @throws MessagingException when the sender could not be told: the recipients must not be forgotten
     */
    public void fail(Mail mail, List<MailAddress> recipients, String status, String reason) throws MessagingException {
        Running now = running().orElseThrow(() -> new MessagingException("delivery is stopped"));
        fail(now.notifications(), mail, recipients, status, reason);
    }

    /**
     * The same for those who end a mail before it gets as far as delivery, which need not run for it.
     *
     * @param context whose postmaster reports the failure
     * @param reportingMta our host name in the report
     */
    public void fail(
            MailetContext context,
            String reportingMta,
            Mail mail,
            List<MailAddress> recipients,
            String status,
            String reason)
            throws MessagingException {
        fail(new Notifications(context, reportingMta, events, clock), mail, recipients, status, reason);
    }

    /**
     * Tells the sender, if it asked for it, that the mail is in the mailboxes of these recipients (RFC 3461 section 5.2.3).
     * Delivery need not run for it.
     *
     * @param context whose postmaster reports it
     * @throws MessagingException when the sender could not be told
     */
    public void confirm(MailetContext context, Mail mail, Collection<MailAddress> recipients)
            throws MessagingException {
        try {
            new Notifications(context, ownName(), events, clock).confirm(mail, recipients);
        } catch (IOException e) {
            throw cannotTell(mail, e);
        }
    }

    /** How this host introduces itself to next hops, hence in reports; before delivery has run, what it is called. */
    public String ownName() {
        return introducedAs.orElseGet(OwnHostName::get);
    }

    private static MessagingException cannotTell(Mail mail, IOException cause) {
        return new MessagingException("the sender of " + mail.getName() + " could not be told", cause);
    }

    private void fail(
            Notifications notifications, Mail mail, List<MailAddress> recipients, String status, String reason)
            throws MessagingException {
        Instant now = clock.instant();
        DeliveryState state = DeliveryState.first(QueuedMail.arrival(mail, now));
        Map<MailAddress, Failed> failed = new LinkedHashMap<>();
        recipients.forEach(
                recipient -> failed.put(recipient, new Failed(status, reason, Optional.empty(), Optional.empty())));
        DeliveryAttempt outcome = new DeliveryAttempt(Map.of(), Map.of(), failed, false, now);
        try {
            notifications.report(mail, state, outcome, RetrySchedule.DEFAULT);
        } catch (IOException e) {
            throw cannotTell(mail, e);
        }
        new AttemptEvents("(none)", QueuedMail.reference(mail), 1).publish(outcome, state, now, events);
    }

    /** Counts how TLS went, by what the other side has published and by the result, in the words of RFC 8460. */
    public TlsSession.Observer tlsMetrics() {
        return session -> metrics.generate("mailflow.tls." + session.policy().type() + "."
                        + session.fault().map(TlsFault::toString).orElse("success"))
                .increment();
    }

    private synchronized Optional<Running> running() {
        return running;
    }

    private MailQueue queue(String connector) {
        QueueConsumer consumer = consumers.get(connector);
        return consumer != null ? consumer.queue : queues.createQueue(ConnectorQueues.of(connector));
    }

    private void ensureConsumers(
            MailFlowPolicy policy, OutboundTransport transport, Notifications notifications, Scheduler blocking) {
        policy.outboundConnectors().all().stream()
                .map(OutboundConnector::name)
                .forEach(connector -> consume(connector, transport, notifications, blocking));
        consumers.values().forEach(QueueConsumer::follow);
    }

    private void consume(
            String connector, OutboundTransport transport, Notifications notifications, Scheduler blocking) {
        consumers.computeIfAbsent(
                connector, name -> new QueueConsumer(name, transport, notifications, blocking).start());
    }

    /** What exists between start and stop. */
    private record Running(
            OutboundTransport transport,
            Notifications notifications,
            Scheduler blocking,
            PolicyRepository.Subscription subscription) {}

    /** Takes mail from one connector's queue and attempts its delivery, a bounded number at once. */
    private final class QueueConsumer {
        private final String connector;
        private final OutboundTransport transport;
        private final Notifications notifications;
        private final Scheduler blocking;
        private final MailQueue queue;
        private final Scheduler dequeuing;
        private final AttemptsUnderWay underWay = new AttemptsUnderWay();
        private final Set<Future<?>> attempts = ConcurrentHashMap.newKeySet();
        private final Intake intake;
        private volatile boolean stopping;

        private QueueConsumer(
                String connector, OutboundTransport transport, Notifications notifications, Scheduler blocking) {
            this.connector = connector;
            this.transport = transport;
            this.notifications = notifications;
            this.blocking = blocking;
            this.queue = queues.createQueue(ConnectorQueues.of(connector));
            this.dequeuing = Schedulers.newSingle("mailflow-queue-" + connector, true);
            this.intake = new Intake(connector, atOnce(), this::handle);
        }

        private QueueConsumer start() {
            // Requests for more travel on the dequeuing thread: a queue may block in them, a transport thread may not.
            Flux.from(queue.deQueue())
                    .subscribeOn(dequeuing)
                    .onErrorContinue(
                            (error, item) -> LOGGER.error("Queue of connector '{}' failed, going on", connector, error))
                    .subscribe(intake);
            return this;
        }

        /** How many attempts may be under way by the policy in force. */
        private int atOnce() {
            return policies.current()
                    .outboundConnectors()
                    .find(connector)
                    .map(known -> known.limits().connections() * ATTEMPTS_PER_CONNECTION)
                    .orElse(1);
        }

        private void follow() {
            intake.bound(atOnce());
        }

        private void stopTaking() {
            stopping = true;
            intake.end();
        }

        private void awaitAttempts(Duration patience) {
            if (!underWay.awaitNone(patience)) {
                LOGGER.info("Connector '{}': {} attempts still under way at stop", connector, underWay.count());
            }
        }

        private void close() {
            intake.dispose();
            attempts.forEach(attempt -> attempt.cancel(true));
            dequeuing.dispose();
        }

        /** Completes when the next mail may be taken, which may be before the attempt is over. */
        @SuppressWarnings("FutureReturnValueIgnored") // ends in the future that is returned
        private CompletionStage<Void> handle(MailQueueItem item) {
            CompletableFuture<Void> attempt = deliver(item).toFuture();
            CompletableFuture<Void> next = new CompletableFuture<>();
            attempts.add(attempt);
            attempt.whenComplete((done, thrown) -> {
                attempts.remove(attempt);
                if (thrown == null) {
                    next.complete(null);
                } else {
                    next.completeExceptionally(thrown);
                }
            });
            if (!attempt.isDone() && usesMx()) {
                doNotWaitTooLongFor(attempt, next);
            }
            return next;
        }

        @SuppressWarnings("FutureReturnValueIgnored") // see above
        private void doNotWaitTooLongFor(CompletableFuture<Void> attempt, CompletableFuture<Void> next) {
            Disposable look = Schedulers.parallel()
                    .schedule(
                            () -> {
                                if (attempt.isDone()) {
                                    return;
                                }
                                if (!longAttempts.tryAcquire()) {
                                    doNotWaitTooLongFor(attempt, next);
                                    return;
                                }
                                attempt.whenComplete((done, thrown) -> longAttempts.release());
                                next.complete(null);
                            },
                            LONG_ATTEMPT.toMillis(),
                            TimeUnit.MILLISECONDS);
            attempt.whenComplete((done, thrown) -> look.dispose());
        }

        private boolean usesMx() {
            return policies.current()
                    .outboundConnectors()
                    .find(connector)
                    .filter(known -> known.nextHops() instanceof NextHops.UseMx)
                    .isPresent();
        }

        private Mono<Void> deliver(MailQueueItem item) {
            if (stopping || !underWay.begin()) {
                return Mono.<Void>fromRunnable(() -> putBack(item)).subscribeOn(blocking);
            }
            return Mono.fromCallable(() -> QueuedMail.read(item.getMail()))
                    .subscribeOn(blocking)
                    .flatMap(queued -> Mono.fromCompletionStage(attempt(queued)).doFinally(signal -> close(queued)))
                    .onErrorResume(error -> Mono.just(deferForOurOwnError(item.getMail(), error)))
                    .publishOn(blocking)
                    .doOnNext(report -> conclude(item, report))
                    .onErrorResume(error -> Mono.fromRunnable(() -> {
                        LOGGER.error(
                                "The outcome of {} in the queue of connector '{}' could not be kept; the mail stays"
                                        + " queued as it was, and who got it may get it again",
                                item.getMail().getName(),
                                connector,
                                error);
                        putBack(item);
                    }))
                    .doFinally(signal -> {
                        LifecycleUtil.dispose(item.getMail());
                        underWay.end();
                    })
                    .then();
        }

        /** An error that is ours defers like one of the next hop's: with a reason, a schedule and an end. */
        private DeliveryReport deferForOurOwnError(Mail mail, Throwable error) {
            LOGGER.error(
                    "Delivery of {} by connector '{}' met an error of the gateway", mail.getName(), connector, error);
            return deferAll(List.copyOf(mail.getRecipients()), "internal error of the gateway: " + error);
        }

        private void close(QueuedMail queued) {
            try {
                queued.close();
            } catch (IOException e) {
                LOGGER.warn("A temporary file of connector '{}' could not be removed", connector, e);
            }
        }

        private CompletableFuture<DeliveryReport> attempt(QueuedMail queued) {
            Route route = policies.current().outboundConnectors().named(connector, "the mail's queue");
            return route instanceof Route.Via via
                    ? transport
                            .send(via.connector(), requirement(via.connector(), queued), queued.message())
                            .toCompletableFuture()
                    : CompletableFuture.completedFuture(deferAll(queued.recipients(), route.reason()));
        }

        private TlsRequirement requirement(OutboundConnector settings, QueuedMail queued) {
            TlsRequirement own = settings.tls();
            // as with REQUIRETLS: where TLS is forbidden a report, of a header only, would be lost
            boolean reports = queued.isReportThatRequiresTls() && own.level() != TlsLevel.NONE;
            return queued.requiresTls() || reports ? own.atLeastEncrypt() : own;
        }

        private DeliveryReport deferAll(List<MailAddress> recipients, String reason) {
            Map<MailAddress, RecipientOutcome> outcomes = new LinkedHashMap<>();
            recipients.forEach(address ->
                    outcomes.put(address, new Deferred("4.3.5", reason, Optional.empty(), Optional.empty())));
            return new DeliveryReport(outcomes);
        }

        private RetrySchedule schedule() {
            return policies.current()
                    .outboundConnectors()
                    .find(connector)
                    .map(OutboundConnector::retry)
                    .orElse(RetrySchedule.DEFAULT);
        }

        /**
         * Makes the outcome safe: what failed is reported, what waits is queued again, and only then the item is
         * acknowledged. A failure that cannot be reported waits too, to be reported another time.
         *
         * @throws UncheckedQueueException when the queue did not take it: the item must not be acknowledged
         */
        private void conclude(MailQueueItem item, DeliveryReport report) {
            Mail mail = item.getMail();
            Instant now = clock.instant();
            DeliveryState state = DeliveryState.of(mail, now);
            RetrySchedule schedule = schedule();
            DeliveryAttempt outcome = DeliveryAttempt.conclude(
                    report, state, schedule, now, ThreadLocalRandom.current().nextDouble());
            boolean reported = report(mail, state, outcome, schedule);
            List<MailAddress> again = new ArrayList<>(outcome.waiting().keySet());
            if (!reported) {
                again.addAll(outcome.failed().keySet());
            }
            try {
                if (!again.isEmpty()) {
                    String reason = outcome.waitingReason().orElse("the sender could not be told of the failure");
                    boolean warned = state.warned() || (outcome.warn() && reported);
                    DeliveryState after = outcome.isPostponement()
                            ? state.afterPostponement(reason, warned)
                            : state.afterAttempt(reason, warned);
                    after.putOn(mail);
                    mail.setErrorMessage(reason);
                    mail.setLastUpdated(Date.from(now));
                    mail.setRecipients(again);
                    Instant next = outcome.waiting().isEmpty()
                            ? now.plus(schedule.waitAfter(state.attempts() + 1))
                            : outcome.nextAttempt();
                    queue.enQueue(mail, Duration.between(now, next));
                }
                item.done(MailQueueItem.CompletionStatus.SUCCESS);
            } catch (MailQueueException e) {
                throw new UncheckedQueueException(e);
            }
            new AttemptEvents(connector, QueuedMail.reference(mail), state.attempts() + 1)
                    .publish(outcome, state, now, events);
            count("delivered", outcome.delivered().size());
            count(
                    outcome.isPostponement() ? "postponed" : "deferred",
                    outcome.waiting().size());
            count("failed", outcome.failed().size());
        }

        private boolean report(Mail mail, DeliveryState state, DeliveryAttempt outcome, RetrySchedule schedule) {
            try {
                notifications.report(mail, state, outcome, schedule);
                return true;
            } catch (MessagingException | IOException | RuntimeException e) {
                LOGGER.error("The sender of {} could not be told what became of it; tried again", mail.getName(), e);
                return false;
            }
        }

        private void count(String what, int recipients) {
            if (recipients > 0) {
                metrics.generate("mailflow.delivery." + what + "." + connector).add(recipients);
            }
        }

        private void putBack(MailQueueItem item) {
            try {
                item.done(MailQueueItem.CompletionStatus.RETRY);
            } catch (MailQueueException e) {
                LOGGER.debug("Queue of connector '{}' is closed already; the mail stays in it", connector, e);
            }
        }
    }

    /** The queue itself failed: the mail is left unacknowledged in it. */
    private static final class UncheckedQueueException extends RuntimeException {
        private static final long serialVersionUID = 1L;

        private UncheckedQueueException(MailQueueException cause) {
            super(cause);
        }
    }
}
