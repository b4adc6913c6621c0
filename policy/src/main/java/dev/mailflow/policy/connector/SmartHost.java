/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

/**
 * A configured next hop.
 *
 * @param host a name (never looked up as MX), an IPv4 literal or an IPv6 literal without brackets
 * @param port TCP port; 465 means implicit TLS (RFC 8314)
 * @param priority lower is tried first
 * @param weight share among hosts of one priority, 1 or more
 */
public record SmartHost(String host, int port, int priority, int weight) {

    public static final int DEFAULT_PORT = 25;

    /** TLS from the first byte (RFC 8314 section 3). */
    public static final int IMPLICIT_TLS_PORT = 465;

    @Override
    public String toString() {
        return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + port;
    }
}
