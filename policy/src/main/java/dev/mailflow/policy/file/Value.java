/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.util.Optional;

import dev.mailflow.policy.SourceLocation;

/**
 * An attribute or text that is there.
 *
 * @param parsed what it says; empty when that is not valid, which is reported already
 * @param shown the value as messages may show it: never one that came from a reference, never a secret
 */
record Value<T>(Optional<T> parsed, String shown, SourceLocation location) {}
