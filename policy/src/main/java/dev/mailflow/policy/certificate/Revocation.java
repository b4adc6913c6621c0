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

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;

/**
 * Whether client certificates are revoked, asked of the OCSP responder or revocation list that they name. Only a certain
 * "revoked" counts: a service that cannot be reached, or not in time, changes nothing ("revocation when reachable",
 * section 3 of the mail-flow behaviour), else whoever can disturb that service could stop all mail.
 *
 * <p>An answer is asked for on a thread of the executor and kept for five minutes, for all connections that present the
 * certificate; whoever wants it waits no longer than {@code patience}. The services of a certificate are asked only once
 * a path to the anchors was found, so a stranger cannot have us call any address he likes. Thread-safe.
 */
public final class Revocation {
    private static final Logger LOGGER = LoggerFactory.getLogger(Revocation.class);
    private static final String CRL_DISTRIBUTION_POINTS = "2.5.29.31";
    private static final String AUTHORITY_INFORMATION_ACCESS = "1.3.6.1.5.5.7.1.1";
    private static final Duration ANSWER_LIFE = Duration.ofMinutes(5);
    private static final int MOST_ANSWERS = 10_000;

    private final Executor executor;
    private final Duration patience;
    private final Cache<Question, CompletableFuture<Optional<String>>> answers = CacheBuilder.newBuilder()
            .expireAfterWrite(ANSWER_LIFE)
            .maximumSize(MOST_ANSWERS)
            .build();

    private record Question(X509Certificate leaf, TrustAnchors anchors) {}

    /** @param patience zero: never wait; an answer then counts from the first time it is there */
    public Revocation(Executor executor, Duration patience) {
        this.executor = executor;
        this.patience = patience;
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
        CompletableFuture<Optional<String>> other =
                answers.asMap().putIfAbsent(new Question(chain.get(0), anchors), fresh);
        if (other == null) {
            ask(path.get(), now, fresh);
        }
        return await(other == null ? fresh : other, chain.get(0));
    }

    private void ask(PKIXCertPathBuilderResult path, Instant now, CompletableFuture<Optional<String>> answer) {
        try {
            executor.execute(() -> {
                try {
                    answer.complete(validate(path, now));
                } catch (GeneralSecurityException | RuntimeException e) {
                    answer.completeExceptionally(e);
                }
            });
        } catch (RejectedExecutionException e) {
            answer.completeExceptionally(e);
        }
    }

    private Optional<String> await(CompletableFuture<Optional<String>> answer, X509Certificate leaf) {
        try {
            return answer.get(patience.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            LOGGER.info("Revocation of {} not known within {}", subject(leaf), patience);
        } catch (ExecutionException e) {
            LOGGER.warn("Revocation of {} cannot be checked: {}", subject(leaf), String.valueOf(e.getCause()));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return Optional.empty();
    }

    private static Optional<String> validate(PKIXCertPathBuilderResult path, Instant now)
            throws GeneralSecurityException {
        CertPathValidator validator = CertPathValidator.getInstance("PKIX");
        PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
        checker.setOptions(options(path));
        PKIXParameters parameters = new PKIXParameters(Set.of(path.getTrustAnchor()));
        parameters.setDate(Date.from(now));
        parameters.addCertPathChecker(checker);
        try {
            validator.validate(path.getCertPath(), parameters);
            return Optional.empty();
        } catch (CertPathValidatorException e) {
            if (e.getCause() instanceof CertificateRevokedException revoked) {
                return Optional.of("it was revoked on "
                        + revoked.getRevocationDate().toInstant() + " (" + revoked.getRevocationReason() + ")");
            }
            // the path itself is known to be good: whatever this is, it says nothing about revocation
            LOGGER.info("Revocation of {} is unknown: {}", subject(leafOf(path)), e.getMessage());
            return Optional.empty();
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
