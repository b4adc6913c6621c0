/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** A program of a Debian package that the benchmark needs. */
enum DebianTool {
    SMTP_SINK("smtp-sink", "postfix"),
    SMTP_SOURCE("smtp-source", "postfix"),
    POSTFIX("postfix", "postfix"),
    POSTCONF("postconf", "postfix"),
    STUNNEL("stunnel4", "stunnel4");

    /** Where Debian puts what is not for everybody's {@code PATH}. */
    private static final List<String> BESIDE_PATH = List.of("/usr/sbin", "/usr/lib/postfix/sbin");

    private final String command;
    private final String debianPackage;

    DebianTool(String command, String debianPackage) {
        this.command = command;
        this.debianPackage = debianPackage;
    }

    /** The absolute path of the program. Throws {@link BenchmarkFailure} when it is not there. */
    String path() {
        return find(Optional.ofNullable(System.getenv("PATH")).orElse(""))
                .map(Path::toString)
                .orElseThrow(() -> new BenchmarkFailure("found no " + command + " in PATH nor in "
                        + String.join(", ", BESIDE_PATH) + "; install it: apt install " + debianPackage));
    }

    Optional<Path> find(String searchPath) {
        return Stream.concat(
                        Arrays.stream(searchPath.split(File.pathSeparator)).filter(entry -> !entry.isEmpty()),
                        BESIDE_PATH.stream())
                .map(directory -> Path.of(directory, command))
                .filter(Files::isExecutable)
                .findFirst();
    }
}
