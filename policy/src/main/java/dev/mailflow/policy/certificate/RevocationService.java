/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

import javax.security.auth.x500.X500Principal;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.common.base.Ticker;

import dev.mailflow.policy.certificate.CertificateLink.Answer;

/**
 * Whoever answers for the certificates of one issuer. At most {@value #MOST_AT_ONCE} questions are put to it at once, others
 * wait for their turn, so that one that does not answer leaves the executor to the others. Once it has left a question without
 * an answer it counts as silent: those who wait are told that nothing is known, and it is asked again after five minutes, by
 * one question, while the others do without.
 *
 * <p>The JDK cannot be made to give up a question: one without an answer keeps its place until the JDK's own time limits end
 * it.
 */
final class RevocationService {
    private static final Logger LOGGER = LoggerFactory.getLogger(RevocationService.class);
    private static final int MOST_AT_ONCE = 2;
    private static final int MOST_WAITING = 1_000;
    private static final Duration PAUSE = Duration.ofMinutes(5);

    private final Name name;
    private final Executor executor;
    private final Duration limit;
    private final Ticker ticker;
    private final Deque<Question> waiting = new ArrayDeque<>();
    private int running;
    private boolean silent;
    private long silentSince;

    /**
     * What tells services apart; addresses do not, because some authorities have a hundred lists at one host.
     *
     * @param access what the certificate says of its issuer's responders
     */
    record Name(X500Principal issuer, ByteBuffer access) {
        static Name of(CertificateLink link) {
            return new Name(link.certificate().getIssuerX500Principal(), ByteBuffer.wrap(link.access()));
        }
    }

    private record Question(Supplier<Answer> asking, CompletableFuture<Answer> answer) {}

    RevocationService(Name name, Executor executor, Duration limit, Ticker ticker) {
        this.name = name;
        this.executor = executor;
        this.limit = limit;
        this.ticker = ticker;
    }

    /**
     * Puts a question, as soon as it is its turn.
     *
     * @param asking blocks
     * @return {@link Answer#UNKNOWN} when the service is silent
     */
    CompletableFuture<Answer> ask(Supplier<Answer> asking) {
        Question question = new Question(asking, new CompletableFuture<>());
        boolean starts = false;
        synchronized (this) {
            if (silent) {
                if (running >= MOST_AT_ONCE || ticker.read() - silentSince < PAUSE.toNanos()) {
                    return CompletableFuture.completedFuture(Answer.UNKNOWN);
                }
                // this one finds out whether it speaks again
                silentSince = ticker.read();
            }
            if (running < MOST_AT_ONCE) {
                running++;
                starts = true;
            } else if (waiting.size() < MOST_WAITING) {
                waiting.add(question);
            } else {
                return CompletableFuture.failedFuture(
                        new RejectedExecutionException(MOST_WAITING + " questions wait for their turn"));
            }
        }
        CompletableFuture<Answer> concluded = question.answer().handle(this::concluded);
        if (starts) {
            start(question);
        }
        return concluded;
    }

    /** Runs it, or if the executor is too busy tells it so and tries the next one. */
    private void start(Question first) {
        Optional<Question> next = Optional.of(first);
        while (next.isPresent()) {
            Question question = next.get();
            try {
                executor.execute(() -> put(question));
                return;
            } catch (RejectedExecutionException e) {
                question.answer().completeExceptionally(e);
                next = next();
            }
        }
    }

    private void put(Question question) {
        // from now on, not from when it began to wait for its turn
        CompletableFuture<Answer> answer = question.answer().orTimeout(limit.toNanos(), TimeUnit.NANOSECONDS);
        try {
            if (answer.complete(question.asking().get())) {
                speaks();
            }
        } catch (RuntimeException e) {
            answer.completeExceptionally(e);
        } finally {
            next().ifPresent(this::start);
        }
    }

    /** The place of a question that has ended goes to the one that is returned. */
    private synchronized Optional<Question> next() {
        Optional<Question> next = Optional.ofNullable(waiting.poll());
        if (next.isEmpty()) {
            running--;
        }
        return next;
    }

    private Answer concluded(Answer said, Throwable thrown) {
        if (thrown instanceof TimeoutException) {
            fallSilent();
            return Answer.UNKNOWN;
        }
        if (thrown != null) {
            throw new CompletionException(thrown);
        }
        return said;
    }

    private synchronized void speaks() {
        silent = false;
    }

    private void fallSilent() {
        List<Question> given;
        synchronized (this) {
            if (!silent) {
                LOGGER.warn(
                        "The revocation service of '{}' did not answer within {}: it is not asked for {}, and its"
                                + " certificates pass unless they are known to be revoked",
                        name.issuer().getName(),
                        limit,
                        PAUSE);
            }
            silent = true;
            silentSince = ticker.read();
            given = List.copyOf(waiting);
            waiting.clear();
        }
        given.forEach(question -> question.answer().complete(Answer.UNKNOWN));
    }
}
