/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import java.net.InetSocketAddress;

/**
 * One address the running gateway listens on.
 *
 * @param name the {@code jmxName} of the server in its configuration file, such as {@code smtp}; {@code webadmin} for webadmin
 * @param address where it really listens, with the port the system chose when port 0 was configured
 * @param security how a client gets TLS there
 */
public record Endpoint(String name, InetSocketAddress address, Security security) {

    /** How the connection is protected. */
    public enum Security {
        /** Never. */
        PLAIN("plain"),
        /** On demand, after STARTTLS (RFC 3207, RFC 9051). */
        STARTTLS("STARTTLS"),
        /** From the first byte (RFC 8314). */
        TLS("TLS");

        private final String label;

        Security(String label) {
            this.label = label;
        }

        @Override
        public String toString() {
            return label;
        }
    }

    /** The port, 1 to 65535. */
    public int port() {
        return address.getPort();
    }

    /** {@code host:port} for a client on this host: the numeric address, loopback where the server takes any. */
    public String hostAndPort() {
        String host = address.getAddress().isAnyLocalAddress()
                ? "127.0.0.1"
                : address.getAddress().getHostAddress();
        return (host.contains(":") ? "[" + host + "]" : host) + ":" + address.getPort();
    }
}
