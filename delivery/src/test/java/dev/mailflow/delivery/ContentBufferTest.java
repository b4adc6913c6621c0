/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ContentBufferTest {
    private static final int MEMORY = 256 * 1024;

    @ParameterizedTest
    @ValueSource(ints = {0, 1, MEMORY - 1, MEMORY, MEMORY + 1, 3 * MEMORY + 17})
    void contentShouldBeWhatWasWrittenForEveryReader(int length) throws Exception {
        byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        try (ContentBuffer buffer = new ContentBuffer()) {
            buffer.write(bytes, 0, length / 3);
            for (int i = length / 3; i < length / 2; i++) {
                buffer.write(bytes[i]);
            }
            buffer.write(bytes, length / 2, length - length / 2);
            MessageContent content = buffer.content();

            assertThat(content.size()).isEqualTo(length);
            try (InputStream one = content.open();
                    InputStream another = content.open()) {
                byte[] begun = one.readNBytes(length / 2);
                assertThat(another.readAllBytes()).isEqualTo(bytes);
                assertThat(begun).isEqualTo(Arrays.copyOf(bytes, length / 2));
                assertThat(one.readAllBytes()).isEqualTo(Arrays.copyOfRange(bytes, length / 2, length));
            }
        }
    }

    /** Others on this host look into the directory of temporary files. */
    @Test
    void nobodyShouldFindLargeContentByAName() throws Exception {
        Set<Path> before = temporary();
        ContentBuffer buffer = new ContentBuffer();
        buffer.write(new byte[2 * MEMORY]);
        Set<Path> during = temporary();
        during.removeAll(before);
        MessageContent content = buffer.content();
        InputStream in = content.open();
        buffer.close();

        assertThat(during).isEmpty();
        assertThatThrownBy(in::readAllBytes).isInstanceOf(IOException.class);
    }

    private static Set<Path> temporary() throws IOException {
        try (Stream<Path> files = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
            return files.filter(file -> file.getFileName().toString().startsWith("mailflow-")
                            && file.getFileName().toString().endsWith(".eml"))
                    .collect(Collectors.toCollection(TreeSet::new));
        }
    }
}
