/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.rewrite.AddressRewriteEntry;
import dev.mailflow.policy.rewrite.AddressRewriteTable;
import dev.mailflow.policy.rewrite.Direction;

class RewriteEntriesFileTest {
    private final Problems problems = new Problems();

    private AddressRewriteTable read(byte[] csv) {
        AddressRewriteTable.Builder table = AddressRewriteTable.builder();
        new RewriteEntriesFile("rewrite.csv", problems).read(csv, table);
        return table.build();
    }

    private List<String> entries(String csv) {
        List<String> entries = new ArrayList<>();
        read(csv.getBytes(StandardCharsets.UTF_8)).forEach(entry -> entries.add(entry.toString()));
        return entries;
    }

    private List<String> problems() {
        return problems.inFileOrder("mailflow.xml").stream()
                .map(PolicyProblem::toString)
                .toList();
    }

    @Test
    void recordsShouldBeReadAsRfc4180WritesThem() {
        assertThat(entries("\uFEFFInternal,External,OutboundOnly,Exceptions\r\n"
                        + "# a comment, with \" in it\r\n"
                        + "\r\n"
                        + "joe@a.example,support@b.example\r\n"
                        + " ann@a.example , info@b.example , TRUE ,\n"
                        + "\"bob@a.example\",\"bob@b.example\",\"false\",\"\"\r\n"
                        + "*.a.example,a.example,,x.a.example;y.a.example\n"
                        + "*.c.example,c.example,true,\"x.c.example,\r\ny.c.example\"\n"
                        + "j\u00F6rg@a.example,jorg@b.example\n"
                        + "a.example,b.example"))
                .containsExactly(
                        "joe@a.example <-> support@b.example (rewrite.csv:4)",
                        "ann@a.example -> info@b.example (rewrite.csv:5)",
                        "bob@a.example <-> bob@b.example (rewrite.csv:6)",
                        "*.a.example -> a.example except x.a.example, y.a.example (rewrite.csv:7)",
                        "*.c.example -> c.example except x.c.example, y.c.example (rewrite.csv:8)",
                        "j\u00F6rg@a.example <-> jorg@b.example (rewrite.csv:10)",
                        "a.example <-> b.example (rewrite.csv:11)");
        assertThat(problems()).isEmpty();
    }

    @Test
    void everyMistakeShouldBeToldWithItsLineAndCostOnlyItself() {
        assertThat(entries("joe@a.example\n"
                        + "a,b,true,c,d\n"
                        + "joe@,x@b.example\n"
                        + "joe@a.example,x y@b.example\n"
                        + "joe@a.example,x@b.example,yes\n"
                        + "*.a.example,*.b.example,true\n"
                        + "*.a.example,b.example,false\n"
                        + "*.a.example,b.example,true,x*\n"
                        + "\"joe@a.example\"x,b@b.example\n"
                        + "ann@a.example,ann@b.example\n"
                        + "\"joe@a.example,b@b.example\n"
                        + "sue@a.example,sue@b.example\n"))
                .containsExactly(
                        "ann@a.example <-> ann@b.example (rewrite.csv:10)",
                        "sue@a.example <-> sue@b.example (rewrite.csv:12)");
        assertThat(problems())
                .satisfiesExactly(
                        p -> assertThat(p)
                                .startsWith("rewrite.csv:1: error: found 1 column in 'joe@a.example', expected"),
                        p -> assertThat(p).startsWith("rewrite.csv:2: error: found 5 columns"),
                        p -> assertThat(p).startsWith("rewrite.csv:3: error: column internal: found 'joe@', expected"),
                        p -> assertThat(p).startsWith("rewrite.csv:4: error: column external: found 'x y@b.example'"),
                        p -> assertThat(p)
                                .isEqualTo(
                                        "rewrite.csv:5: error: column outboundOnly: found 'yes', expected true, false or"
                                                + " nothing"),
                        p -> assertThat(p).contains("rewrite.csv:6: error: ", "never has a wildcard"),
                        p -> assertThat(p).contains("rewrite.csv:7: error: ", "outboundOnly 'false', expected 'true'"),
                        p -> assertThat(p).startsWith("rewrite.csv:8: error: column exceptions: found 'x*', expected"),
                        p -> assertThat(p).startsWith("rewrite.csv:9: error: found something between"),
                        p -> assertThat(p).startsWith("rewrite.csv:11: error: found a field that begins with '\"'"));
    }

    @Test
    void fileOfTheWrongKindShouldNotMakeAnEndlessReport() {
        entries("rubbish\n".repeat(5_000));

        assertThat(problems())
                .hasSize(AddressListFile.LISTED + 1)
                .contains("rewrite.csv: error: and 4900 more bad lines");
    }

    @Test
    void millionEntriesShouldBeReadQuickly() {
        StringBuilder csv = new StringBuilder(50_000_000);
        for (int i = 0; i < 1_000_000; i++) {
            csv.append("User.")
                    .append(i)
                    .append("@d")
                    .append(i % 5_000)
                    .append(".contoso.com,u")
                    .append(i)
                    .append("@northwind.com\n");
        }
        byte[] content = csv.toString().getBytes(StandardCharsets.US_ASCII);

        // generous: the figure is measured by the benchmark, this guards against another order of growth
        AddressRewriteTable table = Assertions.assertTimeout(Duration.ofSeconds(20), () -> read(content));

        assertThat(problems()).isEmpty();
        assertThat(table.size()).isEqualTo(1_000_000);
        assertThat(table.rewrite("user.765432", "D432.contoso.com", Direction.OUTBOUND)
                        .after())
                .isEqualTo("u765432@northwind.com");
        assertThat(table.rewrite("u1", "northwind.com", Direction.INBOUND).after())
                .isEqualTo("User.1@d1.contoso.com");
        List<AddressRewriteEntry> last = new ArrayList<>();
        table.forEach(entry -> {
            last.clear();
            last.add(entry);
        });
        assertThat(last.get(0).location()).hasToString("rewrite.csv:1000000");
    }
}
