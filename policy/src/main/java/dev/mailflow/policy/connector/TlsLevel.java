/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

import java.util.Locale;

/** What TLS promises, weakest first; see section 4 of the mail-flow behaviour. A promise is never downgraded. */
public enum TlsLevel {
    /** Never TLS. */
    NONE,
    /** TLS if offered, certificate unchecked; plaintext only on a fresh connection. */
    OPPORTUNISTIC,
    /** TLS or defer; certificate unchecked. */
    ENCRYPT,
    /** {@link #ENCRYPT} with a PKIX path, validity and revocation. */
    CA,
    /** {@link #CA} with a matching certificate name. */
    DOMAIN,
    /** {@link #ENCRYPT} with the certificate or its public key in a list. */
    PINNED,
    /** Authenticated TLSA records (RFC 7672). */
    DANE;

    /** Whether a message may only leave over TLS. */
    public boolean requiresTls() {
        return compareTo(ENCRYPT) >= 0;
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
