/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

/** What happens to the headers that carry internal status across premises. */
public enum InternalHeaders {
    PRESERVE,
    STRIP
}
