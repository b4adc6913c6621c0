/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

import java.net.InetAddress;
import java.net.UnknownHostException;

/** How this host introduces itself to others when nobody has told it its name. */
public final class OwnHostName {
    private OwnHostName() {}

    /** The host's qualified name if it has one, else the name it calls itself; never a mere alias of loopback. */
    public static String get() {
        try {
            InetAddress host = InetAddress.getLocalHost();
            String canonical = host.getCanonicalHostName();
            return canonical.indexOf('.') > 0 && !Character.isDigit(canonical.charAt(canonical.length() - 1))
                    ? canonical
                    : host.getHostName();
        } catch (UnknownHostException e) {
            return "localhost";
        }
    }
}
