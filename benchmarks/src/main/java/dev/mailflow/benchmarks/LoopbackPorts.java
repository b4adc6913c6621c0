/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;

/** TCP ports of 127.0.0.1 that nobody listens on. */
final class LoopbackPorts {
    private LoopbackPorts() {}

    /** Distinct ports, free just now. */
    static List<Integer> free(int count) {
        List<Integer> found = new ArrayList<>();
        find(count, found);
        return found;
    }

    private static void find(int count, List<Integer> found) {
        if (count == 0) {
            return;
        }
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            found.add(socket.getLocalPort());
            // while this one is held, or it would be found again
            find(count - 1, found);
        } catch (IOException e) {
            throw new BenchmarkFailure("found no free port on 127.0.0.1: " + e.getMessage(), e);
        }
    }

    static int free() {
        return free(1).get(0);
    }
}
