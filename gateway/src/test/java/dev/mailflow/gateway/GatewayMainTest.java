/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import picocli.CommandLine;

class GatewayMainTest {
    @TempDir
    Path temporary;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int run(String... arguments) {
        CommandLine commandLine = GatewayMain.commandLine();
        commandLine.setOut(new PrintWriter(out));
        commandLine.setErr(new PrintWriter(err));
        return commandLine.execute(arguments);
    }

    @Test
    void brokenPolicyShouldExitWithOneAndEveryMistakeButNoStackTrace() {
        SampleConfiguration conf = SampleConfiguration.copyTo(temporary.resolve("conf"))
                .write(
                        "mailflow.xml",
                        "<mailflow><acceptedDomains><domian>x.example</domian></acceptedDomains></mailflow>");

        int exit = run(
                "--conf",
                conf.directory().toString(),
                "--data",
                temporary.resolve("data").toString());

        assertThat(exit).isEqualTo(1);
        assertThat(err.toString())
                .contains("mailflow.xml")
                .contains("domian")
                .doesNotContain("\tat ")
                .doesNotContain("Exception");
        assertThat(out.toString()).isEmpty();
    }

    @Test
    void missingDirectoryShouldBeWrongUsage() {
        assertThat(run("--conf", temporary.toString())).isEqualTo(2);
        assertThat(err.toString()).contains("--data");
    }

    @Test
    void helpShouldNameBothDirectories() {
        assertThat(run("--help")).isZero();
        assertThat(out.toString()).contains("--conf").contains("--data");
    }
}
