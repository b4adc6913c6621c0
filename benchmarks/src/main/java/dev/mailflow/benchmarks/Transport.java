/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

/** How a message leaves the relay; the recipient's domain decides. */
enum Transport {
    PLAIN("plain", "plain.test"),
    /** TLS 1.2 or 1.3 by STARTTLS, without which nothing may be sent; the server's key is RSA 2048. */
    STARTTLS("starttls", "tls.test");

    private final String label;
    private final String domain;

    Transport(String label, String domain) {
        this.label = label;
        this.domain = domain;
    }

    /** The name in reports. */
    String label() {
        return label;
    }

    String domain() {
        return domain;
    }
}
