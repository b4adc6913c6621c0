/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

/**
 * The TLS of a connection.
 *
 * @param protocol e.g. {@code TLSv1.3}
 * @param cipher e.g. {@code TLS_AES_256_GCM_SHA384}
 * @param verification what was checked, for people, e.g. {@code domain: mail.fabrikam.com}
 */
public record TlsUsed(String protocol, String cipher, String verification) {}
