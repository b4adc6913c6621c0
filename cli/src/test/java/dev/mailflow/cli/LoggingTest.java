/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

/** The command line as a process, with a log line in the middle of it. */
class LoggingTest {
    @Test
    void standardOutputShouldHoldTheAnswerOnlyWhenSomethingIsLogged() throws Exception {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        Talkative.class.getName())
                .start();
        String out = text(process.getInputStream());
        String err = text(process.getErrorStream());

        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(out).startsWith("mailflow ").hasLineCount(1);
        assertThat(err).contains("mailflow: WARN  something is odd").doesNotContain("nothing to see");
    }

    private static String text(InputStream stream) throws Exception {
        return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    }

    /** Logs as late as the library code of a command would: when its configuration has been chosen. */
    public static final class Talkative {
        private Talkative() {}

        public static void main(String[] args) {
            Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                LoggerFactory.getLogger(LoggingTest.class).warn("something is odd");
                LoggerFactory.getLogger(LoggingTest.class).info("nothing to see");
            }));
            Mailflow.main(new String[] {"--version"});
        }
    }
}
