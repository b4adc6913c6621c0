/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import java.io.IOException;
import java.net.BindException;
import java.net.ServerSocket;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A port that is free now and is bound later, by somebody who must be told its number. The same one never comes twice, and
 * none is among those that the system gives to whoever asks for any (Linux: 32768 and above), so that nobody takes it
 * meanwhile.
 */
final class FreePort {
    /** Where none listens: tcpmux, which is nobody's. */
    static final int CLOSED = 1;

    private static final int FIRST = 20_000;
    private static final AtomicInteger NEXT =
            new AtomicInteger(FIRST + (int) (ProcessHandle.current().pid() % 1_000) * 10);

    private FreePort() {}

    static int next() throws IOException {
        int port = NEXT.getAndIncrement();
        while (!isFree(port)) {
            port = NEXT.getAndIncrement();
        }
        return port;
    }

    private static boolean isFree(int port) throws IOException {
        try (ServerSocket free = new ServerSocket(port)) {
            return free.isBound();
        } catch (BindException e) {
            return false;
        }
    }
}
