/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import java.net.Socket;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;

import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedKeyManager;

import dev.mailflow.policy.certificate.ClientKey;

/**
 * Presents the configured client certificate to whoever asks for one. The issuers that the peer suggests are not
 * consulted: the administrator has already chosen, and many peers send an empty or stale list.
 */
final class PresentedKey extends X509ExtendedKeyManager {
    private static final String ALIAS = "connector";

    private final ClientKey key;

    PresentedKey(ClientKey key) {
        this.key = key;
    }

    @Override
    public String chooseEngineClientAlias(String[] keyTypes, Principal[] issuers, SSLEngine engine) {
        return choose(keyTypes);
    }

    @Override
    public String chooseClientAlias(String[] keyTypes, Principal[] issuers, Socket socket) {
        return choose(keyTypes);
    }

    // null is this interface's word for "none"
    private String choose(String[] keyTypes) {
        for (String type : keyTypes) {
            if (type.equals(key.key().getAlgorithm())
                    || (type.equals("RSASSA-PSS") && key.key().getAlgorithm().equals("RSA"))) {
                return ALIAS;
            }
        }
        return null;
    }

    @Override
    public String[] getClientAliases(String keyType, Principal[] issuers) {
        return new String[] {ALIAS};
    }

    @Override
    public X509Certificate[] getCertificateChain(String alias) {
        return key.chain().toArray(X509Certificate[]::new);
    }

    @Override
    public PrivateKey getPrivateKey(String alias) {
        return key.key();
    }

    @Override
    public String[] getServerAliases(String keyType, Principal[] issuers) {
        return new String[0];
    }

    @Override
    public String chooseServerAlias(String keyType, Principal[] issuers, Socket socket) {
        return null;
    }
}
