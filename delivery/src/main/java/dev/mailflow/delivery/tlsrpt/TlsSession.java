/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tlsrpt;

import java.util.List;
import java.util.Optional;

import dev.mailflow.delivery.tls.TlsFault;

/**
 * How one attempt to have TLS with an MX host ended, as far as its mail domain wants to know (RFC 8460).
 *
 * @param domain the mail domain
 * @param policy what it had published
 * @param mxHost empty: it never came to a host
 * @param address of the host, if it was reached
 * @param ourAddress where the connection came from, if there was one
 * @param fault empty: all was well
 * @param detail for people
 */
public record TlsSession(
        String domain,
        Policy policy,
        Optional<String> mxHost,
        Optional<String> address,
        Optional<String> ourAddress,
        Optional<TlsFault> fault,
        Optional<String> detail) {

    /**
     * What was published and held against the host.
     *
     * @param type {@code tlsa}, {@code sts} or {@code no-policy-found}
     * @param text the policy's lines or the TLSA records
     * @param mxHosts the policy's patterns of MX hosts
     */
    public record Policy(String type, List<String> text, List<String> mxHosts) {
        public static final Policy NONE = new Policy("no-policy-found", List.of(), List.of());

        public Policy {
            text = List.copyOf(text);
            mxHosts = List.copyOf(mxHosts);
        }
    }

    /** Whoever collects them. */
    @FunctionalInterface
    public interface Observer {
        /** Does not block. */
        void observe(TlsSession session);
    }
}
