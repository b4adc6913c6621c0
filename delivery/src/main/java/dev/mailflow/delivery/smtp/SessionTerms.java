/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import java.util.Optional;

import dev.mailflow.delivery.tls.PeerIdentity;
import dev.mailflow.delivery.tls.PublishedTrust;
import dev.mailflow.policy.connector.Credentials;
import dev.mailflow.policy.connector.TlsRequirement;

/**
 * What makes connections to one next hop interchangeable: only messages that agree in all of it may share one.
 *
 * @param connector its name
 * @param identity whom the certificate must speak for under level {@code domain}
 * @param published what the peer's owner has published about its TLS, if that is heeded
 */
public record SessionTerms(
        String connector,
        TlsRequirement tls,
        Optional<PeerIdentity> identity,
        Optional<PublishedTrust> published,
        Optional<Credentials> credentials) {

    /** Whether mail may leave over TLS only. */
    public boolean requiresTls() {
        return tls.level().requiresTls()
                || published.filter(PublishedTrust::enforced).isPresent();
    }
}
