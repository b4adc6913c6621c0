/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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

    @ParameterizedTest
    @CsvSource({
        "<server>not-an-address</server>,3: error: <server>: found 'not-an-address'",
        "<server>,4: error: not well-formed XML: ",
        "<host>192.0.2.53</host>,3: error: found <host> in <servers>"
    })
    void brokenFileOfJamesShouldExitWithOneAndOneLineThatNamesThePlace(String server, String told) {
        SampleConfiguration conf = SampleConfiguration.copyTo(temporary.resolve("conf"))
                .write("dnsservice.xml", "<dnsservice>\n<servers>\n" + server + "\n</servers>\n</dnsservice>\n");

        int exit = run(
                "--conf",
                conf.directory().toString(),
                "--data",
                temporary.resolve("data").toString());

        assertThat(exit).isEqualTo(1);
        assertThat(err.toString().lines()).singleElement().asString().startsWith("dnsservice.xml:" + told);
        assertThat(out.toString()).isEmpty();
        assertThat(temporary.resolve("data").resolve("queue")).doesNotExist();
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
