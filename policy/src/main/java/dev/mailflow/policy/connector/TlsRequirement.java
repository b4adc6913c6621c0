/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

import java.util.Optional;
import java.util.Set;

import dev.mailflow.policy.certificate.CertificatePin;
import dev.mailflow.policy.certificate.ClientKey;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.domain.DomainPattern;

/**
 * What a connector demands of TLS towards its next hops.
 *
 * @param name for {@link TlsLevel#DOMAIN}: the name the certificate must bear; empty: the recipient domain or MX host
 *     (with MX), the smart host's name (with smart hosts)
 * @param trustAnchors for {@link TlsLevel#CA} and {@link TlsLevel#DOMAIN}
 * @param pins for {@link TlsLevel#PINNED}; one of them must match
 * @param clientCertificate what we present when asked
 * @param mtaSts whether the MTA-STS policies of recipient domains are held besides (RFC 8461)
 * @param dane whether TLSA records are held besides (RFC 7672); they always are at {@link TlsLevel#DANE}
 */
public record TlsRequirement(
        TlsLevel level,
        Optional<DomainPattern> name,
        TrustAnchors trustAnchors,
        Set<CertificatePin> pins,
        Optional<ClientKey> clientCertificate,
        boolean mtaSts,
        boolean dane) {

    public TlsRequirement {
        pins = Set.copyOf(pins);
        dane = dane || level == TlsLevel.DANE;
    }

    /** A requirement that heeds nothing that destinations publish, unless its level is {@link TlsLevel#DANE}. */
    public TlsRequirement(
            TlsLevel level,
            Optional<DomainPattern> name,
            TrustAnchors trustAnchors,
            Set<CertificatePin> pins,
            Optional<ClientKey> clientCertificate) {
        this(level, name, trustAnchors, pins, clientCertificate, false, false);
    }

    /** A requirement of the given level with JDK trust anchors and nothing else. */
    public static TlsRequirement of(TlsLevel level) {
        return new TlsRequirement(level, Optional.empty(), TrustAnchors.jdk(), Set.of(), Optional.empty());
    }

    /** This requirement raised to at least {@link TlsLevel#ENCRYPT} (a rule's {@code requiretls}). */
    public TlsRequirement atLeastEncrypt() {
        return level.requiresTls() ? this : at(TlsLevel.ENCRYPT);
    }

    /**
     * This requirement raised until it authenticates the next hop (REQUIRETLS, RFC 8689 section 4.2.1): by name, unless it
     * does so already.
     */
    public TlsRequirement atLeastDomain() {
        return level.compareTo(TlsLevel.DOMAIN) >= 0 ? this : at(TlsLevel.DOMAIN);
    }

    private TlsRequirement at(TlsLevel other) {
        return new TlsRequirement(other, name, trustAnchors, pins, clientCertificate, mtaSts, dane);
    }

    /** This requirement with what destinations publish heeded or not; {@link TlsLevel#DANE} always heeds TLSA records. */
    public TlsRequirement heeding(boolean mtaStsPolicies, boolean tlsaRecords) {
        return new TlsRequirement(level, name, trustAnchors, pins, clientCertificate, mtaStsPolicies, tlsaRecords);
    }
}
