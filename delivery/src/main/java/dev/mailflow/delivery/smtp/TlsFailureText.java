/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import java.nio.channels.ClosedChannelException;
import java.util.Optional;

import dev.mailflow.delivery.tls.CertificateRefusedException;

/** Says for people why a TLS handshake failed. */
final class TlsFailureText {
    private static final int LONGEST = 200;

    private TlsFailureText() {}

    static String describe(String connector, HopAddress hop, Throwable thrown) {
        return refusal(thrown)
                .map(CertificateRefusedException::getMessage)
                .map(refused -> "connector '" + connector + "' does not trust " + hop + ": " + refused)
                .orElseGet(() -> "TLS with " + hop + " failed: " + root(thrown));
    }

    static Optional<CertificateRefusedException> refusal(Throwable thrown) {
        for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
            if (cause instanceof CertificateRefusedException refused) {
                return Optional.of(refused);
            }
        }
        return Optional.empty();
    }

    private static String root(Throwable thrown) {
        if (thrown instanceof ClosedChannelException) {
            return "the connection was closed during the handshake";
        }
        Throwable cause = thrown;
        while (cause.getMessage() == null && cause.getCause() != null) {
            cause = cause.getCause();
        }
        if (cause.getMessage() == null) {
            return cause.getClass().getSimpleName();
        }
        // some messages quote all that the peer sent
        String text = cause.getMessage().replaceAll("\\p{Cntrl}+", " ");
        return text.length() <= LONGEST ? text : text.substring(0, LONGEST) + "…";
    }
}
