/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import java.security.GeneralSecurityException;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.Certificate;
import java.security.cert.CertificateRevokedException;
import java.security.cert.PKIXCertPathBuilderResult;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.util.Date;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Asks whether certificates are revoked: the stapled OCSP response, the OCSP responder, the revocation list. Only a
 * certain "revoked" refuses; a service that cannot be reached, or not in time, does not (section 3 of the mail-flow
 * behaviour: "revocation when reachable"), else whoever can disturb that service could stop all mail.
 */
final class RevocationCheck {
    private static final Logger LOGGER = LoggerFactory.getLogger(RevocationCheck.class);
    private static final String CRL_DISTRIBUTION_POINTS = "2.5.29.31";
    private static final String AUTHORITY_INFORMATION_ACCESS = "1.3.6.1.5.5.7.1.1";

    private final ExecutorService executor;
    private final Duration limit;
    private final Clock clock;

    RevocationCheck(ExecutorService executor, Duration limit, Clock clock) {
        this.executor = executor;
        this.limit = limit;
        this.clock = clock;
    }

    void check(PKIXCertPathBuilderResult path, Map<X509Certificate, byte[]> stapled)
            throws CertificateRefusedException {
        boolean askable = path.getCertPath().getCertificates().stream()
                .map(X509Certificate.class::cast)
                .anyMatch(RevocationCheck::namesAService);
        if (!askable && stapled.isEmpty()) {
            return;
        }
        Callable<Void> validation = () -> {
            validate(path, stapled);
            return null;
        };
        Future<Void> running;
        try {
            running = executor.submit(validation);
        } catch (RejectedExecutionException e) {
            LOGGER.warn("Revocation of certificate '{}' not checked: too busy", subject(path));
            return;
        }
        try {
            running.get(limit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            running.cancel(true);
            LOGGER.info("Revocation of certificate '{}' not known within {}", subject(path), limit);
        } catch (InterruptedException e) {
            running.cancel(true);
            Thread.currentThread().interrupt();
            throw CertificateRefusedException.notJudged("interrupted while checking revocation", e);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof CertPathValidatorException invalid
                    && invalid.getReason() == CertPathValidatorException.BasicReason.REVOKED) {
                String when = invalid.getCause() instanceof CertificateRevokedException revoked
                        ? " on " + revoked.getRevocationDate().toInstant() + " (" + revoked.getRevocationReason() + ")"
                        : "";
                throw new CertificateRefusedException("certificate was revoked" + when, invalid);
            }
            LOGGER.info(
                    "Revocation of certificate '{}' not known: {}",
                    subject(path),
                    e.getCause().getMessage());
        }
    }

    private void validate(PKIXCertPathBuilderResult path, Map<X509Certificate, byte[]> stapled)
            throws GeneralSecurityException {
        CertPathValidator validator = CertPathValidator.getInstance("PKIX");
        PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
        checker.setOptions(options(path.getCertPath().getCertificates()));
        checker.setOcspResponses(stapled);
        PKIXParameters parameters = new PKIXParameters(Set.of(path.getTrustAnchor()));
        parameters.setDate(Date.from(clock.instant()));
        parameters.addCertPathChecker(checker);
        validator.validate(path.getCertPath(), parameters);
    }

    // The JDK's soft failure does not cover certificates that name no service at all: they would end the check early.
    private static Set<PKIXRevocationChecker.Option> options(List<? extends Certificate> chain) {
        Set<PKIXRevocationChecker.Option> options = EnumSet.of(PKIXRevocationChecker.Option.SOFT_FAIL);
        if (((X509Certificate) chain.get(0)).getExtensionValue(AUTHORITY_INFORMATION_ACCESS) == null) {
            options.add(PKIXRevocationChecker.Option.PREFER_CRLS);
        }
        if (!chain.stream().skip(1).map(X509Certificate.class::cast).allMatch(RevocationCheck::namesAService)) {
            options.add(PKIXRevocationChecker.Option.ONLY_END_ENTITY);
        }
        return options;
    }

    private static boolean namesAService(X509Certificate certificate) {
        return certificate.getExtensionValue(CRL_DISTRIBUTION_POINTS) != null
                || certificate.getExtensionValue(AUTHORITY_INFORMATION_ACCESS) != null;
    }

    private static String subject(PKIXCertPathBuilderResult path) {
        return ((X509Certificate) path.getCertPath().getCertificates().get(0))
                .getSubjectX500Principal()
                .getName();
    }
}
