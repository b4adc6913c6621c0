/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import java.util.Locale;
import java.util.Optional;

import dev.mailflow.policy.SourceLocation;

/**
 * What the connection filter says about a client, and why.
 *
 * @param reason one clause for people
 * @param entry the entry that decided; empty for {@link Kind#NONE}
 */
public record ConnectionVerdict(Kind kind, String reason, Optional<SourceLocation> entry) {

    /** Allowed (skip the spam processor), blocked (refuse), or not listed. */
    public enum Kind {
        ALLOW("CAL"),
        BLOCK("CBL"),
        NONE("NLI");

        private final String ipv;

        Kind(String ipv) {
            this.ipv = ipv;
        }

        /** The value of {@code IPV} in the Exchange-style anti-spam report header. */
        public String ipv() {
            return ipv;
        }

        /** {@code allow}, {@code block} or {@code none}. */
        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    static ConnectionVerdict notListed(IpAddress client) {
        return new ConnectionVerdict(Kind.NONE, "no entry of the connection filter is for " + client, Optional.empty());
    }
}
