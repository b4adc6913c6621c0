/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.dane;

import java.io.ByteArrayInputStream;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.X509EncodedKeySpec;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

import org.xbill.DNS.TLSARecord;

/**
 * What a TLSA record says (RFC 6698): which certificate or key a server shows, or which authority vouches for it.
 *
 * @param usage 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE
 * @param selector 0 the certificate, 1 its public key
 * @param matching 0 the thing itself, 1 its SHA-256, 2 its SHA-512
 * @param data lower-case hexadecimal
 */
public record TlsaRecord(int usage, int selector, int matching, String data) {
    public static final int DANE_TA = 2;
    public static final int DANE_EE = 3;
    public static final int CERTIFICATE = 0;
    public static final int PUBLIC_KEY = 1;
    public static final int EXACT = 0;
    public static final int SHA_256 = 1;
    public static final int SHA_512 = 2;

    private static final List<String> KEY_ALGORITHMS = List.of("RSA", "EC", "EdDSA", "RSASSA-PSS", "DSA");

    public static TlsaRecord of(TLSARecord record) {
        return new TlsaRecord(
                record.getCertificateUsage(),
                record.getSelector(),
                record.getMatchingType(),
                HexFormat.of().formatHex(record.getCertificateAssociationData()));
    }

    /**
     * Whether a mail client can judge by it: usages 0 and 1 have no meaning for SMTP (RFC 7672 section 3.1.3), other
     * values are of the future, and data that cannot be what it should be is a mistake.
     */
    public boolean isUsable() {
        if (usage != DANE_TA && usage != DANE_EE) {
            return false;
        }
        if (selector != CERTIFICATE && selector != PUBLIC_KEY) {
            return false;
        }
        return switch (matching) {
            case EXACT -> selector == CERTIFICATE
                    ? certificate().isPresent()
                    : publicKey().isPresent();
            case SHA_256 -> data.length() == 64;
            case SHA_512 -> data.length() == 128;
            default -> false;
        };
    }

    /** Whether it describes this certificate. */
    public boolean matches(X509Certificate certificate) {
        try {
            byte[] chosen = selector == CERTIFICATE
                    ? certificate.getEncoded()
                    : certificate.getPublicKey().getEncoded();
            byte[] compared =
                    switch (matching) {
                        case EXACT -> chosen;
                        case SHA_256 -> MessageDigest.getInstance("SHA-256").digest(chosen);
                        default -> MessageDigest.getInstance("SHA-512").digest(chosen);
                    };
            return HexFormat.of().formatHex(compared).equals(data);
        } catch (GeneralSecurityException e) {
            return false;
        }
    }

    /** The certificate it holds, if it holds a whole one. */
    public Optional<X509Certificate> certificate() {
        if (selector != CERTIFICATE || matching != EXACT) {
            return Optional.empty();
        }
        try {
            return Optional.of((X509Certificate)
                    CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(bytes())));
        } catch (GeneralSecurityException | IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    /** The public key it holds, if it holds a whole one. */
    public Optional<PublicKey> publicKey() {
        if (selector != PUBLIC_KEY || matching != EXACT) {
            return Optional.empty();
        }
        for (String algorithm : KEY_ALGORITHMS) {
            try {
                return Optional.of(KeyFactory.getInstance(algorithm).generatePublic(new X509EncodedKeySpec(bytes())));
            } catch (GeneralSecurityException | IllegalArgumentException e) {
                // a key of another kind, or none at all
            }
        }
        return Optional.empty();
    }

    private byte[] bytes() {
        return HexFormat.of().parseHex(data);
    }

    /** The whole record as in a zone file, without its owner. */
    public String rdata() {
        return usage + " " + selector + " " + matching + " " + data;
    }

    /** For people: not the whole of what is long. */
    @Override
    public String toString() {
        return usage + " " + selector + " " + matching + " "
                + (data.length() <= 64 ? data : data.substring(0, 64) + "…");
    }
}
