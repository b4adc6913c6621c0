/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import java.security.cert.PKIXCertPathBuilderResult;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.common.base.Ticker;
import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;
import com.google.common.cache.CacheLoader;
import com.google.common.cache.LoadingCache;

import dev.mailflow.policy.certificate.CertificateLink.Answer;

/**
 * Whether certificates are revoked, of clients and of next hops: asked of a stapled OCSP response, else of the OCSP responder
 * or revocation list that they name. Only a certain "revoked" counts: a service that cannot be reached, or not in time,
 * changes nothing ("revocation when reachable", section 3 of the mail-flow behaviour), else whoever can disturb that service
 * could stop all mail.
 *
 * <p>Each certificate of a path is a question of its own, put to its issuer's {@link RevocationService} on a thread of the
 * executor: a service that is silent takes two threads, and none once it is known to be. An answer is good for five minutes,
 * for all connections that present the certificate. Until the next one is there, the one before counts, for a day: a
 * certificate once known to be revoked does not come back while its service is slow. The services of a certificate are asked
 * only once a path to the anchors was found, so a stranger cannot have us call any address he likes. Thread-safe.
 */
public final class Revocation {
    private static final Logger LOGGER = LoggerFactory.getLogger(Revocation.class);
    private static final Duration ANSWER_LIFE = Duration.ofMinutes(5);
    private static final Duration MEMORY = Duration.ofDays(1);
    private static final int MOST_ANSWERS = 10_000;
    private static final int MOST_SERVICES = 1_000;

    private final Duration patience;
    private final Cache<CertificateLink, CompletableFuture<Optional<String>>> answers;
    private final Cache<CertificateLink, Optional<String>> remembered;
    private final LoadingCache<RevocationService.Name, RevocationService> services;

    /**
     * @param executor runs the questions, which block
     * @param limit a service that has not answered a question within this time from being asked is silent
     * @param patience how long whoever wants an answer waits for it; zero: never, an answer then counts from the first time
     *     it is there
     */
    public Revocation(Executor executor, Duration limit, Duration patience) {
        this(executor, limit, patience, Ticker.systemTicker());
    }

    Revocation(Executor executor, Duration limit, Duration patience, Ticker ticker) {
        this.patience = patience;
        this.answers = kept(ANSWER_LIFE, ticker);
        this.remembered = kept(MEMORY, ticker);
        this.services = CacheBuilder.newBuilder()
                .maximumSize(MOST_SERVICES)
                .build(CacheLoader.from(name -> new RevocationService(name, executor, limit, ticker)));
    }

    private static <V> Cache<CertificateLink, V> kept(Duration life, Ticker ticker) {
        return CacheBuilder.newBuilder()
                .expireAfterWrite(life)
                .maximumSize(MOST_ANSWERS)
                .ticker(ticker)
                .build();
    }

    /** Why the leaf or a certificate on its path to the anchors must not be believed; empty when nobody says so. */
    Optional<String> objectionTo(List<X509Certificate> chain, TrustAnchors anchors, Instant now) {
        return CertificatePaths.path(chain, anchors, now)
                .flatMap(path -> objectionTo(path, Map.of(), now))
                .map(revoked -> "it was " + revoked);
    }

    /**
     * When and why a certificate of the path was revoked, e.g. {@code revoked on 2026-11-23T12:00:00Z (KEY_COMPROMISE)};
     * empty when nobody says so. Waits as long as it has patience.
     *
     * @param path to an anchor that is a certificate, found good otherwise
     * @param stapled OCSP responses by certificate, from the handshake
     */
    public Optional<String> objectionTo(
            PKIXCertPathBuilderResult path, Map<X509Certificate, byte[]> stapled, Instant now) {
        List<CertificateLink> asked = new ArrayList<>();
        List<CompletableFuture<Optional<String>>> awaited = new ArrayList<>();
        for (CertificateLink link : CertificateLink.of(path)) {
            Answer enclosed = Optional.ofNullable(stapled.get(link.certificate()))
                    .map(response -> link.judge(response, now))
                    .orElse(Answer.UNKNOWN);
            if (enclosed.objection().isPresent()) {
                return enclosed.objection();
            }
            if (!enclosed.isCertain() && link.namesAService()) {
                asked.add(link);
                awaited.add(ask(link, now));
            }
        }
        long deadline = System.nanoTime() + patience.toNanos();
        for (int i = 0; i < asked.size(); i++) {
            Optional<String> objection = await(awaited.get(i), asked.get(i), deadline);
            if (objection.isPresent()) {
                return objection;
            }
        }
        return Optional.empty();
    }

    private CompletableFuture<Optional<String>> ask(CertificateLink link, Instant now) {
        CompletableFuture<Optional<String>> fresh = new CompletableFuture<>();
        CompletableFuture<Optional<String>> other = answers.asMap().putIfAbsent(link, fresh);
        if (other != null) {
            return other;
        }
        services.getUnchecked(RevocationService.Name.of(link))
                .ask(() -> {
                    Answer said = link.ask(now);
                    if (said.isCertain()) {
                        // also when it comes too late for whoever asked
                        remembered.put(link, said.objection());
                        answers.put(link, CompletableFuture.completedFuture(said.objection()));
                    }
                    return said;
                })
                .thenAccept(said -> {
                    if (!said.isCertain()) {
                        answers.asMap().remove(link, fresh);
                    }
                    fresh.complete(said.isCertain() ? said.objection() : remembered(link));
                })
                .exceptionally(thrown -> {
                    answers.asMap().remove(link, fresh);
                    fresh.completeExceptionally(thrown);
                    return null;
                });
        return fresh;
    }

    private Optional<String> await(CompletableFuture<Optional<String>> answer, CertificateLink link, long deadline) {
        try {
            return answer.get(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            LOGGER.info("Revocation of {} not known within {}", link, patience);
        } catch (ExecutionException e) {
            LOGGER.warn("Revocation of {} cannot be checked: {}", link, String.valueOf(e.getCause()));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return remembered(link);
    }

    private Optional<String> remembered(CertificateLink link) {
        return Optional.ofNullable(remembered.getIfPresent(link)).flatMap(Function.identity());
    }
}
