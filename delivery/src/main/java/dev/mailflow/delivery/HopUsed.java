/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

import java.util.Optional;

/**
 * A next hop as it was reached.
 *
 * @param host its name, or the literal it was configured by
 * @param address its IP address
 * @param tls empty: plaintext
 */
public record HopUsed(String host, String address, int port, Optional<TlsUsed> tls) {

    @Override
    public String toString() {
        return (host.equals(address) ? "[" + address + "]:" : host + "[" + address + "]:") + port;
    }
}
