/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.demo;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

import org.junit.jupiter.api.Test;

import dev.mailflow.demo.MailPath.Expected;
import dev.mailflow.demo.MailPath.Status;

class DemoTest {
    private static final Path PROJECT = Path.of(System.getProperty("mailflow.project", ".."));

    private static String run(List<MailPath> paths, int expected) {
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        int code = Demo.run(PROJECT, paths, new PrintStream(printed, true, StandardCharsets.UTF_8));
        String text = printed.toString(StandardCharsets.UTF_8);
        assertThat(code).as(text).isEqualTo(expected);
        return text;
    }

    @Test
    void everyPathShouldBeAsTheTableSays() {
        assertThat(run(MailPath.TABLE, 0))
                .contains("12 of 12 paths are as the table says.")
                .doesNotContain("DIFFERS");
    }

    @Test
    void pathThatDiffersFromTheTableShouldBeToldAndEndWithOne() {
        MailPath direct = MailPath.TABLE.stream()
                .filter(path -> path.title().equals("J to E"))
                .findFirst()
                .orElseThrow();
        Expected other = new Expected('e', "e@elsewhere.example", List.of(World.GATEWAY, World.CLOUD), Status.INTERNAL);
        MailPath wrong = new MailPath(direct.title(), direct.topology(), 'j', false, List.of(other));

        assertThat(run(List.of(wrong), 1))
                .contains("DIFFERS: the table says mail.contoso.example -> eu1.mail.cloud.example")
                .contains("the table says to e@elsewhere.example")
                .contains("the table says internal")
                .contains("0 of 1 paths are as the table says.");
    }
}
