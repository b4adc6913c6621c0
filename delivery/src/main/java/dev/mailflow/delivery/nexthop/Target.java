/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.nexthop;

import java.util.Optional;

import dev.mailflow.delivery.tls.PeerIdentity;

/**
 * A host that may take the mail; its addresses are looked up when it is its turn.
 *
 * @param host a name, or a literal without brackets
 * @param identity whom its certificate must speak for, if the connector asks for a name and gives none
 */
public record Target(String host, int port, Optional<PeerIdentity> identity) {}
