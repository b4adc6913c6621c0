/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import java.net.InetAddress;
import java.util.Optional;

import com.google.common.net.InetAddresses;

import dev.mailflow.delivery.HopUsed;
import dev.mailflow.delivery.TlsUsed;
import dev.mailflow.policy.connector.SmartHost;

/**
 * Where to connect to.
 *
 * @param host the name or literal that {@code address} was found by
 */
public record HopAddress(String host, InetAddress address, int port) {

    public boolean implicitTls() {
        return port == SmartHost.IMPLICIT_TLS_PORT;
    }

    /** This hop, reached without TLS or not at all. */
    public HopUsed used() {
        return new HopUsed(host, InetAddresses.toAddrString(address), port, Optional.empty());
    }

    HopUsed used(TlsUsed tls) {
        return new HopUsed(host, InetAddresses.toAddrString(address), port, Optional.of(tls));
    }

    @Override
    public String toString() {
        return used().toString();
    }
}
