/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * A next hop on 127.0.0.1 that takes every message and remembers when it said so. Messages are told apart by their number, in
 * the header {@value #NUMBER}.
 */
final class TimingSink implements AutoCloseable {
    static final String NUMBER = "X-Bench-Number: ";
    private static final int BACKLOG = 1000;

    private final ServerSocket listener;
    private final AtomicLongArray taken;
    private final AtomicInteger messages = new AtomicInteger();
    private final AtomicInteger repeated = new AtomicInteger();
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();

    private TimingSink(ServerSocket listener, int most) {
        this.listener = listener;
        this.taken = new AtomicLongArray(most);
    }

    /** @param most numbers are below this */
    static TimingSink start(Workbench workbench, int most) {
        try {
            TimingSink sink =
                    workbench.add(new TimingSink(new ServerSocket(0, BACKLOG, InetAddress.getLoopbackAddress()), most));
            sink.inBackground(sink::accept);
            return sink;
        } catch (IOException e) {
            throw new BenchmarkFailure("cannot listen on 127.0.0.1: " + e.getMessage(), e);
        }
    }

    private void inBackground(Runnable work) {
        Thread thread = new Thread(work, "timing-sink");
        thread.setDaemon(true);
        thread.start();
    }

    private void accept() {
        while (!listener.isClosed()) {
            try {
                Socket client = listener.accept();
                open.add(client);
                inBackground(() -> serve(client));
            } catch (IOException e) {
                // closed; a message that is missing is noticed by whoever counts
                return;
            }
        }
    }

    private void serve(Socket client) {
        try (client) {
            client.setTcpNoDelay(true);
            InputStream in = new BufferedInputStream(client.getInputStream(), 65_536);
            OutputStream out = client.getOutputStream();
            say(out, "220 sink.bench.test ESMTP");
            String line = line(in);
            while (line != null) {
                String command = line.length() < 4 ? line : line.substring(0, 4);
                switch (command) {
                    case "EHLO" -> say(out, "250-sink.bench.test\r\n250-PIPELINING\r\n250 8BITMIME");
                    case "DATA" -> {
                        say(out, "354 go on");
                        int number = content(in);
                        say(out, "250 2.0.0 taken");
                        if (!taken.compareAndSet(number, 0, System.nanoTime())) {
                            repeated.incrementAndGet();
                        }
                        messages.incrementAndGet();
                    }
                    case "QUIT" -> {
                        say(out, "221 bye");
                        return;
                    }
                    default -> say(out, "250 2.0.0 OK");
                }
                line = line(in);
            }
        } catch (IOException e) {
            // the relay closed it, or the run is over
            return;
        } finally {
            open.remove(client);
        }
    }

    private static int content(InputStream in) throws IOException {
        int number = -1;
        String line = line(in);
        while (line != null && !line.equals(".")) {
            if (number < 0 && line.startsWith(NUMBER)) {
                number = Integer.parseInt(line.substring(NUMBER.length()));
            }
            line = line(in);
        }
        if (number < 0) {
            throw new IOException("a message without " + NUMBER);
        }
        return number;
    }

    private static void say(OutputStream out, String reply) throws IOException {
        out.write((reply + "\r\n").getBytes(StandardCharsets.US_ASCII));
    }

    /** Without its end; null at the end of the stream. */
    private static String line(InputStream in) throws IOException {
        StringBuilder line = new StringBuilder(128);
        int c = in.read();
        while (c >= 0 && c != '\n') {
            if (c != '\r') {
                line.append((char) c);
            }
            c = in.read();
        }
        return c < 0 && line.isEmpty() ? null : line.toString();
    }

    int port() {
        return listener.getLocalPort();
    }

    /** How many were taken, those that came again too. */
    int messages() {
        return messages.get();
    }

    int repeated() {
        return repeated.get();
    }

    /** When the message was taken, {@link System#nanoTime}; 0: it was not. */
    long takenAt(int number) {
        return taken.get(number);
    }

    @Override
    public void close() throws IOException {
        listener.close();
        for (Socket client : open) {
            client.close();
        }
    }
}
