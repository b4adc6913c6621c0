/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.ArrayList;
import java.util.List;

/**
 * An address on which nobody answers: a socket listens and never accepts, and its backlog is full, so that the kernel drops
 * what asks for a connection. Real, on loopback.
 */
public final class BlackHole implements AutoCloseable {
    private static final int FILLING = 4;

    private final ServerSocketChannel listener;
    private final int port;
    private final List<SocketChannel> filling = new ArrayList<>();

    private BlackHole(String address, int wanted) {
        try {
            listener = ServerSocketChannel.open().bind(new InetSocketAddress(address, wanted), 1);
            this.port = ((InetSocketAddress) listener.getLocalAddress()).getPort();
            for (int i = 0; i < FILLING; i++) {
                SocketChannel one = SocketChannel.open();
                one.configureBlocking(false);
                one.connect(listener.getLocalAddress());
                filling.add(one);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** @param port 0: any free one */
    public static BlackHole at(String address, int port) {
        return new BlackHole(address, port);
    }

    public int port() {
        return port;
    }

    @Override
    public void close() {
        try {
            for (SocketChannel each : filling) {
                each.close();
            }
            listener.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
