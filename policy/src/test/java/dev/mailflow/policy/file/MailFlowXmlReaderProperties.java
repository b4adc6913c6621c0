/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;

import dev.mailflow.policy.PolicyProblem;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/** Whatever happens to a good document, reading it ends in a policy or in problems, never in an exception. */
class MailFlowXmlReaderProperties {
    private static final String[] FRAGMENTS = {
        "<",
        ">",
        "/",
        "\"",
        "'",
        "&",
        "&amp;",
        "${",
        "}",
        "${env:UNSET}",
        "${file:/dev/zero}",
        "*",
        "",
        " ",
        "\n",
        "\r",
        "\u0000",
        "\uD83D",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?x",
        "<!DOCTYPE a>",
        "0",
        "-1",
        "99999999999",
        "\u00E9",
        "file://conf/",
        "file:///",
        "[",
        "]",
        ":",
        "@",
        "<domain>",
        "</domain>",
        "<tls level=\"",
        "xmlns=\"x\" "
    };
    private static PolicyDirectory directory;
    private static String example;

    @BeforeContainer
    static void furnish() throws IOException {
        directory = new PolicyDirectory(Files.createTempDirectory("mailflow")).furnished();
        example = PolicyDirectory.contractExample();
    }

    @AfterContainer
    static void remove() throws IOException {
        try (var files = Files.list(directory.path())) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        }
        Files.delete(directory.path());
    }

    @Property(tries = 400)
    void mutatedDocumentShouldBeReadOrRefusedWithProblems(
            @ForAll long seed, @ForAll @IntRange(min = 1, max = 4) int mutations) {
        Random random = new Random(seed);
        StringBuilder document = new StringBuilder(example);
        for (int i = 0; i < mutations; i++) {
            int from = random.nextInt(document.length());
            int to = Math.min(document.length(), from + random.nextInt(random.nextBoolean() ? 3 : 60));
            document.replace(from, to, FRAGMENTS[random.nextInt(FRAGMENTS.length)]);
        }
        verify(document.toString().getBytes(StandardCharsets.UTF_8), document.toString());
    }

    @Property(tries = 200)
    void mutatedBytesShouldBeReadOrRefusedWithProblems(@ForAll long seed) {
        Random random = new Random(seed);
        byte[] document = example.getBytes(StandardCharsets.UTF_8);
        for (int i = 0; i < 3; i++) {
            document[random.nextInt(document.length)] = (byte) random.nextInt(256);
        }
        verify(document, new String(document, StandardCharsets.UTF_8));
    }

    private static void verify(byte[] document, String text) {
        PolicyReading reading = directory.read(document);

        boolean errors =
                reading.problems().stream().anyMatch(problem -> problem.severity() == PolicyProblem.Severity.ERROR);
        assertThat(reading.policy().isEmpty()).isEqualTo(errors);
        long lines = text.lines().count() + 1;
        assertThat(reading.problems()).allSatisfy(problem -> {
            assertThat(problem.message())
                    .isNotBlank()
                    .doesNotContain("\n")
                    .doesNotContain(PolicyDirectory.SECRET_VALUE);
            if (problem.location().file().equals("mailflow.xml")) {
                assertThat((long) problem.location().line())
                        .isBetween(0L, Math.max(lines, text.split("\r|\n", -1).length));
            }
        });
    }
}
