/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.util.List;

/**
 * The key and certificate chain we present to a next hop that asks for one. Loaded with the policy, so a key store
 * that cannot be read is a policy error and not a delivery error.
 *
 * @param source key store URL and alias, for people
 * @param chain leaf first; never empty
 */
public record ClientKey(String source, PrivateKey key, List<X509Certificate> chain) {

    public ClientKey {
        chain = List.copyOf(chain);
    }

    @Override
    public String toString() {
        return "ClientKey[" + source + "]";
    }
}
