/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.inbound;

/**
 * The TLS of a session, as the JDK names it.
 *
 * @param protocol e.g. {@code TLSv1.3}
 * @param cipher e.g. {@code TLS_AES_256_GCM_SHA384}
 */
public record TlsSession(String protocol, String cipher) {}
