/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import java.util.Optional;

import dev.mailflow.delivery.tls.PeerIdentity;
import dev.mailflow.policy.connector.Credentials;
import dev.mailflow.policy.connector.TlsRequirement;

/**
 * What makes connections to one next hop interchangeable: only messages that agree in all of it may share one.
 *
 * @param connector its name
 * @param identity whom the certificate must speak for under level {@code domain}
 */
public record SessionTerms(
        String connector, TlsRequirement tls, Optional<PeerIdentity> identity, Optional<Credentials> credentials) {}
