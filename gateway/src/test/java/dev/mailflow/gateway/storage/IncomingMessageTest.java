/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.storage;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class IncomingMessageTest {
    private static final byte[] LINE = "0123456789 0123456789 0123456789\r\n".getBytes(StandardCharsets.US_ASCII);
    private static final int MANY = 10_000;

    @TempDir
    Path temporary;

    private Path directory;
    private IncomingMessage message;

    @BeforeEach
    void begin() throws Exception {
        directory = temporary.resolve("tmp");
        IncomingFiles.prepare(directory);
        message = new IncomingFiles(directory).begin("mail-1");
    }

    private void write(int lines) {
        for (int i = 0; i < lines; i++) {
            message.write(LINE, 0, LINE.length);
        }
    }

    private List<Path> written() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.toList();
        }
    }

    private String content() throws IOException {
        try (InputStream in = message.getInputStream()) {
            return new String(in.readAllBytes(), StandardCharsets.US_ASCII);
        }
    }

    private static String lines(int count) {
        return new String(LINE, StandardCharsets.US_ASCII).repeat(count);
    }

    @Test
    void smallMessageShouldNotTouchTheDisk() throws Exception {
        write(3);

        assertThat(message.end()).isEmpty();
        assertThat(content()).isEqualTo(lines(3));
        assertThat(content()).isEqualTo(lines(3));
        assertThat(message.getMessageSize()).isEqualTo(3L * LINE.length);
        assertThat(written()).isEmpty();
    }

    @Test
    void largeMessageShouldBeAFileOfTheOwnerUntilItIsDisposedOf() throws Exception {
        write(MANY);

        assertThat(message.end()).isEmpty();
        assertThat(written()).singleElement().satisfies(file -> assertThat(
                        PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo("rw-------"));
        assertThat(content()).isEqualTo(lines(MANY));
        assertThat(message.getMessageSize()).isEqualTo((long) MANY * LINE.length);

        message.dispose();
        message.dispose();
        assertThat(written()).isEmpty();
    }

    @Test
    void messageThatCannotBeWrittenShouldSayWhyAtItsEndOnly() throws Exception {
        Files.delete(directory);

        write(MANY);

        assertThat(message.end()).isPresent();
        assertThat(message.isOutOfRoom()).isFalse();
    }

    @Test
    void directoryShouldBeTheOwnersAndEmptyAfterAStart() throws Exception {
        write(MANY);
        Path other = Files.createDirectories(directory.resolve("a/b")).resolve("c");
        Files.writeString(other, "left over");
        Path elsewhere = Files.writeString(temporary.resolve("elsewhere"), "not ours");
        Files.createSymbolicLink(directory.resolve("link"), temporary);
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxrwxrwx"));

        IncomingFiles.prepare(directory);

        assertThat(written()).isEmpty();
        assertThat(elsewhere).hasContent("not ours");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(directory)))
                .isEqualTo("rwx------");
    }
}
