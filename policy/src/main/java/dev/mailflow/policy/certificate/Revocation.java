/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import java.security.GeneralSecurityException;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateRevokedException;
import java.security.cert.PKIXCertPathBuilderResult;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.common.base.Ticker;
import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;

/**
 * Whether client certificates are revoked, asked of the OCSP responder or revocation list that they name. Only a certain
 * "revoked" counts: a service that cannot be reached, or not in time, changes nothing ("revocation when reachable",
 * section 3 of the mail-flow behaviour), else whoever can disturb that service could stop all mail.
 *
 * <p>An answer is asked for on a thread of the executor and is good for five minutes, for all connections that present the
 * certificate; whoever wants it waits no longer than {@code patience}. Until the next one is there, the one before counts,
 * for a day: a certificate once known to be revoked does not come back while its service is slow. The services of a certificate are asked only once
 * a path to the anchors was found, so a stranger cannot have us call any address he likes. Thread-safe.
 */
public final class Revocation {
    private static final Logger LOGGER = LoggerFactory.getLogger(Revocation.class);
    private static final String CRL_DISTRIBUTION_POINTS = "2.5.29.31";
    private static final String AUTHORITY_INFORMATION_ACCESS = "1.3.6.1.5.5.7.1.1";
    private static final Duration ANSWER_LIFE = Duration.ofMinutes(5);
    private static final Duration MEMORY = Duration.ofDays(1);
    private static final int MOST_ANSWERS = 10_000;

    private final Executor executor;
    private final Duration patience;
    private final Cache<Question, CompletableFuture<Optional<String>>> answers;
    private final Cache<Question, Optional<String>> remembered;

    private record Question(X509Certificate leaf, TrustAnchors anchors) {}

    /** @param patience zero: never wait; an answer then counts from the first time it is there */
    public Revocation(Executor executor, Duration patience) {
        this(executor, patience, Ticker.systemTicker());
    }

    Revocation(Executor executor, Duration patience, Ticker ticker) {
        this.executor = executor;
        this.patience = patience;
        this.answers = kept(ANSWER_LIFE, ticker);
        this.remembered = kept(MEMORY, ticker);
    }

    private static <V> Cache<Question, V> kept(Duration life, Ticker ticker) {
        return CacheBuilder.newBuilder()
                .expireAfterWrite(life)
                .maximumSize(MOST_ANSWERS)
                .ticker(ticker)
                .build();
    }

    /** Why the leaf or a certificate on its path to the anchors must not be believed; empty when nobody says so. */
    Optional<String> objectionTo(List<X509Certificate> chain, TrustAnchors anchors, Instant now) {
        Optional<PKIXCertPathBuilderResult> path = CertificatePaths.path(chain, anchors, now)
                .filter(found -> found.getCertPath().getCertificates().stream()
                        .map(X509Certificate.class::cast)
                        .anyMatch(Revocation::namesAService));
        if (path.isEmpty()) {
            return Optional.empty();
        }
        CompletableFuture<Optional<String>> fresh = new CompletableFuture<>();
        Question question = new Question(chain.get(0), anchors);
        CompletableFuture<Optional<String>> other = answers.asMap().putIfAbsent(question, fresh);
        if (other == null) {
            ask(question, path.get(), now, fresh);
        }
        return await(other == null ? fresh : other, question);
    }

    private void ask(
            Question question,
            PKIXCertPathBuilderResult path,
            Instant now,
            CompletableFuture<Optional<String>> answer) {
        try {
            executor.execute(() -> {
                try {
                    Answer said = validate(path, now);
                    if (said.isCertain()) {
                        remembered.put(question, said.objection());
                    }
                    answer.complete(said.isCertain() ? said.objection() : remembered(question));
                } catch (GeneralSecurityException | RuntimeException e) {
                    answer.completeExceptionally(e);
                }
            });
        } catch (RejectedExecutionException e) {
            answer.completeExceptionally(e);
        }
    }

    private Optional<String> await(CompletableFuture<Optional<String>> answer, Question question) {
        X509Certificate leaf = question.leaf();
        try {
            return answer.get(patience.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            LOGGER.info("Revocation of {} not known within {}", subject(leaf), patience);
        } catch (ExecutionException e) {
            LOGGER.warn("Revocation of {} cannot be checked: {}", subject(leaf), String.valueOf(e.getCause()));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return remembered(question);
    }

    private Optional<String> remembered(Question question) {
        return Optional.ofNullable(remembered.getIfPresent(question)).flatMap(Function.identity());
    }

    /** @param isCertain false: the service said nothing that could be understood */
    private record Answer(boolean isCertain, Optional<String> objection) {
        static final Answer UNKNOWN = new Answer(false, Optional.empty());
    }

    private static Answer validate(PKIXCertPathBuilderResult path, Instant now) throws GeneralSecurityException {
        CertPathValidator validator = CertPathValidator.getInstance("PKIX");
        PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
        checker.setOptions(options(path));
        PKIXParameters parameters = new PKIXParameters(Set.of(path.getTrustAnchor()));
        parameters.setDate(Date.from(now));
        parameters.addCertPathChecker(checker);
        try {
            validator.validate(path.getCertPath(), parameters);
            if (checker.getSoftFailExceptions().isEmpty()) {
                return new Answer(true, Optional.empty());
            }
            LOGGER.info(
                    "Revocation of {} is unknown: {}",
                    subject(leafOf(path)),
                    checker.getSoftFailExceptions().get(0).getMessage());
            return Answer.UNKNOWN;
        } catch (CertPathValidatorException e) {
            if (e.getCause() instanceof CertificateRevokedException revoked) {
                return new Answer(
                        true,
                        Optional.of("it was revoked on "
                                + revoked.getRevocationDate().toInstant() + " (" + revoked.getRevocationReason()
                                + ")"));
            }
            // the path itself is known to be good: whatever this is, it says nothing about revocation
            LOGGER.info("Revocation of {} is unknown: {}", subject(leafOf(path)), e.getMessage());
            return Answer.UNKNOWN;
        }
    }

    /** The JDK's soft failure ends the whole check at a certificate that names no service: such ones are not asked about. */
    private static Set<PKIXRevocationChecker.Option> options(PKIXCertPathBuilderResult path) {
        Set<PKIXRevocationChecker.Option> options = EnumSet.of(PKIXRevocationChecker.Option.SOFT_FAIL);
        if (leafOf(path).getExtensionValue(AUTHORITY_INFORMATION_ACCESS) == null) {
            options.add(PKIXRevocationChecker.Option.PREFER_CRLS);
        }
        boolean othersNameOne = path.getCertPath().getCertificates().stream()
                .skip(1)
                .map(X509Certificate.class::cast)
                .allMatch(Revocation::namesAService);
        if (!othersNameOne) {
            options.add(PKIXRevocationChecker.Option.ONLY_END_ENTITY);
        }
        return options;
    }

    private static X509Certificate leafOf(PKIXCertPathBuilderResult path) {
        return (X509Certificate) path.getCertPath().getCertificates().get(0);
    }

    private static boolean namesAService(X509Certificate certificate) {
        return certificate.getExtensionValue(CRL_DISTRIBUTION_POINTS) != null
                || certificate.getExtensionValue(AUTHORITY_INFORMATION_ACCESS) != null;
    }

    private static String subject(X509Certificate leaf) {
        return "'" + leaf.getSubjectX500Principal().getName() + "'";
    }
}
