/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.TimeUnit;

/** A process of its own whose messages go to a file, ended when closed. */
final class Forked implements AutoCloseable {
    /** Those of {@code bin/gateway}, for every Java system alike. */
    private static final List<String> JVM_OPTIONS = List.of(
            "-Xms128m", "-Xmx1g", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true", "-Dfile.encoding=UTF-8");

    private static final Duration END = Duration.ofSeconds(30);
    private static final Duration START = Duration.ofMinutes(2);
    private static final int LAST_LINES = 40;

    private final String name;
    private final Process process;
    private final Path log;

    private Forked(String name, Process process, Path log) {
        this.name = name;
        this.process = process;
        this.log = log;
    }

    /** Starts a program whose output goes to {@code directory/name.log}. */
    static Forked start(String name, Path directory, List<String> command) {
        return start(name, directory, command, false);
    }

    /** As {@link #start}, but its standard output is read by {@link #output()}. */
    static Forked startPiped(String name, Path directory, List<String> command) {
        return start(name, directory, command, true);
    }

    /** A JVM of the version that runs this. */
    static Forked startJava(
            String name,
            Path directory,
            List<String> options,
            String classpath,
            String mainClass,
            List<String> arguments) {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(JVM_OPTIONS);
        command.addAll(options);
        command.addAll(List.of("-cp", classpath, mainClass));
        command.addAll(arguments);
        return start(name, directory, command);
    }

    private static Forked start(String name, Path directory, List<String> command, boolean piped) {
        Path log = directory.resolve(name + ".log");
        ProcessBuilder builder = new ProcessBuilder(command)
                .directory(directory.toFile())
                .redirectError(ProcessBuilder.Redirect.appendTo(log.toFile()));
        if (!piped) {
            builder.redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()));
        }
        try {
            return new Forked(name, builder.start(), log);
        } catch (IOException e) {
            throw new BenchmarkFailure("cannot start " + name + ": " + e.getMessage(), e);
        }
    }

    /** Runs a program to its end. Throws {@link BenchmarkFailure} with what it said unless it exits with 0. */
    static void run(String name, Path directory, List<String> command) {
        try (Forked forked = start(name, directory, command)) {
            forked.awaitSuccess(END);
        }
    }

    long pid() {
        return process.pid();
    }

    InputStream output() {
        return process.getInputStream();
    }

    /** Its exit code once it has ended. */
    OptionalInt exitCode() {
        return process.isAlive() ? OptionalInt.empty() : OptionalInt.of(process.exitValue());
    }

    /** Throws {@link BenchmarkFailure} unless it exits with 0 in time. */
    void awaitSuccess(Duration time) {
        if (!waitFor(time)) {
            throw failure("did not end within " + time.toSeconds() + " s");
        }
        if (process.exitValue() != 0) {
            throw failure("exited with " + process.exitValue());
        }
    }

    /** Throws {@link BenchmarkFailure} if it has ended with another code than 0. */
    void checkNotFailed() {
        if (exitCode().orElse(0) != 0) {
            throw failure("exited with " + process.exitValue());
        }
    }

    /** Returns when an SMTP server greets on the port of 127.0.0.1; this process must live until then. */
    void awaitGreeting(int port) {
        long deadline = System.nanoTime() + START.toNanos();
        while (!SmtpGreeting.isGiven(port)) {
            if (waitFor(Duration.ofMillis(100))) {
                throw failure("ended before it listened on 127.0.0.1:" + port);
            }
            if (System.nanoTime() - deadline > 0) {
                throw failure("gave no SMTP greeting on 127.0.0.1:" + port + " within " + START.toSeconds() + " s");
            }
        }
    }

    private BenchmarkFailure failure(String what) {
        return new BenchmarkFailure(name + " " + what + "; the end of its log:\n" + lastLog());
    }

    String lastLog() {
        return lastLines(log);
    }

    /** The last lines of a log file; empty when there is none. */
    static String lastLines(Path log) {
        try {
            if (!Files.exists(log)) {
                return "";
            }
            List<String> lines =
                    Files.readString(log, StandardCharsets.ISO_8859_1).lines().toList();
            return String.join("\n", lines.subList(Math.max(0, lines.size() - LAST_LINES), lines.size()));
        } catch (IOException e) {
            return "(" + log + " cannot be read: " + e.getMessage() + ")";
        }
    }

    private boolean waitFor(Duration time) {
        try {
            return process.waitFor(time.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new BenchmarkFailure("interrupted while waiting for " + name, e);
        }
    }

    /** SIGTERM, and SIGKILL for what does not heed it. */
    @Override
    public void close() {
        process.destroy();
        if (!waitFor(END)) {
            process.destroyForcibly();
            waitFor(END);
        }
    }

    /** Whether a server is ready. */
    private static final class SmtpGreeting {
        private static final int PATIENCE_MILLIS = 2_000;

        static boolean isGiven(int port) {
            try (Socket socket = new Socket()) {
                socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), PATIENCE_MILLIS);
                socket.setSoTimeout(PATIENCE_MILLIS);
                byte[] code = socket.getInputStream().readNBytes(3);
                return new String(code, StandardCharsets.US_ASCII).equals("220");
            } catch (IOException e) {
                return false;
            }
        }
    }
}
