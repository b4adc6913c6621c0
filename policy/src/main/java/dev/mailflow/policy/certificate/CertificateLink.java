/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import java.security.GeneralSecurityException;
import java.security.cert.CertPath;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateRevokedException;
import java.security.cert.PKIXCertPathBuilderResult;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.PKIXRevocationChecker.Option;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Date;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.common.primitives.Bytes;

/**
 * A certificate of a path that was found good, and its issuer: what the JDK is asked about revocation, one at a time, because
 * its soft failure ends the check of a whole path at the first certificate that names no service.
 */
record CertificateLink(X509Certificate certificate, X509Certificate issuer) {
    private static final Logger LOGGER = LoggerFactory.getLogger(CertificateLink.class);
    private static final String CRL_DISTRIBUTION_POINTS = "2.5.29.31";
    private static final String AUTHORITY_INFORMATION_ACCESS = "1.3.6.1.5.5.7.1.1";
    /** DER of the object identifier 1.3.6.1.5.5.7.48.1, id-ad-ocsp. */
    private static final byte[] OCSP = {6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 1};

    /**
     * What is known of a certificate.
     *
     * @param isCertain false: nobody said anything that could be understood
     * @param objection when and why it was revoked
     */
    record Answer(boolean isCertain, Optional<String> objection) {
        static final Answer UNKNOWN = new Answer(false, Optional.empty());
        static final Answer GOOD = new Answer(true, Optional.empty());
    }

    /** Those of a path, leaf first. */
    static List<CertificateLink> of(PKIXCertPathBuilderResult path) {
        List<CertificateLink> links = new ArrayList<>();
        X509Certificate issuer = path.getTrustAnchor().getTrustedCert();
        List<X509Certificate> certificates = path.getCertPath().getCertificates().stream()
                .map(X509Certificate.class::cast)
                .toList();
        for (int i = certificates.size() - 1; i >= 0; i--) {
            links.add(new CertificateLink(certificates.get(i), issuer));
            issuer = certificates.get(i);
        }
        Collections.reverse(links);
        return links;
    }

    boolean namesAService() {
        return certificate.getExtensionValue(CRL_DISTRIBUTION_POINTS) != null || namesAResponder();
    }

    /** Other things than responders are named in the same place. */
    private boolean namesAResponder() {
        return access().length > 0 && Bytes.indexOf(access(), OCSP) >= 0;
    }

    /** What the certificate says of its issuer's services, as it stands there; empty: nothing. */
    byte[] access() {
        byte[] access = certificate.getExtensionValue(AUTHORITY_INFORMATION_ACCESS);
        return access == null ? new byte[0] : access;
    }

    /** Asks the service; blocks. */
    Answer ask(Instant now) {
        return namesAResponder()
                ? check(EnumSet.of(Option.SOFT_FAIL), Map.of(), now)
                : check(EnumSet.of(Option.SOFT_FAIL, Option.PREFER_CRLS), Map.of(), now);
    }

    /** What an OCSP response says; asks nobody. */
    Answer judge(byte[] response, Instant now) {
        return check(EnumSet.of(Option.SOFT_FAIL, Option.NO_FALLBACK), Map.of(certificate, response), now);
    }

    private Answer check(Set<Option> options, Map<X509Certificate, byte[]> responses, Instant now) {
        PKIXRevocationChecker checker;
        try {
            CertPathValidator validator = CertPathValidator.getInstance("PKIX");
            checker = (PKIXRevocationChecker) validator.getRevocationChecker();
            checker.setOptions(options);
            checker.setOcspResponses(responses);
            PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(issuer, null)));
            parameters.setDate(Date.from(now));
            parameters.addCertPathChecker(checker);
            CertPath alone = CertificateFactory.getInstance("X.509").generateCertPath(List.of(certificate));
            validator.validate(alone, parameters);
        } catch (CertPathValidatorException e) {
            if (e.getReason() == CertPathValidatorException.BasicReason.REVOKED) {
                String when = e.getCause() instanceof CertificateRevokedException revoked
                        ? " on " + revoked.getRevocationDate().toInstant() + " (" + revoked.getRevocationReason() + ")"
                        : "";
                return new Answer(true, Optional.of("revoked" + when));
            }
            // the path itself is known to be good: whatever this is, it says nothing about revocation
            return unknown(e);
        } catch (GeneralSecurityException e) {
            return unknown(e);
        }
        return checker.getSoftFailExceptions().isEmpty()
                ? Answer.GOOD
                : unknown(checker.getSoftFailExceptions().get(0));
    }

    private Answer unknown(Exception why) {
        LOGGER.info("Revocation of {} is unknown: {}", this, why.getMessage());
        return Answer.UNKNOWN;
    }

    @Override
    public String toString() {
        return "'" + certificate.getSubjectX500Principal().getName() + "'";
    }
}
