/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

/** A mail server that runs and relays {@link Transport#domain() each domain} to its {@link NextHops next hop}. */
interface Relay {
    RelaySystem system();

    /** Where it takes mail, on 127.0.0.1, without TLS and authentication. */
    int port();

    /** The end of what it logged. */
    String lastLog();
}
