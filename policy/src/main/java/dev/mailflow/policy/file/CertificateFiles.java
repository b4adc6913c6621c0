/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.KeyStoreException;
import java.security.PrivateKey;
import java.security.UnrecoverableKeyException;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import dev.mailflow.policy.Secret;
import dev.mailflow.policy.certificate.ClientKey;
import dev.mailflow.policy.certificate.TrustAnchors;

/** Loads the certificates and keys that a policy names, so that a file that cannot serve is found with the policy. */
final class CertificateFiles {
    private static final String BEGIN = "-----BEGIN ";
    private static final Pattern PEM_CERTIFICATE = Pattern.compile(
            "-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----([^-]*)-----END (?:X509 |TRUSTED )?CERTIFICATE-----");
    private static final byte[] JKS_MAGIC = {(byte) 0xFE, (byte) 0xED, (byte) 0xFE, (byte) 0xED};
    private static final byte DER_SEQUENCE = 0x30;

    private final ConfigurationFiles files;
    private final Problems problems;

    CertificateFiles(ConfigurationFiles files, Problems problems) {
        this.files = files;
        this.problems = problems;
    }

    /** Says what is wrong with a file; the message completes "…: ". */
    private static final class Unusable extends Exception {
        private static final long serialVersionUID = 1L;

        Unusable(String message) {
            super(message);
        }
    }

    /**
     * The anchors that {@code trustAnchors} names; the JDK's when it is absent or not usable.
     *
     * @param inForce false for a disabled connector, whose files may be missing
     */
    TrustAnchors trustAnchors(Node<?> node, boolean inForce) {
        Optional<FileUrl> url = node.get(Grammar.TRUST_ANCHORS);
        if (url.isEmpty()) {
            return TrustAnchors.jdk();
        }
        String shown = node.shown(Grammar.TRUST_ANCHORS);
        try {
            return new TrustAnchors(
                    Optional.of(Quoted.bare(shown)), pemCertificates(files.read(files.locate(url.get()))));
        } catch (IOException | Unusable e) {
            problems.missing(
                    inForce,
                    node.at(Grammar.TRUST_ANCHORS),
                    "attribute trustAnchors of <" + node.rule().name() + ">: found " + shown + ", but " + e.getMessage()
                            + "; expected PEM with one or more certificates");
            return TrustAnchors.jdk();
        }
    }

    private static List<X509Certificate> pemCertificates(byte[] content) throws Unusable {
        String text = new String(content, StandardCharsets.ISO_8859_1);
        if (text.isBlank()) {
            throw new Unusable("the file is empty");
        }
        if (!text.contains(BEGIN)) {
            throw new Unusable(
                    content[0] == DER_SEQUENCE
                            ? "the file is binary (DER or PKCS #12), not PEM"
                            : "the file is not PEM");
        }
        List<X509Certificate> certificates = new ArrayList<>();
        Matcher matcher = PEM_CERTIFICATE.matcher(text);
        while (matcher.find()) {
            int line = 1
                    + (int) text.chars()
                            .limit(matcher.start())
                            .filter(c -> c == '\n')
                            .count();
            certificates.add(certificate(matcher.group(1), line));
        }
        if (certificates.isEmpty()) {
            throw new Unusable("there is no whole certificate in the file");
        }
        return certificates;
    }

    private static X509Certificate certificate(String base64, int line) throws Unusable {
        try {
            byte[] der = Base64.getMimeDecoder().decode(base64);
            return (X509Certificate)
                    CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(der));
        } catch (CertificateException | IllegalArgumentException e) {
            throw new Unusable("the certificate on line " + line + " of the file is damaged");
        }
    }

    /** The key that {@code <clientCertificate>} names; empty when it is not usable, which is reported. */
    Optional<ClientKey> clientKey(Node<Void> node, boolean inForce) {
        Optional<FileUrl> url = node.get(Grammar.KEYSTORE);
        Optional<Secret> secret = node.get(Grammar.SECRET);
        if (url.isEmpty()
                || secret.isEmpty()
                || (node.has(Grammar.ALIAS) && node.get(Grammar.ALIAS).isEmpty())) {
            return Optional.empty();
        }
        String shown = node.shown(Grammar.KEYSTORE);
        try {
            KeyStore store = open(files.read(files.locate(url.get())), secret.get());
            return Optional.of(clientKey(node, store, secret.get()));
        } catch (IOException | Unusable e) {
            problems.missing(
                    inForce,
                    node.at(Grammar.KEYSTORE),
                    "attribute keystore of <clientCertificate>: found " + shown + ", but " + e.getMessage());
            return Optional.empty();
        }
    }

    private static KeyStore open(byte[] content, Secret secret) throws Unusable {
        boolean jks = content.length > JKS_MAGIC.length
                && Arrays.equals(content, 0, JKS_MAGIC.length, JKS_MAGIC, 0, JKS_MAGIC.length);
        if (!jks && (content.length == 0 || content[0] != DER_SEQUENCE)) {
            throw new Unusable("the file is no key store; expected PKCS #12 or JKS");
        }
        try {
            KeyStore store = KeyStore.getInstance(jks ? "JKS" : "PKCS12");
            store.load(new ByteArrayInputStream(content), secret.reveal().toCharArray());
            return store;
        } catch (IOException e) {
            throw new Unusable(
                    e.getCause() instanceof UnrecoverableKeyException
                                    || String.valueOf(e.getMessage()).contains("password")
                            ? "the secret does not open it; expected the key store's password in secret="
                            : "the key store is damaged; expected PKCS #12 or JKS");
        } catch (GeneralSecurityException e) {
            throw new Unusable("the key store cannot be read: " + e.getClass().getSimpleName());
        }
    }

    private static ClientKey clientKey(Node<Void> node, KeyStore store, Secret secret) throws Unusable {
        try {
            List<String> keys = new ArrayList<>();
            for (String alias : Collections.list(store.aliases())) {
                if (store.isKeyEntry(alias)) {
                    keys.add(alias);
                }
            }
            Collections.sort(keys);
            String alias = chosen(node, store, keys);
            if (!(store.getKey(alias, secret.reveal().toCharArray()) instanceof PrivateKey key)) {
                throw new Unusable(
                        "its entry '" + alias + "' is not a private key; expected a private key with certificate");
            }
            List<X509Certificate> chain = new ArrayList<>();
            for (Certificate certificate :
                    Optional.ofNullable(store.getCertificateChain(alias)).orElse(new Certificate[0])) {
                if (certificate instanceof X509Certificate x509) {
                    chain.add(x509);
                }
            }
            if (chain.isEmpty()) {
                throw new Unusable(
                        "its key '" + alias + "' has no certificate; expected a certificate chain with the key");
            }
            return new ClientKey(
                    Quoted.bare(node.shown(Grammar.KEYSTORE)) + " alias "
                            + (node.has(Grammar.ALIAS) ? Quoted.bare(node.shown(Grammar.ALIAS)) : alias),
                    key,
                    chain);
        } catch (UnrecoverableKeyException e) {
            throw new Unusable("the secret does not open its key; expected one password for key store and key");
        } catch (GeneralSecurityException e) {
            throw new Unusable("its key cannot be read: " + e.getClass().getSimpleName());
        }
    }

    private static String chosen(Node<Void> node, KeyStore store, List<String> keys)
            throws Unusable, KeyStoreException {
        if (keys.isEmpty()) {
            throw new Unusable("there is no key in it; expected a private key with its certificate");
        }
        Optional<String> alias = node.get(Grammar.ALIAS);
        if (alias.isPresent() && !store.isKeyEntry(alias.get())) {
            throw new Unusable("there is no key " + node.shown(Grammar.ALIAS) + " in it; expected alias= to be one of "
                    + String.join(", ", keys));
        }
        if (alias.isEmpty() && keys.size() > 1) {
            throw new Unusable("there are several keys in it; expected alias= to be one of " + String.join(", ", keys));
        }
        return alias.orElse(keys.get(0));
    }
}
