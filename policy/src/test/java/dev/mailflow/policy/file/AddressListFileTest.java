/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.connection.IpRangeList;

class AddressListFileTest {
    private final Problems problems = new Problems();

    private IpRangeList read(String content) {
        return new AddressListFile("allow.txt", problems).read(content.getBytes(StandardCharsets.UTF_8));
    }

    private List<PolicyProblem> found() {
        return problems.inFileOrder("mailflow.xml");
    }

    @Test
    void rangesShouldBeReadWithTheirLines() {
        IpRangeList list = read(
                "\uFEFF# Zugelassen f\u00FCr immer\n192.0.2.1\r\n\r\n  2001:db8::/32 # trailing # twice\n#\n\t192.0.2.4 - 192.0.2.9\n192.0.2.0/24#x");

        assertThat(found()).isEmpty();
        assertThat(list.size()).isEqualTo(4);
        assertThat(List.of(0, 1, 2, 3))
                .extracting(list::location)
                .containsExactly(
                        new SourceLocation("allow.txt", 2),
                        new SourceLocation("allow.txt", 4),
                        new SourceLocation("allow.txt", 6),
                        new SourceLocation("allow.txt", 7));
    }

    @Test
    void emptyFileShouldBeAnEmptyList() {
        assertThat(read("").size()).isZero();
        assertThat(read("\n\n# nothing").size()).isZero();
        assertThat(found()).isEmpty();
    }

    @Test
    void everyBadLineShouldBeTold() {
        IpRangeList list = read("192.0.2.1\nmail.example.com\n192.0.2.2, 192.0.2.3\n192.0.2.4\n192.0.2.0/x\n");

        assertThat(list.size()).isEqualTo(2);
        assertThat(found())
                .extracting(PolicyProblem::toString)
                .satisfiesExactly(
                        problem -> assertThat(problem)
                                .startsWith("allow.txt:2: error: found 'mail.example.com', expected an address"),
                        problem -> assertThat(problem).startsWith("allow.txt:3: error: found '192.0.2.2, 192.0.2.3'"),
                        problem -> assertThat(problem).startsWith("allow.txt:5: error: found '192.0.2.0/x'"));
    }

    @Test
    void badLinesBeyondAHundredShouldBeCounted() {
        read("no\n".repeat(250));

        assertThat(found()).hasSize(101);
        assertThat(found()).extracting(PolicyProblem::message).contains("and 150 more bad lines");
    }

    /** Where no line has a comment, none may be searched for beyond its line. */
    @ParameterizedTest
    @ValueSource(strings = {" # network", ""})
    void millionLinesShouldLoadWithinTwoSeconds(String comment) {
        StringBuilder content = new StringBuilder();
        for (int i = 0; i < 1_000_000; i++) {
            content.append(i >>> 16 & 255)
                    .append('.')
                    .append(i >>> 8 & 255)
                    .append('.')
                    .append(i & 255);
            content.append(i % 3 == 0 ? ".0/24" + comment + "\n" : ".7\n");
        }
        byte[] bytes = content.toString().getBytes(StandardCharsets.US_ASCII);
        AddressListFile file = new AddressListFile("block.txt", problems);

        // of this thread: what else the machine does is not this file's matter
        long before = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
        IpRangeList list = file.read(bytes);
        long took = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - before;

        assertThat(Duration.ofNanos(took)).isLessThan(Duration.ofSeconds(2));
        assertThat(list.size()).isEqualTo(1_000_000);
        assertThat(found()).isEmpty();
    }
}
