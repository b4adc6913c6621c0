/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** The project's own files, as the tests find them. */
final class Project {
    static final Path ROOT = Path.of(System.getProperty("mailflow.project", ".."))
            .toAbsolutePath()
            .normalize();
    static final boolean CI = Boolean.getBoolean("mailflow.ci");

    private Project() {}

    /** A copy of the shipped configuration, to be changed by a test. */
    static Path copyOfSampleConfiguration(Path into) {
        copy(ROOT.resolve("james-conf"), into);
        return into;
    }

    private static void copy(Path from, Path to) {
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : (Iterable<Path>) files::iterator) {
                Path target = to.resolve(from.relativize(file).toString());
                if (Files.isDirectory(file)) {
                    Files.createDirectories(target);
                } else {
                    Files.copy(file, target);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
