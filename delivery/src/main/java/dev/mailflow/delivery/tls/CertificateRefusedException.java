/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import java.security.cert.CertificateException;

/** A certificate that a requirement does not accept; the message says what was found and what was expected. */
public final class CertificateRefusedException extends CertificateException {
    private static final long serialVersionUID = 1;

    private final TlsFault fault;

    public CertificateRefusedException(String message) {
        this(TlsFault.VALIDATION_FAILURE, message);
    }

    public CertificateRefusedException(String message, Throwable cause) {
        super(message, cause);
        this.fault = TlsFault.VALIDATION_FAILURE;
    }

    public CertificateRefusedException(TlsFault fault, String message) {
        super(message);
        this.fault = fault;
    }

    public CertificateRefusedException(TlsFault fault, String message, Throwable cause) {
        super(message, cause);
        this.fault = fault;
    }

    public TlsFault fault() {
        return fault;
    }
}
