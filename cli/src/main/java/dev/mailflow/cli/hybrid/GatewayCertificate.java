/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.StringReader;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPublicKey;
import java.security.interfaces.RSAPublicKey;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMEncryptedKeyPair;
import org.bouncycastle.openssl.PEMException;
import org.bouncycastle.openssl.PEMKeyPair;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.openssl.jcajce.JcaPKCS8Generator;
import org.bouncycastle.openssl.jcajce.JceOpenSSLPKCS8DecryptorProviderBuilder;
import org.bouncycastle.openssl.jcajce.JcePEMDecryptorProviderBuilder;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.pkcs.PKCS8EncryptedPrivateKeyInfo;
import org.bouncycastle.pkcs.PKCSException;

import dev.mailflow.policy.certificate.CertificateNames;
import dev.mailflow.policy.domain.DomainPattern;

/**
 * The key and certificate chain by which this gateway is known to the cloud and to the world.
 *
 * @param chain leaf first, each issued by the next; never empty
 */
record GatewayCertificate(PrivateKey key, List<X509Certificate> chain) {
    static final String ALIAS = "gateway";
    private static final String SERVER_AUTHENTICATION = "1.3.6.1.5.5.7.3.1";
    private static final String CLIENT_AUTHENTICATION = "1.3.6.1.5.5.7.3.2";
    private static final String ANY_USAGE = "2.5.29.37.0";
    private static final int LEAST_RSA_BITS = 2048;
    private static final int LEAST_EC_BITS = 256;
    private static final int DIGITAL_SIGNATURE = 0;

    GatewayCertificate {
        chain = List.copyOf(chain);
    }

    X509Certificate leaf() {
        return chain.get(0);
    }

    boolean isSelfSigned() {
        return leaf().getIssuerX500Principal().equals(leaf().getSubjectX500Principal());
    }

    /**
     * Reads a certificate with its key.
     *
     * @param file PKCS #12, JKS, or PEM with the chain (and the key, unless {@code keyFile} has it)
     * @param password of the key store or of the key
     * @throws IOException saying what is wrong with which file
     */
    static GatewayCertificate read(Path file, Optional<Path> keyFile, Optional<String> password) throws IOException {
        byte[] content = Files.readAllBytes(file);
        String text = new String(content, StandardCharsets.ISO_8859_1);
        if (!text.contains("-----BEGIN ")) {
            return fromKeyStore(file, content, password);
        }
        List<X509Certificate> certificates = new ArrayList<>();
        Optional<PrivateKey> key = Optional.empty();
        for (Object each : pem(file, text)) {
            if (each instanceof X509CertificateHolder holder) {
                try {
                    certificates.add(new JcaX509CertificateConverter().getCertificate(holder));
                } catch (GeneralSecurityException e) {
                    throw new IOException(file + ": a certificate in it is damaged: " + e.getMessage(), e);
                }
            } else if (key.isEmpty()) {
                key = key(file, each, password);
            }
        }
        if (keyFile.isPresent()) {
            key = Optional.empty();
            for (Object each : pem(keyFile.get(), Files.readString(keyFile.get(), StandardCharsets.ISO_8859_1))) {
                key = key.isPresent() ? key : key(keyFile.get(), each, password);
            }
        }
        if (certificates.isEmpty()) {
            throw new IOException(file + ": found no certificate in it, expected PEM with the chain, leaf first");
        }
        Path where = keyFile.orElse(file);
        return new GatewayCertificate(
                key.orElseThrow(() -> new IOException(where
                        + ": found no private key in it, expected PEM with one, or its file as --certificate-key")),
                ordered(certificates));
    }

    private static List<Object> pem(Path file, String text) throws IOException {
        List<Object> all = new ArrayList<>();
        try (PEMParser parser = new PEMParser(new StringReader(text))) {
            for (Object next = parser.readObject(); next != null; next = parser.readObject()) {
                all.add(next);
            }
        } catch (PEMException e) {
            throw new IOException(file + ": cannot be read as PEM: " + e.getMessage(), e);
        }
        return all;
    }

    private static Optional<PrivateKey> key(Path file, Object read, Optional<String> password) throws IOException {
        try {
            PrivateKeyInfo info;
            if (read instanceof PEMKeyPair pair) {
                info = pair.getPrivateKeyInfo();
            } else if (read instanceof PrivateKeyInfo plain) {
                info = plain;
            } else if (read instanceof PKCS8EncryptedPrivateKeyInfo encrypted) {
                info = encrypted.decryptPrivateKeyInfo(new JceOpenSSLPKCS8DecryptorProviderBuilder()
                        .setProvider(new BouncyCastleProvider())
                        .build(secret(file, password).toCharArray()));
            } else if (read instanceof PEMEncryptedKeyPair encrypted) {
                info = encrypted
                        .decryptKeyPair(new JcePEMDecryptorProviderBuilder()
                                .setProvider(new BouncyCastleProvider())
                                .build(secret(file, password).toCharArray()))
                        .getPrivateKeyInfo();
            } else {
                return Optional.empty();
            }
            return Optional.of(new JcaPEMKeyConverter().getPrivateKey(info));
        } catch (PKCSException | OperatorCreationException | PEMException e) {
            throw new IOException(
                    file + ": the private key cannot be read; expected PKCS #8 or PKCS #1, and its right password if it"
                            + " is encrypted",
                    e);
        }
    }

    private static String secret(Path file, Optional<String> password) throws IOException {
        return password.orElseThrow(() -> new IOException(
                file + ": the key is encrypted; give the file that holds its password as --certificate-password-file"));
    }

    private static GatewayCertificate fromKeyStore(Path file, byte[] content, Optional<String> password)
            throws IOException {
        char[] secret = password.orElse("").toCharArray();
        try {
            boolean jks = content.length > 1 && content[0] == (byte) 0xFE && content[1] == (byte) 0xED;
            KeyStore store = KeyStore.getInstance(jks ? "JKS" : "PKCS12");
            store.load(new ByteArrayInputStream(content), secret);
            for (String alias : Collections.list(store.aliases())) {
                if (store.isKeyEntry(alias) && store.getKey(alias, secret) instanceof PrivateKey key) {
                    Certificate[] chain = store.getCertificateChain(alias);
                    return new GatewayCertificate(
                            key,
                            Arrays.stream(chain)
                                    .filter(X509Certificate.class::isInstance)
                                    .map(X509Certificate.class::cast)
                                    .toList());
                }
            }
        } catch (IOException e) {
            throw new IOException(
                    file + ": found neither PEM nor a key store that "
                            + (password.isPresent() ? "the password" : "no password")
                            + " opens; expected PKCS #12 or PEM, and the password in --certificate-password-file",
                    e);
        } catch (GeneralSecurityException e) {
            throw new IOException(file + ": the key store cannot be read: " + e.getMessage(), e);
        }
        throw new IOException(file + ": found no private key in it, expected one with its certificate chain");
    }

    /** Leaf first, then its issuer, and so on; what is not on the way is left out. */
    private static List<X509Certificate> ordered(List<X509Certificate> certificates) {
        X509Certificate leaf = certificates.stream()
                .filter(candidate -> certificates.stream()
                        .noneMatch(other -> !other.equals(candidate)
                                && other.getIssuerX500Principal().equals(candidate.getSubjectX500Principal())))
                .findFirst()
                .orElse(certificates.get(0));
        List<X509Certificate> chain = new ArrayList<>(List.of(leaf));
        Optional<X509Certificate> next = Optional.of(leaf);
        while (next.isPresent()) {
            X509Certificate below = next.get();
            next = certificates.stream()
                    .filter(candidate -> !chain.contains(candidate)
                            && candidate.getSubjectX500Principal().equals(below.getIssuerX500Principal()))
                    .findFirst();
            next.ifPresent(chain::add);
        }
        return chain;
    }

    /** Why it cannot work for a host of this name; empty when it can. */
    List<String> objections(String hostName, Instant now) {
        List<String> objections = new ArrayList<>();
        for (X509Certificate each : chain) {
            String which = each.equals(leaf())
                    ? "the certificate"
                    : "the issuing certificate '"
                            + each.getSubjectX500Principal().getName() + "'";
            if (now.isAfter(each.getNotAfter().toInstant())) {
                objections.add(which + " expired at " + each.getNotAfter().toInstant());
            }
            if (now.isBefore(each.getNotBefore().toInstant())) {
                objections.add(
                        which + " is not valid before " + each.getNotBefore().toInstant());
            }
            weaknesses(each).forEach(weak -> objections.add(which + " has " + weak));
        }
        if (!keyFits()) {
            objections.add("the private key does not belong to the certificate");
        }
        CertificateNames names = CertificateNames.of(leaf());
        if (!names.satisfy(DomainPattern.parse(hostName))) {
            objections.add("the certificate is for " + names + ", expected one for " + hostName);
        }
        usage().ifPresent(objections::add);
        for (int i = 0; i + 1 < chain.size(); i++) {
            try {
                chain.get(i).verify(chain.get(i + 1).getPublicKey());
            } catch (GeneralSecurityException e) {
                objections.add("the chain is broken: '"
                        + chain.get(i + 1).getSubjectX500Principal().getName() + "' did not sign the one before it");
            }
        }
        return objections;
    }

    /** What will probably be a trouble, for people. */
    List<String> warnings() {
        List<String> warnings = new ArrayList<>();
        if (isSelfSigned()) {
            warnings.add("the certificate is self-signed: the cloud will not take it in earnest; for trials only");
        }
        try {
            List<String> usages = leaf().getExtendedKeyUsage();
            if (usages != null && !usages.contains(CLIENT_AUTHENTICATION) && !usages.contains(ANY_USAGE)) {
                warnings.add(
                        "the certificate is not made for client authentication (clientAuth): some servers refuse it"
                                + " when this gateway sends");
            }
        } catch (CertificateParsingException e) {
            // an objection already
        }
        return warnings;
    }

    private static List<String> weaknesses(X509Certificate certificate) {
        List<String> weaknesses = new ArrayList<>();
        String signature = certificate.getSigAlgName().toUpperCase(Locale.ROOT);
        boolean anchor = certificate.getIssuerX500Principal().equals(certificate.getSubjectX500Principal())
                && certificate.getBasicConstraints() >= 0;
        if (!anchor && (signature.startsWith("MD") || signature.startsWith("SHA1"))) {
            weaknesses.add("a weak signature, " + certificate.getSigAlgName() + ", expected SHA-256 or better");
        }
        PublicKey publicKey = certificate.getPublicKey();
        int bits = publicKey instanceof RSAPublicKey rsa
                ? rsa.getModulus().bitLength()
                : publicKey instanceof ECPublicKey ec
                        ? ec.getParams().getOrder().bitLength()
                        : Integer.MAX_VALUE;
        int least = publicKey instanceof RSAPublicKey ? LEAST_RSA_BITS : LEAST_EC_BITS;
        if (bits < least) {
            weaknesses.add("a weak key, " + publicKey.getAlgorithm() + " of " + bits + " bits, expected " + least
                    + " or more");
        }
        if (publicKey.getAlgorithm().equals("DSA")) {
            weaknesses.add("a DSA key, which TLS does not use any more; expected RSA or EC");
        }
        return weaknesses;
    }

    private Optional<String> usage() {
        try {
            List<String> usages = leaf().getExtendedKeyUsage();
            if (usages != null && !usages.contains(SERVER_AUTHENTICATION) && !usages.contains(ANY_USAGE)) {
                return Optional.of("the certificate is not made for TLS servers: its extended key usage is "
                        + String.join(", ", usages) + ", expected serverAuth (and clientAuth)");
            }
        } catch (CertificateParsingException e) {
            return Optional.of("the certificate has an unreadable extended key usage");
        }
        boolean[] keyUsage = leaf().getKeyUsage();
        return keyUsage != null && !keyUsage[DIGITAL_SIGNATURE]
                ? Optional.of(
                        "the certificate is not made for signing (its key usage lacks digitalSignature), which TLS"
                                + " needs")
                : Optional.empty();
    }

    /** Whether what the key signs is what the certificate verifies. */
    private boolean keyFits() {
        String algorithm =
                switch (key.getAlgorithm()) {
                    case "RSA" -> "SHA256withRSA";
                    case "EC" -> "SHA256withECDSA";
                    default -> key.getAlgorithm();
                };
        try {
            byte[] challenge = "does this key belong to this certificate?".getBytes(StandardCharsets.US_ASCII);
            Signature signing = Signature.getInstance(algorithm);
            signing.initSign(key);
            signing.update(challenge);
            byte[] signed = signing.sign();
            Signature verifying = Signature.getInstance(algorithm);
            verifying.initVerify(leaf().getPublicKey());
            verifying.update(challenge);
            return verifying.verify(signed);
        } catch (GeneralSecurityException e) {
            return false;
        }
    }

    byte[] keyPem() {
        return new Key(key).pem();
    }

    /** The chain as PEM, leaf first. */
    byte[] chainPem() {
        return pem(chain.toArray());
    }

    /** A private key alone. */
    record Key(PrivateKey key) {
        /** PKCS #8 PEM, unencrypted. */
        byte[] pem() {
            return GatewayCertificate.pem(this);
        }
    }

    /** Certificates, requests and keys as PEM. */
    static byte[] pem(Object... objects) {
        StringWriter text = new StringWriter();
        try (JcaPEMWriter writer = new JcaPEMWriter(text)) {
            for (Object each : objects) {
                writer.writeObject(each instanceof Key wrapped ? new JcaPKCS8Generator(wrapped.key(), null) : each);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return text.toString().getBytes(StandardCharsets.US_ASCII);
    }

    /** A PKCS #12 key store with this one entry. */
    byte[] pkcs12(String password) {
        try {
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(null, null);
            store.setKeyEntry(ALIAS, key, password.toCharArray(), chain.toArray(X509Certificate[]::new));
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            store.store(bytes, password.toCharArray());
            return bytes.toByteArray();
        } catch (IOException | GeneralSecurityException e) {
            throw new IllegalStateException("every Java platform has PKCS #12", e);
        }
    }

    /** Whether a key store that this class wrote holds the same. */
    boolean isIn(byte[] pkcs12, String password) {
        try {
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(new ByteArrayInputStream(pkcs12), password.toCharArray());
            return key.equals(store.getKey(ALIAS, password.toCharArray()))
                    && Arrays.asList(store.getCertificateChain(ALIAS)).equals(chain);
        } catch (IOException | GeneralSecurityException e) {
            return false;
        }
    }

    /** Reads certificates only. */
    static List<X509Certificate> certificates(byte[] pem) throws GeneralSecurityException {
        List<X509Certificate> all = new ArrayList<>();
        for (Certificate each :
                CertificateFactory.getInstance("X.509").generateCertificates(new ByteArrayInputStream(pem))) {
            all.add((X509Certificate) each);
        }
        return all;
    }
}
