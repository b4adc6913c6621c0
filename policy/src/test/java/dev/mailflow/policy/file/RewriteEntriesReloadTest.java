/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Map;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.rewrite.Direction;

class RewriteEntriesReloadTest {

    @Test
    void changedEntriesShouldComeIntoForceAndBrokenOnesLeaveTheLastGoodTable(@TempDir Path conf) throws Exception {
        PolicyDirectory directory = new PolicyDirectory(conf);
        directory.write(
                "mailflow.xml",
                "<mailflow><addressRewrite><entriesFile>file://conf/rewrite.csv</entriesFile></addressRewrite></mailflow>");
        directory.write("rewrite.csv", "joe@contoso.com,one@northwind.com\n");
        try (FilePolicyRepository policies =
                new FilePolicyRepository(directory.mailflowXml(), conf, Map.of(), PolicyDirectory.CLOCK, false)) {
            assertThat(outside(policies)).isEqualTo("one@northwind.com");

            directory.write("rewrite.csv", "joe@contoso.com,second@northwind.com\n");
            policies.poll();
            policies.poll();
            assertThat(outside(policies)).isEqualTo("second@northwind.com");

            directory.write("rewrite.csv", "joe@contoso.com,third@northwind.com\nrubbish\n,\n");
            policies.poll();
            policies.poll();
            policies.poll();
            assertThat(outside(policies)).isEqualTo("second@northwind.com");
            assertThat(policies.pendingProblems())
                    .extracting(PolicyProblem::location)
                    .extracting(Object::toString)
                    .containsExactly("rewrite.csv:2", "rewrite.csv:3");
        }
    }

    private static String outside(FilePolicyRepository policies) {
        return policies.current()
                .addressRewrite()
                .rewrite("joe", "contoso.com", Direction.OUTBOUND)
                .after();
    }
}
