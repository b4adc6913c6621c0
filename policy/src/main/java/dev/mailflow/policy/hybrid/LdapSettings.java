/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.hybrid;

import java.time.Duration;
import java.util.Optional;

import dev.mailflow.policy.Secret;
import dev.mailflow.policy.certificate.TrustAnchors;

/**
 * How to ask a directory server where a mailbox is.
 *
 * @param security how the connection is secured
 * @param trustAnchors of the server's certificate, unless {@link Security#PLAIN}
 * @param base the entry below which mailboxes are searched
 * @param filter the search filter (RFC 4515), in which {@value #PLACEHOLDER} stands for the address
 * @param user the name to bind as; empty: anonymous
 * @param secret the password; present exactly when the user is
 * @param connections most connections at a time
 * @param timeout for connecting and for each answer
 * @param cacheFor how long an answer is believed
 * @param unknownFor how long "nobody" is believed
 * @param cacheSize most answers remembered
 */
public record LdapSettings(
        String host,
        int port,
        Security security,
        TrustAnchors trustAnchors,
        String base,
        String filter,
        Optional<String> user,
        Optional<Secret> secret,
        int connections,
        Duration timeout,
        Duration cacheFor,
        Duration unknownFor,
        int cacheSize) {

    /** Stands for the address in a filter. */
    public static final String PLACEHOLDER = "{address}";

    /** Finds an entry by its address or by any of its proxy addresses. */
    public static final String DEFAULT_FILTER = "(|(mail={address})(proxyAddresses=smtp:{address}))";

    public static final int DEFAULT_CONNECTIONS = 4;
    public static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(5);
    public static final Duration DEFAULT_CACHE_FOR = Duration.ofMinutes(5);
    public static final Duration DEFAULT_UNKNOWN_FOR = Duration.ofSeconds(30);
    public static final int DEFAULT_CACHE_SIZE = 100_000;

    /** How a connection to a directory server is secured. */
    public enum Security {
        /** {@code ldap://}: not at all. */
        PLAIN,
        /** {@code ldap://} and StartTLS. */
        START_TLS,
        /** {@code ldaps://}. */
        TLS
    }

    /** Where the server is, for people. */
    public String url() {
        return (security == Security.TLS ? "ldaps://" : "ldap://") + (host.indexOf(':') < 0 ? host : "[" + host + "]")
                + ":" + port;
    }
}
