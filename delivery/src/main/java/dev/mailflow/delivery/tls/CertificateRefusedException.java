/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import java.security.cert.CertificateException;

/** A certificate that a requirement does not accept; the message says what was found and what was expected. */
public final class CertificateRefusedException extends CertificateException {
    private static final long serialVersionUID = 1;

    private final TlsFault fault;
    private final boolean ofPeer;

    public CertificateRefusedException(String message) {
        this(TlsFault.VALIDATION_FAILURE, message);
    }

    public CertificateRefusedException(String message, Throwable cause) {
        this(TlsFault.VALIDATION_FAILURE, message, cause, true);
    }

    public CertificateRefusedException(TlsFault fault, String message) {
        super(message);
        this.fault = fault;
        this.ofPeer = true;
    }

    public CertificateRefusedException(TlsFault fault, String message, Throwable cause) {
        this(fault, message, cause, true);
    }

    private CertificateRefusedException(TlsFault fault, String message, Throwable cause, boolean ofPeer) {
        super(message, cause);
        this.fault = fault;
        this.ofPeer = ofPeer;
    }

    /** One that could not be judged, for a reason on our side. */
    static CertificateRefusedException notJudged(String message, Throwable cause) {
        return new CertificateRefusedException(TlsFault.VALIDATION_FAILURE, message, cause, false);
    }

    public TlsFault fault() {
        return fault;
    }

    /** Whether the fault is the certificate's, or else ours. */
    public boolean isOfPeer() {
        return ofPeer;
    }
}
