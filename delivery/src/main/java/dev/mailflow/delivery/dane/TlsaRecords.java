/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.dane;

import java.security.GeneralSecurityException;
import java.security.InvalidAlgorithmParameterException;
import java.security.PublicKey;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertPathBuilderException;
import java.security.cert.CertStore;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.Collection;
import java.util.Comparator;
import java.util.Date;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

import dev.mailflow.delivery.tls.CertificateRefusedException;
import dev.mailflow.delivery.tls.PeerIdentity;
import dev.mailflow.delivery.tls.TlsFault;

/**
 * Judges certificate chains by TLSA records as a mail client must (RFC 7671, RFC 7672 section 3): usages DANE-TA and
 * DANE-EE, digest agility, no name and no date under DANE-EE, signatures, dates and name under DANE-TA. Pure.
 */
public final class TlsaRecords {
    private TlsaRecords() {}

    /**
     * Those that chains are judged by: what is usable, and of digests of the same usage and selector only the strongest
     * (RFC 7671 section 9), lest a weak digest that somebody can forge undo a strong one. Whole certificates and keys
     * always count.
     */
    public static Set<TlsaRecord> decisive(Collection<TlsaRecord> all) {
        List<TlsaRecord> usable = all.stream().filter(TlsaRecord::isUsable).toList();
        Map<List<Integer>, Integer> strongest = new HashMap<>();
        usable.forEach(each -> strongest.merge(List.of(each.usage(), each.selector()), each.matching(), Math::max));
        return usable.stream()
                .filter(each -> each.matching() == TlsaRecord.EXACT
                        || each.matching() == strongest.get(List.of(each.usage(), each.selector())))
                .collect(Collectors.toCollection(LinkedHashSet::new));
    }

    /**
     * Whether one of the records vouches for the chain.
     *
     * @param decisive see {@link #decisive}; not empty
     * @param chain as the peer sent it, its own certificate first
     * @param names whom a certificate under DANE-TA must speak for, one of them (RFC 7672 section 3.2.2)
     * @throws CertificateRefusedException naming what was found and what was expected
     */
    public static void check(Set<TlsaRecord> decisive, List<X509Certificate> chain, List<String> names, Instant now)
            throws CertificateRefusedException {
        X509Certificate leaf = chain.get(0);
        boolean vouchedFor =
                decisive.stream().anyMatch(each -> each.usage() == TlsaRecord.DANE_EE && each.matches(leaf));
        if (!vouchedFor) {
            checkAuthorities(decisive, chain, names, now);
        }
    }

    /**
     * Those of the records by which {@link #check} found a chain good, for people: those that describe one of its
     * certificates, else those that hold a whole authority.
     */
    public static List<TlsaRecord> vouching(Collection<TlsaRecord> decisive, List<X509Certificate> chain) {
        List<TlsaRecord> describing = decisive.stream()
                .filter(each -> each.usage() == TlsaRecord.DANE_EE
                        ? each.matches(chain.get(0))
                        : chain.stream().skip(1).anyMatch(each::matches))
                .sorted(Comparator.comparing(TlsaRecord::toString))
                .toList();
        return !describing.isEmpty()
                ? describing
                : decisive.stream()
                        .filter(each -> each.usage() == TlsaRecord.DANE_TA && each.matching() == TlsaRecord.EXACT)
                        .sorted(Comparator.comparing(TlsaRecord::toString))
                        .toList();
    }

    private static void checkAuthorities(
            Set<TlsaRecord> decisive, List<X509Certificate> chain, List<String> names, Instant now)
            throws CertificateRefusedException {
        X509Certificate leaf = chain.get(0);
        Set<TrustAnchor> anchors = anchors(decisive, chain);
        if (anchors.isEmpty()) {
            throw none(decisive, leaf);
        }
        try {
            X509CertSelector target = new X509CertSelector();
            target.setCertificate(leaf);
            PKIXBuilderParameters parameters = new PKIXBuilderParameters(anchors, target);
            parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(chain)));
            parameters.setDate(Date.from(now));
            // the owner of the zone withdraws a TLSA record instead
            parameters.setRevocationEnabled(false);
            CertPathBuilder.getInstance("PKIX").build(parameters);
        } catch (CertPathBuilderException e) {
            Optional<X509Certificate> late = chain.stream()
                    .filter(each -> now.isAfter(each.getNotAfter().toInstant())
                            || now.isBefore(each.getNotBefore().toInstant()))
                    .findFirst();
            if (late.isPresent()) {
                throw new CertificateRefusedException(
                        TlsFault.CERTIFICATE_EXPIRED,
                        "certificate '" + late.get().getSubjectX500Principal() + "' is valid from "
                                + late.get().getNotBefore().toInstant() + " to "
                                + late.get().getNotAfter().toInstant() + " only",
                        e);
            }
            throw none(decisive, leaf);
        } catch (InvalidAlgorithmParameterException e) {
            throw new CertificateRefusedException("TLSA authorities cannot be used: " + e.getMessage(), e);
        } catch (GeneralSecurityException e) {
            throw new CertificateRefusedException("certificate cannot be checked: " + e.getMessage(), e);
        }
        PeerIdentity.of(names)
                .orElseThrow(() -> new CertificateRefusedException(
                        TlsFault.CERTIFICATE_HOST_MISMATCH, "no certificate can be named " + names))
                .check(leaf);
    }

    /** Authorities that DANE-TA records name: among what the peer sent, or whole in the record. */
    private static Set<TrustAnchor> anchors(Set<TlsaRecord> decisive, List<X509Certificate> chain) {
        Set<TrustAnchor> anchors = new HashSet<>();
        for (TlsaRecord record : decisive) {
            if (record.usage() != TlsaRecord.DANE_TA) {
                continue;
            }
            // the peer's own certificate is no authority (RFC 7671 section 5.2)
            chain.stream()
                    .skip(1)
                    .filter(record::matches)
                    .forEach(authority -> anchors.add(new TrustAnchor(authority, null)));
            record.certificate()
                    .filter(authority -> !authority.equals(chain.get(0)))
                    .ifPresent(authority -> anchors.add(new TrustAnchor(authority, null)));
            record.publicKey().ifPresent(key -> chain.forEach(below -> anchors.add(bare(below, key))));
        }
        return anchors;
    }

    /** A key has no name: it may be that of whoever issued a certificate; the signature decides. */
    private static TrustAnchor bare(X509Certificate below, PublicKey key) {
        return new TrustAnchor(below.getIssuerX500Principal(), key, null);
    }

    private static CertificateRefusedException none(Set<TlsaRecord> decisive, X509Certificate leaf) {
        return new CertificateRefusedException(
                TlsFault.TLSA_INVALID,
                "none of the TLSA records vouches for certificate '" + leaf.getSubjectX500Principal() + "': they say "
                        + decisive.stream().map(TlsaRecord::toString).sorted().collect(Collectors.joining("; ")));
    }
}
