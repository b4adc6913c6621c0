/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.testing;

import java.io.IOException;
import java.io.StringReader;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.cert.X509CRL;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x500.X500NameBuilder;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x509.AccessDescription;
import org.bouncycastle.asn1.x509.AuthorityInformationAccess;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.CRLDistPoint;
import org.bouncycastle.asn1.x509.CRLReason;
import org.bouncycastle.asn1.x509.DistributionPoint;
import org.bouncycastle.asn1.x509.DistributionPointName;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.Extensions;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.jcajce.JcaX509CRLConverter;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cert.jcajce.JcaX509v2CRLBuilder;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.cert.ocsp.BasicOCSPResp;
import org.bouncycastle.cert.ocsp.CertificateID;
import org.bouncycastle.cert.ocsp.CertificateStatus;
import org.bouncycastle.cert.ocsp.OCSPException;
import org.bouncycastle.cert.ocsp.OCSPRespBuilder;
import org.bouncycastle.cert.ocsp.RevokedStatus;
import org.bouncycastle.cert.ocsp.jcajce.JcaBasicOCSPRespBuilder;
import org.bouncycastle.cert.ocsp.jcajce.JcaCertificateID;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.openssl.jcajce.JcaPKCS8Generator;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequest;

/**
 * Makes the certificates that tests need, good and bad:
 *
 * <pre>{@code
 * var ca = TestCertificates.authority("Test CA");
 * var good = ca.leaf("mail.fabrikam.com").issue();
 * var late = ca.leaf("mail.fabrikam.com").expired().issue();
 * var own = TestCertificates.selfSigned("mail.fabrikam.com");
 * }</pre>
 */
public final class TestCertificates {

    /** The password of every key store written here. */
    public static final String PASSWORD = "changeit";

    private static final AtomicLong SERIAL = new AtomicLong(System.nanoTime());

    private TestCertificates() {}

    /** A root certificate authority, valid from yesterday for ten years. */
    public static Authority authority(String commonName) {
        KeyPair keys = keys("RSA", 2048);
        Draft draft = new Draft(name(commonName), keys, name(commonName), keys.getPrivate(), List.of());
        draft.authority = true;
        return new Authority(draft.until(Duration.ofDays(3650)).issue());
    }

    /** A certificate signed by its own key, for the given DNS names; the first is also its CN. */
    public static Issued selfSigned(String... dnsNames) {
        return selfSignedDraft(dnsNames).issue();
    }

    /** As {@link #selfSigned} but not issued yet, to be made worse. */
    public static Draft selfSignedDraft(String... dnsNames) {
        KeyPair keys = keys("RSA", 2048);
        Draft draft = new Draft(name(dnsNames[0]), keys, name(dnsNames[0]), keys.getPrivate(), List.of());
        return draft.dnsNames(dnsNames);
    }

    /** Writes certificates as PEM. */
    public static Path writePem(Path file, X509Certificate... certificates) {
        try (var out = new JcaPEMWriter(Files.newBufferedWriter(file))) {
            for (X509Certificate certificate : certificates) {
                out.writeObject(certificate);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return file;
    }

    /** Writes a PKCS #12 store of trusted certificates (password {@value #PASSWORD}). */
    public static Path writeTrustStore(Path file, X509Certificate... certificates) {
        try (var out = Files.newOutputStream(file)) {
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(null, null);
            for (int i = 0; i < certificates.length; i++) {
                store.setCertificateEntry("ca" + i, certificates[i]);
            }
            store.store(out, PASSWORD.toCharArray());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
        return file;
    }

    /** The SHA-256 of a certificate's DER form, in lower-case hexadecimal. */
    public static String sha256(X509Certificate certificate) {
        try {
            return sha256(certificate.getEncoded());
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The SHA-256 of a certificate's SubjectPublicKeyInfo, in lower-case hexadecimal. */
    public static String spkiSha256(X509Certificate certificate) {
        return sha256(certificate.getPublicKey().getEncoded());
    }

    private static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static X500Name name(String commonName) {
        return new X500NameBuilder().addRDN(BCStyle.CN, commonName).build();
    }

    private static KeyPair keys(String algorithm, int bits) {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance(algorithm);
            generator.initialize(bits, new SecureRandom());
            return generator.generateKeyPair();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A certificate authority, root or intermediate. */
    public static final class Authority {
        private final Issued own;

        private Authority(Issued own) {
            this.own = own;
        }

        public X509Certificate certificate() {
            return own.certificate();
        }

        /** A certificate authority below this one. */
        public Authority intermediate(String commonName) {
            Draft draft = draft(commonName);
            draft.authority = true;
            return new Authority(draft.until(Duration.ofDays(3650)).issue());
        }

        /** A server and client certificate for the DNS names (SAN); the first is also its CN. */
        public Draft leaf(String... dnsNames) {
            return draft(dnsNames[0]).dnsNames(dnsNames);
        }

        /** A certificate with a CN and no SAN at all. */
        public Draft leafWithoutSan(String commonName) {
            return draft(commonName);
        }

        /** A list of the given certificates, revoked, valid for a day. */
        public X509CRL revoke(X509Certificate... revoked) {
            try {
                Instant now = Instant.now();
                var builder = new JcaX509v2CRLBuilder(
                        certificate().getSubjectX500Principal(), Date.from(now.minusSeconds(60)));
                builder.setNextUpdate(Date.from(now.plus(Duration.ofDays(1))));
                for (X509Certificate each : revoked) {
                    builder.addCRLEntry(each.getSerialNumber(), Date.from(now.minusSeconds(60)), 1);
                }
                return new JcaX509CRLConverter()
                        .getCRL(builder.build(new JcaContentSignerBuilder("SHA256withRSA").build(own.key())));
            } catch (GeneralSecurityException | OperatorCreationException e) {
                throw new IllegalStateException(e);
            }
        }

        /** An OCSP response (DER) about a certificate, as a server staples it. */
        public byte[] ocspResponse(X509Certificate about, boolean revoked) {
            try {
                var digests = new JcaDigestCalculatorProviderBuilder().build();
                var builder =
                        new JcaBasicOCSPRespBuilder(certificate().getPublicKey(), digests.get(CertificateID.HASH_SHA1));
                builder.addResponse(
                        new JcaCertificateID(
                                digests.get(CertificateID.HASH_SHA1), certificate(), about.getSerialNumber()),
                        revoked
                                ? new RevokedStatus(Date.from(Instant.now().minusSeconds(60)), CRLReason.keyCompromise)
                                : CertificateStatus.GOOD);
                BasicOCSPResp response = builder.build(
                        new JcaContentSignerBuilder("SHA256withRSA").build(own.key()),
                        null,
                        Date.from(Instant.now().minusSeconds(60)));
                return new OCSPRespBuilder()
                        .build(OCSPRespBuilder.SUCCESSFUL, response)
                        .getEncoded();
            } catch (IOException | GeneralSecurityException | OCSPException | OperatorCreationException e) {
                throw new IllegalStateException(e);
            }
        }

        /** Signs a request (PKCS #10, PEM) as it is, and writes the certificate as PEM. */
        public Path sign(String request, Path file) {
            try (PEMParser parser = new PEMParser(new StringReader(request))) {
                var read = new JcaPKCS10CertificationRequest((PKCS10CertificationRequest) parser.readObject());
                Draft draft = new Draft(
                        read.getSubject(),
                        new KeyPair(read.getPublicKey(), own.key()),
                        X500Name.getInstance(
                                certificate().getSubjectX500Principal().getEncoded()),
                        own.key(),
                        List.of());
                Extensions asked = Extensions.getInstance(
                        read.getAttributes()[0].getAttrValues().getObjectAt(0));
                for (GeneralName each : GeneralNames.fromExtensions(asked, Extension.subjectAlternativeName)
                        .getNames()) {
                    draft.alternatives.add(each);
                }
                return draft.issue().writeChainPem(file);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            } catch (GeneralSecurityException e) {
                throw new IllegalStateException(e);
            }
        }

        private Draft draft(String commonName) {
            List<X509Certificate> above = new ArrayList<>();
            if (!own.chain().isEmpty()
                    && !own.certificate()
                            .getSubjectX500Principal()
                            .equals(own.certificate().getIssuerX500Principal())) {
                above.addAll(own.chain());
            }
            return new Draft(
                    name(commonName),
                    keys("RSA", 2048),
                    X500Name.getInstance(certificate().getSubjectX500Principal().getEncoded()),
                    own.key(),
                    above);
        }
    }

    /** A certificate about to be issued. */
    public static final class Draft {
        private final X500Name subject;
        private KeyPair keys;
        private final X500Name issuer;
        private final PrivateKey issuerKey;
        private final List<X509Certificate> above;
        private final List<GeneralName> alternatives = new ArrayList<>();
        private Instant notBefore = Instant.now().minus(Duration.ofDays(1));
        private Instant notAfter = Instant.now().plus(Duration.ofDays(365));
        private String signature = "SHA256withRSA";
        private Optional<String> crlUrl = Optional.empty();
        private Optional<String> ocspUrl = Optional.empty();
        private List<KeyPurposeId> purposes = List.of(KeyPurposeId.id_kp_serverAuth, KeyPurposeId.id_kp_clientAuth);
        private boolean authority;

        private Draft(
                X500Name subject, KeyPair keys, X500Name issuer, PrivateKey issuerKey, List<X509Certificate> above) {
            this.subject = subject;
            this.keys = keys;
            this.issuer = issuer;
            this.issuerKey = issuerKey;
            this.above = above;
        }

        private Draft dnsNames(String... names) {
            for (String each : names) {
                alternatives.add(new GeneralName(GeneralName.dNSName, each));
            }
            return this;
        }

        /** Another CN than the first SAN. */
        public Draft commonName(String commonName) {
            Draft other = new Draft(name(commonName), keys, issuer, issuerKey, above);
            other.alternatives.addAll(alternatives);
            other.notBefore = notBefore;
            other.notAfter = notAfter;
            other.signature = signature;
            other.crlUrl = crlUrl;
            other.ocspUrl = ocspUrl;
            other.purposes = purposes;
            other.authority = authority;
            return other;
        }

        /** Also for an IP address. */
        public Draft ipAddress(String address) {
            alternatives.add(new GeneralName(GeneralName.iPAddress, address));
            return this;
        }

        /** Also for a URI, which may be malformed. */
        public Draft uri(String uri) {
            alternatives.add(new GeneralName(GeneralName.uniformResourceIdentifier, uri));
            return this;
        }

        /** Also for another DNS name, which may be malformed. */
        public Draft dnsName(String name) {
            return dnsNames(name);
        }

        /** Ended yesterday. */
        public Draft expired() {
            notBefore = Instant.now().minus(Duration.ofDays(30));
            notAfter = Instant.now().minus(Duration.ofDays(1));
            return this;
        }

        /** Begins tomorrow. */
        public Draft notYetValid() {
            notBefore = Instant.now().plus(Duration.ofDays(1));
            return this;
        }

        /** Valid for the given time from now. */
        public Draft until(Duration fromNow) {
            notAfter = Instant.now().plus(fromNow);
            return this;
        }

        /** 1024-bit RSA key and SHA-1 signature, which no sound verifier accepts. */
        public Draft weak() {
            keys = keys("RSA", 1024);
            signature = "SHA1withRSA";
            return this;
        }

        /** An elliptic-curve key (P-256). */
        public Draft ellipticCurve() {
            keys = keys("EC", 256);
            return this;
        }

        /** For these extended key usages only, e.g. {@code 1.3.6.1.5.5.7.3.2} for clients. */
        public Draft usage(String... oids) {
            purposes = Arrays.stream(oids)
                    .map(oid -> KeyPurposeId.getInstance(new ASN1ObjectIdentifier(oid)))
                    .toList();
            return this;
        }

        /** Names a revocation list. */
        public Draft crl(String url) {
            crlUrl = Optional.of(url);
            return this;
        }

        /** Names an OCSP responder. */
        public Draft ocsp(String url) {
            ocspUrl = Optional.of(url);
            return this;
        }

        public Issued issue() {
            try {
                var extensions = new JcaX509ExtensionUtils();
                var builder = new JcaX509v3CertificateBuilder(
                        issuer,
                        BigInteger.valueOf(SERIAL.incrementAndGet()),
                        Date.from(notBefore),
                        Date.from(notAfter),
                        subject,
                        keys.getPublic());
                builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(authority));
                builder.addExtension(
                        Extension.subjectKeyIdentifier, false, extensions.createSubjectKeyIdentifier(keys.getPublic()));
                if (authority) {
                    builder.addExtension(
                            Extension.keyUsage, true, new KeyUsage(KeyUsage.keyCertSign | KeyUsage.cRLSign));
                } else {
                    builder.addExtension(
                            Extension.keyUsage,
                            true,
                            new KeyUsage(KeyUsage.digitalSignature | KeyUsage.keyEncipherment));
                    builder.addExtension(
                            Extension.extendedKeyUsage,
                            false,
                            new ExtendedKeyUsage(purposes.toArray(KeyPurposeId[]::new)));
                }
                if (!alternatives.isEmpty()) {
                    builder.addExtension(
                            Extension.subjectAlternativeName,
                            false,
                            new GeneralNames(alternatives.toArray(GeneralName[]::new)));
                }
                if (crlUrl.isPresent()) {
                    var point = new DistributionPointName(
                            new GeneralNames(new GeneralName(GeneralName.uniformResourceIdentifier, crlUrl.get())));
                    builder.addExtension(
                            Extension.cRLDistributionPoints,
                            false,
                            new CRLDistPoint(new DistributionPoint[] {new DistributionPoint(point, null, null)}));
                }
                if (ocspUrl.isPresent()) {
                    builder.addExtension(
                            Extension.authorityInfoAccess,
                            false,
                            new AuthorityInformationAccess(
                                    AccessDescription.id_ad_ocsp,
                                    new GeneralName(GeneralName.uniformResourceIdentifier, ocspUrl.get())));
                }
                X509Certificate certificate = new JcaX509CertificateConverter()
                        .getCertificate(builder.build(new JcaContentSignerBuilder(signature).build(issuerKey)));
                List<X509Certificate> chain = new ArrayList<>();
                chain.add(certificate);
                chain.addAll(above);
                return new Issued(keys.getPrivate(), chain);
            } catch (IOException | GeneralSecurityException | OperatorCreationException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    /**
     * A certificate with its key.
     *
     * @param chain leaf first, without the root
     */
    public record Issued(PrivateKey key, List<X509Certificate> chain) {

        public Issued {
            chain = List.copyOf(chain);
        }

        public X509Certificate certificate() {
            return chain.get(0);
        }

        /** A key store in memory with this entry, password {@value TestCertificates#PASSWORD}. */
        public KeyStore keyStore(String alias) {
            try {
                KeyStore store = KeyStore.getInstance("PKCS12");
                store.load(null, null);
                store.setKeyEntry(alias, key, PASSWORD.toCharArray(), chain.toArray(X509Certificate[]::new));
                return store;
            } catch (IOException | GeneralSecurityException e) {
                throw new IllegalStateException(e);
            }
        }

        /** Writes a PKCS #12 key store (password {@value TestCertificates#PASSWORD}). */
        public Path writePkcs12(Path file, String alias) {
            try (var out = Files.newOutputStream(file)) {
                keyStore(alias).store(out, PASSWORD.toCharArray());
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            } catch (GeneralSecurityException e) {
                throw new IllegalStateException(e);
            }
            return file;
        }

        /** Writes the chain as PEM, leaf first. */
        public Path writeChainPem(Path file) {
            return writePem(file, chain.toArray(X509Certificate[]::new));
        }

        /** Writes the unencrypted key as PKCS #8 PEM. */
        public Path writeKeyPem(Path file) {
            StringWriter text = new StringWriter();
            try (var out = new JcaPEMWriter(text)) {
                out.writeObject(new JcaPKCS8Generator(key, null));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            try {
                return Files.writeString(file, text.toString());
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
