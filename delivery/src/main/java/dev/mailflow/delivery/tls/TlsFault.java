/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import java.util.Locale;

/** Why TLS with a next hop was not what was promised, in the words of RFC 8460 section 4.3. */
public enum TlsFault {
    /** The peer did not offer STARTTLS. */
    STARTTLS_NOT_SUPPORTED,
    /** The certificate bears other names. */
    CERTIFICATE_HOST_MISMATCH,
    /** A certificate is not in its time. */
    CERTIFICATE_EXPIRED,
    /** The certificate leads to no trusted authority. */
    CERTIFICATE_NOT_TRUSTED,
    /** Anything that has no word of its own. */
    VALIDATION_FAILURE,
    /** No TLSA record vouches for the certificate. */
    TLSA_INVALID,
    /** DNSSEC proves an answer forged, or it cannot be had. */
    DNSSEC_INVALID,
    /** DANE is demanded and there is no usable TLSA record. */
    DANE_REQUIRED,
    /** The MTA-STS policy cannot be fetched. */
    STS_POLICY_FETCH_ERROR,
    /** The MTA-STS policy makes no sense. */
    STS_POLICY_INVALID,
    /** The web server of the MTA-STS policy has no valid certificate. */
    STS_WEBPKI_INVALID;

    /** As in a report. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
