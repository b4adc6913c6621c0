/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.hybrid;

import java.util.Optional;

import dev.mailflow.policy.connector.InboundConnectors;
import dev.mailflow.policy.connector.OutboundConnectors;
import dev.mailflow.policy.connector.TlsLevel;

/**
 * What {@code secureMail} asks of the cloud connectors: TLS with named certificates both ways. Where it is on, the
 * outbound connector's level is at least {@link TlsLevel#DOMAIN}, and a plaintext session is not the cloud; what cannot
 * be raised is an error of the policy. Where it is off, the connectors mean what they say.
 *
 * @param topology empty: there is no cloud
 */
public record SecureMail(Optional<HybridTopology> topology) {

    private Optional<HybridTopology> demanding() {
        return topology.filter(HybridTopology::secureMail);
    }

    public InboundConnectors demandedOf(InboundConnectors connectors) {
        return demanding()
                .flatMap(hybrid -> connectors.find(hybrid.inboundConnector()))
                .filter(connector -> !connector.requireTls())
                .map(connector -> connectors.with(connector.requiringTls()))
                .orElse(connectors);
    }

    public OutboundConnectors demandedOf(OutboundConnectors connectors) {
        return demanding()
                .flatMap(hybrid -> connectors.find(hybrid.outboundConnector()))
                .map(connector -> connectors.with(connector.with(connector.tls().atLeastDomain())))
                .orElse(connectors);
    }
}
