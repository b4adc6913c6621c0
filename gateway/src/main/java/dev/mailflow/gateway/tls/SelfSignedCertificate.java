/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.tls;

import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.spec.ECGenParameterSpec;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Date;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x500.X500NameBuilder;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.X509v3CertificateBuilder;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.openssl.jcajce.JcaPKCS8Generator;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import dev.mailflow.gateway.SecretFile;
import dev.mailflow.policy.host.OwnHostName;

/**
 * The server's own certificate for the time before it has a real one: P-256, self-signed, for localhost and the name
 * of this host, valid for ten years. Key and certificate are PEM files, the key readable by its owner only. What exists
 * is never replaced.
 */
public final class SelfSignedCertificate {
    private static final Logger LOGGER = LoggerFactory.getLogger(SelfSignedCertificate.class);
    private static final Duration VALIDITY = Duration.ofDays(3650);

    /** Room for peers whose clock is behind ours. */
    private static final Duration CLOCK_SKEW = Duration.ofDays(1);

    private static final int SERIAL_BITS = 127;

    private final Path privateKey;
    private final Path certificate;
    private final Clock clock;

    /**
     * @param privateKey where the PKCS #8 key goes, PEM
     * @param certificate where the certificate goes, PEM
     */
    public SelfSignedCertificate(Path privateKey, Path certificate, Clock clock) {
        this.privateKey = privateKey;
        this.certificate = certificate;
        this.clock = clock;
    }

    /** Makes the two files if neither exists. */
    public void createIfAbsent() throws IOException {
        if (Files.exists(privateKey) || Files.exists(certificate)) {
            return;
        }
        try {
            Set<String> names = names();
            KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
            generator.initialize(new ECGenParameterSpec("secp256r1"));
            KeyPair keys = generator.generateKeyPair();
            X509CertificateHolder holder = sign(keys, List.copyOf(names));
            // the key last: its presence says that both are there
            new SecretFile(certificate).write(pem(holder));
            new SecretFile(privateKey).write(pem(new JcaPKCS8Generator(keys.getPrivate(), null)));
            LOGGER.info("event=certificate-created file={} names={}", certificate, String.join(",", names));
        } catch (GeneralSecurityException | OperatorCreationException e) {
            throw new IOException("This Java cannot make an EC P-256 certificate", e);
        }
    }

    private static Set<String> names() {
        Set<String> names = new LinkedHashSet<>();
        names.add(OwnHostName.get().toLowerCase(Locale.ROOT));
        names.removeIf(name -> !name.matches("[a-z0-9]([a-z0-9.-]*[a-z0-9])?") || name.matches("[0-9.]+"));
        names.add("localhost");
        return names;
    }

    private X509CertificateHolder sign(KeyPair keys, List<String> names) throws IOException, OperatorCreationException {
        Instant now = clock.instant();
        X500Name subject = new X500NameBuilder(BCStyle.INSTANCE)
                .addRDN(BCStyle.CN, names.get(0).length() <= 64 ? names.get(0) : "localhost")
                .build();
        X509v3CertificateBuilder builder = new JcaX509v3CertificateBuilder(
                subject,
                new BigInteger(SERIAL_BITS, new SecureRandom()).add(BigInteger.ONE),
                Date.from(now.minus(CLOCK_SKEW)),
                Date.from(now.plus(VALIDITY)),
                subject,
                keys.getPublic());
        List<GeneralName> alternatives = new ArrayList<>();
        names.forEach(name -> alternatives.add(new GeneralName(GeneralName.dNSName, name)));
        alternatives.add(new GeneralName(GeneralName.iPAddress, "127.0.0.1"));
        alternatives.add(new GeneralName(GeneralName.iPAddress, "::1"));
        builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(false));
        builder.addExtension(Extension.keyUsage, true, new KeyUsage(KeyUsage.digitalSignature));
        builder.addExtension(Extension.extendedKeyUsage, false, new ExtendedKeyUsage(new KeyPurposeId[] {
            KeyPurposeId.id_kp_serverAuth, KeyPurposeId.id_kp_clientAuth
        }));
        builder.addExtension(
                Extension.subjectAlternativeName, false, new GeneralNames(alternatives.toArray(GeneralName[]::new)));
        return builder.build(signer(keys.getPrivate()));
    }

    private static ContentSigner signer(PrivateKey key) throws OperatorCreationException {
        return new JcaContentSignerBuilder("SHA256withECDSA").build(key);
    }

    private static String pem(Object object) {
        StringWriter text = new StringWriter();
        try (JcaPEMWriter writer = new JcaPEMWriter(text)) {
            writer.writeObject(object);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return text.toString();
    }
}
