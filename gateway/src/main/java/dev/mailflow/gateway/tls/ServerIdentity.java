/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.tls;

import java.security.GeneralSecurityException;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

import javax.net.ssl.X509KeyManager;

/** Whether a key and a certificate belong together, which the JDK only finds out in every handshake that then fails. */
public final class ServerIdentity {
    private static final List<String> KEY_TYPES = List.of("RSA", "EC", "EdDSA", "RSASSA-PSS");

    private ServerIdentity() {}

    /**
     * The certificate that the server will show.
     *
     * @throws GeneralSecurityException when there is none, or one whose key is another; fit for the log
     */
    public static X509Certificate of(X509KeyManager identity) throws GeneralSecurityException {
        List<String> aliases = KEY_TYPES.stream()
                .flatMap(type -> Optional.ofNullable(identity.getServerAliases(type, null)).stream()
                        .flatMap(Stream::of))
                .distinct()
                .toList();
        if (aliases.isEmpty()) {
            throw new GeneralSecurityException("found no private key with a certificate, expected one");
        }
        for (String alias : aliases) {
            X509Certificate leaf = identity.getCertificateChain(alias)[0];
            if (!belongTogether(identity.getPrivateKey(alias), leaf)) {
                throw new GeneralSecurityException("found a private key that is not that of the certificate of '"
                        + leaf.getSubjectX500Principal() + "', expected a key and its certificate");
            }
        }
        return identity.getCertificateChain(aliases.get(0))[0];
    }

    private static boolean belongTogether(PrivateKey key, X509Certificate certificate) throws GeneralSecurityException {
        if (!key.getAlgorithm().equals(certificate.getPublicKey().getAlgorithm())) {
            return false;
        }
        String algorithm =
                switch (key.getAlgorithm()) {
                    case "RSA" -> "SHA256withRSA";
                    case "EC" -> "SHA256withECDSA";
                    case "EdDSA" -> "EdDSA";
                    default -> "";
                };
        if (algorithm.isEmpty()) {
            return true;
        }
        byte[] sample = certificate.getEncoded();
        Signature signature = Signature.getInstance(algorithm);
        signature.initSign(key);
        signature.update(sample);
        byte[] signed = signature.sign();
        signature.initVerify(certificate.getPublicKey());
        signature.update(sample);
        return signature.verify(signed);
    }
}
