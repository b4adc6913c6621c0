/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.time.Duration;

/**
 * What each measurement sends.
 *
 * @param size of a message's body, bytes
 * @param senders parallel SMTP sessions; each session carries one message
 * @param timeout in which all messages must have come through
 */
record Load(int messages, int size, int senders, Duration timeout) {}
