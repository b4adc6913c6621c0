/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.inbound;

/** Where mail comes from, as rules, journaling and filters see it. */
public enum Origin {
    /** From inside: an authenticated user, or an organization connector that preserves internal headers. */
    INTERNAL,
    /** From a partner organization that met every restriction of its connector. */
    PARTNER,
    /** From anybody else. */
    INTERNET
}
