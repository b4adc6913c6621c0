/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.nexthop;

import java.util.List;
import java.util.Optional;

import dev.mailflow.delivery.tls.PeerIdentity;

/**
 * A host that may take the mail; its addresses are looked up when it is its turn.
 *
 * @param host a name, or a literal without brackets
 * @param identity whom its certificate must speak for, if the connector asks for a name and gives none
 * @param secure whether it is certain that the mail belongs to this host: it is configured, or DNSSEC vouches for the MX
 *     records
 * @param mailDomains the domain whose MX it is, and what that is an alias of; empty for a smart host
 */
public record Target(String host, int port, Optional<PeerIdentity> identity, boolean secure, List<String> mailDomains) {
    public Target {
        mailDomains = List.copyOf(mailDomains);
    }
}
