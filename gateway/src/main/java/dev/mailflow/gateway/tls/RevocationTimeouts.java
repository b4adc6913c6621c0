/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.tls;

import java.util.List;

/**
 * Has the JDK give up revocation services before we do, so that a responder that is not there leaves time for the revocation
 * list, and a thread is not held for the half minute that the JDK has by default. Whoever sets these properties himself has
 * his way.
 */
public final class RevocationTimeouts {
    private static final String SECONDS = "3";
    private static final List<String> PROPERTIES = List.of(
            "com.sun.security.ocsp.timeout",
            "com.sun.security.ocsp.readtimeout",
            "com.sun.security.crl.timeout",
            "com.sun.security.crl.readtimeout");

    private RevocationTimeouts() {}

    /** Call before the first certificate is judged: the JDK reads them once. */
    public static void set() {
        for (String property : PROPERTIES) {
            if (System.getProperty(property) == null) {
                System.setProperty(property, SECONDS);
            }
        }
    }
}
