/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import java.security.cert.CertificateException;

/** A certificate that a requirement does not accept; the message says what was found and what was expected. */
public final class CertificateRefusedException extends CertificateException {
    private static final long serialVersionUID = 1;

    public CertificateRefusedException(String message) {
        super(message);
    }

    public CertificateRefusedException(String message, Throwable cause) {
        super(message, cause);
    }
}
