/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntFunction;

/**
 * Sends numbered messages to a relay over a few connections that stay open, and remembers when each was accepted.
 *
 * @param port of the relay on 127.0.0.1
 * @param recipient of the message of a number
 * @param accepted when the message of a number was accepted, {@link System#nanoTime}
 */
record NumberedLoad(int port, int senders, int bytes, IntFunction<String> recipient, AtomicLongArray accepted) {
    private static final int PATIENCE_MILLIS = 60_000;
    private static final int LINE = 78;

    /** Sends the messages from one number up to another, as fast as the relay takes them. */
    void send(int from, int to) {
        send(from, to, 0);
    }

    /**
     * The same at a steady rate, however slowly the relay answers as long as a connection is free.
     *
     * @param perSecond 0: as fast as it takes them
     */
    void send(int from, int to, double perSecond) {
        long start = System.nanoTime();
        AtomicInteger next = new AtomicInteger(from);
        ExecutorService threads = Executors.newFixedThreadPool(senders);
        try {
            List<Future<?>> running = new ArrayList<>();
            for (int i = 0; i < senders; i++) {
                running.add(threads.submit(() -> {
                    send(next, from, to, start, perSecond);
                    return null;
                }));
            }
            for (Future<?> sender : running) {
                sender.get();
            }
        } catch (ExecutionException e) {
            throw new BenchmarkFailure("a sender failed: " + e.getCause().getMessage(), e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new BenchmarkFailure("interrupted while sending", e);
        } finally {
            threads.shutdownNow();
        }
    }

    private void send(AtomicInteger next, int from, int to, long start, double perSecond) throws IOException {
        String body = ("x".repeat(LINE) + "\r\n").repeat(Math.max(1, bytes / (LINE + 2)));
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            socket.setSoTimeout(PATIENCE_MILLIS);
            socket.setTcpNoDelay(true);
            BufferedReader in =
                    new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.US_ASCII));
            OutputStream out = socket.getOutputStream();
            expect(in, "220");
            say(out, in, "EHLO load.bench.test\r\n", "250");
            for (int number = next.getAndIncrement(); number < to; number = next.getAndIncrement()) {
                if (perSecond > 0) {
                    awaitNanoTime(start + (long) ((number - from) * TimeUnit.SECONDS.toNanos(1) / perSecond));
                }
                say(out, in, "MAIL FROM:<a@contoso.com>\r\n", "250");
                say(out, in, "RCPT TO:<" + recipient.apply(number) + ">\r\n", "250");
                say(out, in, "DATA\r\n", "354");
                say(
                        out,
                        in,
                        "From: a@contoso.com\r\nSubject: load\r\n" + TimingSink.NUMBER + number + "\r\n\r\n" + body
                                + ".\r\n",
                        "250");
                accepted.set(number, System.nanoTime());
            }
        }
    }

    private static void awaitNanoTime(long due) {
        for (long left = due - System.nanoTime(); left > 0; left = due - System.nanoTime()) {
            LockSupport.parkNanos(left);
        }
    }

    private static void say(OutputStream out, BufferedReader in, String text, String code) throws IOException {
        out.write(text.getBytes(StandardCharsets.US_ASCII));
        expect(in, code);
    }

    private static void expect(BufferedReader in, String code) throws IOException {
        String line;
        do {
            line = in.readLine();
            if (line == null) {
                throw new IOException("the relay closed the connection, expected " + code);
            }
        } while (line.length() > 3 && line.charAt(3) == '-');
        if (!line.startsWith(code)) {
            throw new IOException("found '" + line + "', expected " + code);
        }
    }
}
