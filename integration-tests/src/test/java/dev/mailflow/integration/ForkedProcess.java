/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A process of its own, whose output goes to a file, and which does not outlive the test. */
final class ForkedProcess implements AutoCloseable {
    private final Process process;
    private final Path output;

    private ForkedProcess(Process process, Path output) {
        this.process = process;
        this.output = output;
    }

    /** A JVM like this one. */
    static ForkedProcess java(Path directory, Path output, String classpath, String mainClass, List<String> arguments) {
        return start(directory, output, javaCommand(directory, classpath, mainClass, arguments));
    }

    static List<String> javaCommand(Path directory, String classpath, String mainClass, List<String> arguments) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Djava.awt.headless=true",
                "-Dworking.directory=" + directory,
                "-cp",
                classpath,
                mainClass));
        command.addAll(arguments);
        return command;
    }

    static ForkedProcess start(Path directory, Path output, List<String> command) {
        try {
            return new ForkedProcess(
                    new ProcessBuilder(command)
                            .directory(directory.toFile())
                            .redirectErrorStream(true)
                            .redirectOutput(ProcessBuilder.Redirect.appendTo(output.toFile()))
                            .start(),
                    output);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    String output() {
        try {
            return Files.exists(output) ? Files.readString(output) : "";
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    boolean isAlive() {
        return process.isAlive();
    }

    /** SIGKILL. */
    void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    /** SIGTERM, and the exit code. */
    int terminate(long seconds) throws InterruptedException {
        process.destroy();
        return exitCode(seconds);
    }

    int exitCode(long seconds) throws InterruptedException {
        if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
            throw new AssertionError("the process did not end within " + seconds + " s:\n" + output());
        }
        return process.exitValue();
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
