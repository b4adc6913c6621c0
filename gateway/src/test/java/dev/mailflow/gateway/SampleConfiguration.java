/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** A copy of the configuration that ships, for a test to change. */
public record SampleConfiguration(Path directory) {
    private static final Path SHIPPED = Path.of("..", "james-conf");

    public static SampleConfiguration copyTo(Path directory) {
        try (Stream<Path> files = Files.list(SHIPPED)) {
            Files.createDirectories(directory);
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Files.copy(file, directory.resolve(file.getFileName()));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return new SampleConfiguration(directory);
    }

    /** Replaces every occurrence in one file. */
    public SampleConfiguration replace(String file, String found, String replacement) {
        try {
            Path path = directory.resolve(file);
            String text = Files.readString(path);
            if (!text.contains(found)) {
                throw new IllegalArgumentException(file + " does not contain " + found);
            }
            Files.writeString(path, text.replace(found, replacement));
            return this;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public SampleConfiguration write(String file, String content) {
        try {
            Files.writeString(directory.resolve(file), content);
            return this;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Names, sizes and times of all files: what must stay the same if nothing was written. */
    public String fingerprint() {
        try (Stream<Path> files = Files.walk(directory)) {
            StringBuilder print = new StringBuilder();
            for (Path file : files.sorted().toList()) {
                print.append(file)
                        .append(' ')
                        .append(Files.getLastModifiedTime(file))
                        .append('\n');
            }
            return print.toString();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
