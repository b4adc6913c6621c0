/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

/** How much of the message a failure notification shall carry (RET of RFC 3461). */
public enum DsnReturn {
    FULL,
    HDRS
}
