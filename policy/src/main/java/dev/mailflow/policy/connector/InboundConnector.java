/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

import java.util.List;
import java.util.Optional;
import java.util.Set;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.connection.IpRange;
import dev.mailflow.policy.domain.DomainPattern;

/**
 * How mail arrives from somebody we know. A {@link ConnectorType#PARTNER} connector restricts the mail of its sender
 * domains; an {@link ConnectorType#ORGANIZATION} connector grants rights to a session that proves to be the named peer.
 *
 * @param enabled false: as if it were absent, but its name is still known
 * @param type never {@link ConnectorType#INTERNET}
 * @param senderDomains partner: which mail is restricted, none if empty. Organization: which mail is granted the rights,
 *     besides mail with the null sender; all if empty
 * @param requireTls partner: refuse plaintext. Organization: a plaintext session is not the peer
 * @param clientIps partner: refuse other addresses. Organization: the peer's addresses, which identify it when no
 *     certificate is stated. Empty: not stated
 * @param clientCertificate partner: refuse sessions without such a certificate. Organization: identifies the peer
 * @param internalHeaders organization only
 * @param relay whether the peer may send to domains that are not ours; organization only
 */
public record InboundConnector(
        String name,
        boolean enabled,
        ConnectorType type,
        Set<DomainPattern> senderDomains,
        boolean requireTls,
        List<IpRange> clientIps,
        Optional<ClientCertificateRule> clientCertificate,
        InternalHeaders internalHeaders,
        boolean relay,
        SourceLocation location) {

    public InboundConnector {
        if (type == ConnectorType.INTERNET) {
            throw new IllegalArgumentException("found type 'internet' on inbound connector '" + name
                    + "', expected 'partner' or 'organization': mail from everybody else needs no connector");
        }
        senderDomains = Set.copyOf(senderDomains);
        clientIps = List.copyOf(clientIps);
    }

    /** This connector, to which a plaintext session is not the peer. */
    public InboundConnector requiringTls() {
        return new InboundConnector(
                name,
                enabled,
                type,
                senderDomains,
                true,
                clientIps,
                clientCertificate,
                internalHeaders,
                relay,
                location);
    }
}
