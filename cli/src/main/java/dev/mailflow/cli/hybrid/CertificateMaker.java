/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.List;

import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x500.X500NameBuilder;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.ExtensionsGenerator;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;

/**
 * Makes keys (RSA, which every mail server understands), certificate signing requests, and self-signed certificates for
 * trials.
 */
final class CertificateMaker {
    private static final int KEY_BITS = 2048;
    private static final int SERIAL_BITS = 127;
    private static final String SIGNATURE = "SHA256withRSA";

    /** Long enough for a trial, short enough to be noticed. */
    private static final Duration TRIAL = Duration.ofDays(90);

    /** Room for peers whose clock is behind ours. */
    private static final Duration CLOCK_SKEW = Duration.ofDays(1);

    private final SecureRandom random = new SecureRandom();
    private final Clock clock;

    CertificateMaker(Clock clock) {
        this.clock = clock;
    }

    KeyPair newKey() {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
            generator.initialize(KEY_BITS, random);
            return generator.generateKeyPair();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("every Java platform has RSA", e);
        }
    }

    /** Self-signed, for servers and clients, valid for 90 days. */
    GatewayCertificate selfSigned(String hostName) {
        KeyPair keys = newKey();
        Instant now = clock.instant();
        X500Name subject = subject(hostName);
        try {
            JcaX509v3CertificateBuilder builder = new JcaX509v3CertificateBuilder(
                    subject,
                    new BigInteger(SERIAL_BITS, random).add(BigInteger.ONE),
                    Date.from(now.minus(CLOCK_SKEW)),
                    Date.from(now.plus(TRIAL)),
                    subject,
                    keys.getPublic());
            builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(false));
            builder.addExtension(Extension.keyUsage, true, usage());
            builder.addExtension(Extension.extendedKeyUsage, false, purposes());
            builder.addExtension(Extension.subjectAlternativeName, false, names(hostName));
            return new GatewayCertificate(
                    keys.getPrivate(),
                    List.of(new JcaX509CertificateConverter()
                            .getCertificate(
                                    builder.build(new JcaContentSignerBuilder(SIGNATURE).build(keys.getPrivate())))));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (GeneralSecurityException | OperatorCreationException e) {
            throw new IllegalStateException("every Java platform signs by " + SIGNATURE, e);
        }
    }

    /** A signing request (PKCS #10, PEM) for servers and clients. */
    byte[] signingRequest(String hostName, KeyPair keys) {
        try {
            ExtensionsGenerator extensions = new ExtensionsGenerator();
            extensions.addExtension(Extension.keyUsage, true, usage());
            extensions.addExtension(Extension.extendedKeyUsage, false, purposes());
            extensions.addExtension(Extension.subjectAlternativeName, false, names(hostName));
            JcaPKCS10CertificationRequestBuilder builder =
                    new JcaPKCS10CertificationRequestBuilder(subject(hostName), keys.getPublic());
            ASN1Encodable requested = extensions.generate();
            builder.addAttribute(PKCSObjectIdentifiers.pkcs_9_at_extensionRequest, requested);
            PrivateKey key = keys.getPrivate();
            return GatewayCertificate.pem(builder.build(new JcaContentSignerBuilder(SIGNATURE).build(key)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (OperatorCreationException e) {
            throw new IllegalStateException("every Java platform signs by " + SIGNATURE, e);
        }
    }

    private static X500Name subject(String hostName) {
        return new X500NameBuilder(BCStyle.INSTANCE)
                .addRDN(BCStyle.CN, hostName)
                .build();
    }

    private static GeneralNames names(String hostName) {
        return new GeneralNames(new GeneralName(GeneralName.dNSName, hostName));
    }

    private static KeyUsage usage() {
        return new KeyUsage(KeyUsage.digitalSignature | KeyUsage.keyEncipherment);
    }

    private static ExtendedKeyUsage purposes() {
        return new ExtendedKeyUsage(new KeyPurposeId[] {KeyPurposeId.id_kp_serverAuth, KeyPurposeId.id_kp_clientAuth});
    }
}
