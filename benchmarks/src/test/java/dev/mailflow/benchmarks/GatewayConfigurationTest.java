/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Against the configuration that ships, so that a change there which the benchmark cannot follow is seen here. */
class GatewayConfigurationTest {
    private static final Path SAMPLE = Path.of("..", "james-conf");

    @Test
    void writeShouldMoveEveryPortAndLetThisHostRelayOnOneOfThem(@TempDir Path directory) throws Exception {
        GatewayConfiguration configuration =
                GatewayConfiguration.write(SAMPLE, directory.resolve("conf"), "<mailflow/>");

        Path conf = configuration.directory();
        assertThat(conf.resolve("mailflow.xml")).hasContent("<mailflow/>");
        assertThat(conf.resolve("mailetcontainer.xml")).hasSameTextualContentAs(SAMPLE.resolve("mailetcontainer.xml"));
        for (String server : List.of("smtpserver.xml", "imapserver.xml", "lmtpserver.xml")) {
            assertThat(binds(conf.resolve(server)))
                    .hasSameSizeAs(binds(SAMPLE.resolve(server)))
                    .doesNotContainAnyElementsOf(binds(SAMPLE.resolve(server)))
                    .doesNotHaveDuplicates();
        }
        assertThat(Files.readString(conf.resolve("smtpserver.xml")))
                .containsOnlyOnce("<authorizedAddresses>127.0.0.0/8</authorizedAddresses><verifyIdentity>");
        assertThat(binds(conf.resolve("smtpserver.xml")).get(0))
                .isEqualTo("<bind>127.0.0.1:" + configuration.smtpPort() + "</bind>");
        assertThat(conf.resolve("webadmin.properties")).content().doesNotContain("\nport=8000\n");
    }

    @Test
    void writeShouldFailWhenTheSampleIsNotAsExpected(@TempDir Path directory) throws Exception {
        Path sample = Files.createDirectory(directory.resolve("sample"));
        Files.writeString(sample.resolve("smtpserver.xml"), "<smtpservers/>");

        assertThatThrownBy(() -> GatewayConfiguration.write(sample, directory.resolve("conf"), "<mailflow/>"))
                .isInstanceOf(BenchmarkFailure.class)
                .hasMessageContaining("smtpserver.xml")
                .hasMessageContaining("<bind>");
    }

    private static List<String> binds(Path file) throws Exception {
        return Files.readString(file)
                .lines()
                .map(String::strip)
                .filter(line -> line.startsWith("<bind>"))
                .toList();
    }
}
