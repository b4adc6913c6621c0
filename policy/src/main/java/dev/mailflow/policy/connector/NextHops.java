/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

import java.util.List;

/** Where a connector hands mail to. */
public sealed interface NextHops {

    /** The MX records of each recipient domain. */
    record UseMx() implements NextHops {}

    /** Configured hosts; never empty. */
    record SmartHosts(List<SmartHost> hosts) implements NextHops {
        public SmartHosts {
            hosts = List.copyOf(hosts);
        }
    }
}
