/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** Builds and runs images without a daemon or a registry, on Debian's packages. */
final class Podman {
    /** What the Dockerfile calls {@code debian:bookworm-slim}, made by debootstrapping where no registry is. */
    private static final String BASE = "localhost/debian:bookworm-slim";

    private static final int RUN_SECONDS = 120;
    private static final int BUILD_SECONDS = 600;

    private final Path scratch;

    /** @param scratch for the output of commands */
    Podman(Path scratch) {
        this.scratch = scratch;
    }

    /** The first thing that is missing on this machine, if any. */
    static Optional<String> missing() {
        if (!System.getProperty("os.name").equals("Linux") || !"root".equals(System.getProperty("user.name"))) {
            return Optional.of("root on Linux");
        }
        return Stream.of("podman", "runc", "mmdebstrap")
                .filter(command -> Stream.of((System.getenv("PATH") + ":/usr/sbin:/sbin").split(File.pathSeparator))
                        .noneMatch(directory -> Files.isExecutable(Path.of(directory, command))))
                .findFirst();
    }

    /** Makes the base image, once for this machine. */
    void provideBase() throws Exception {
        if (tryRun(RUN_SECONDS, "podman", "image", "exists", BASE).code() == 0) {
            return;
        }
        Path tar = scratch.resolve("base.tar");
        succeed(
                BUILD_SECONDS,
                "mmdebstrap",
                "--variant=minbase",
                "--include=ca-certificates",
                "bookworm",
                tar.toString());
        succeed(BUILD_SECONDS, "podman", "import", tar.toString(), BASE);
        Files.delete(tar);
    }

    /** Builds the project's Dockerfile; the image of an earlier build makes way, its shared layers stay. */
    void build(String image) throws Exception {
        String before = tryRun(RUN_SECONDS, "podman", "image", "inspect", "--format", "{{.Id}}", image)
                .lastLine();
        succeed(
                BUILD_SECONDS,
                "podman",
                "build",
                "--format",
                "docker",
                "--network",
                "host",
                "--isolation",
                "chroot",
                "--build-arg",
                "BASE=" + BASE,
                "--file",
                Project.ROOT.resolve("docker/Dockerfile").toString(),
                "--tag",
                image,
                Project.ROOT.toString());
        String after = succeed(RUN_SECONDS, "podman", "image", "inspect", "--format", "{{.Id}}", image);
        if (before.matches("[0-9a-f]{64}") && !before.equals(after)) {
            tryRun(RUN_SECONDS, "podman", "rmi", before);
        }
    }

    /** Runs a command of podman and returns its standard output; a failure is an error that shows everything. */
    String podman(String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of("podman", "--runtime", "runc"));
        command.addAll(List.of(arguments));
        return succeed(RUN_SECONDS, command.toArray(String[]::new));
    }

    /** {@code podman run} on this machine's network, within limits that need no privilege to set. */
    String run(String... arguments) throws Exception {
        List<String> command = new ArrayList<>(
                List.of("run", "--network=host", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=1024:1024"));
        command.addAll(List.of(arguments));
        return podman(command.toArray(String[]::new));
    }

    /** What {@link #podman} does, where a failure is an answer. */
    Answer ask(String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of("podman", "--runtime", "runc"));
        command.addAll(List.of(arguments));
        return tryRun(RUN_SECONDS, command.toArray(String[]::new));
    }

    /**
     * @param out standard output
     * @param err standard error
     */
    record Answer(int code, String out, String err) {
        private String lastLine() {
            return out.lines().reduce("", (first, second) -> second).trim();
        }
    }

    private String succeed(int seconds, String... command) throws Exception {
        Answer answer = tryRun(seconds, command);
        if (answer.code() != 0) {
            throw new IOException(
                    String.join(" ", command) + " ended with " + answer.code() + ":\n" + answer.out() + answer.err());
        }
        return answer.out().trim();
    }

    private Answer tryRun(int seconds, String... command) throws Exception {
        Path out = Files.createTempFile(scratch, "out", ".txt");
        Path err = Files.createTempFile(scratch, "err", ".txt");
        Process process = new ProcessBuilder(command)
                .redirectOutput(out.toFile())
                .redirectError(err.toFile())
                .start();
        if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new IOException(
                    String.join(" ", command) + " did not end within " + seconds + " s:\n" + text(out) + text(err));
        }
        return new Answer(process.exitValue(), text(out), text(err));
    }

    private static String text(Path file) throws IOException {
        return Files.readString(file, StandardCharsets.UTF_8);
    }
}
