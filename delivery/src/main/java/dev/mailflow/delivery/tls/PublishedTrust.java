/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import java.util.List;
import java.util.Set;

import dev.mailflow.delivery.dane.TlsaRecord;

/**
 * What the owner of a destination has published about its TLS, which is held besides what the connector demands. TLS is
 * then required, whatever the connector's level.
 */
public sealed interface PublishedTrust {

    /** Whether a peer that does not live up to it gets no mail. */
    default boolean enforced() {
        return true;
    }

    /** Whether a peer that lives up to it is the one its owner means. */
    default boolean authenticates() {
        return enforced();
    }

    /** The name for SNI. */
    String serverName();

    /**
     * DANE (RFC 7672): DNSSEC-secure TLSA records.
     *
     * @param usable those that can be judged by; empty: there are only others, and the certificate goes unchecked
     * @param baseDomain the name under which they were found
     * @param owner the whole name, {@code _25._tcp.mx.example}
     * @param names whom a certificate of a DANE-TA authority must speak for, one of them; empty where no such authority
     *     counts, so that all domains of a host hold the same against it and share its connections
     */
    record Dane(Set<TlsaRecord> usable, String baseDomain, String owner, List<String> names) implements PublishedTrust {
        public Dane {
            usable = Set.copyOf(usable);
            names = List.copyOf(names);
        }

        @Override
        public boolean authenticates() {
            return !usable.isEmpty();
        }

        @Override
        public String serverName() {
            return baseDomain;
        }
    }

    /**
     * MTA-STS (RFC 8461): an authority of the web and the name of the MX host.
     *
     * @param enforced false: only reported on (mode {@code testing})
     */
    record MtaSts(String host, boolean enforced) implements PublishedTrust {
        @Override
        public String serverName() {
            return host;
        }
    }
}
