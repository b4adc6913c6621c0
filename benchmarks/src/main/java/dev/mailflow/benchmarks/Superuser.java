/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

/** Whether this runs as root. */
final class Superuser {
    private Superuser() {}

    static boolean isMe() {
        return "root".equals(System.getProperty("user.name"));
    }
}
