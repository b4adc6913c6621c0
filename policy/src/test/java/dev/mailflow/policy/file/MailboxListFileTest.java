/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;

import org.apache.james.core.MailAddress;
import org.junit.jupiter.api.Test;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.hybrid.MailboxList;
import dev.mailflow.policy.hybrid.MailboxPlace;

class MailboxListFileTest {
    private final Problems problems = new Problems();

    private MailboxList read(String csv) {
        return new MailboxListFile("mailboxes.csv", problems).read(csv.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void listShouldSayWhereEachMailboxIsAndOnWhichLine() throws Exception {
        MailboxList list = read(
                "address,location\n# moved in spring\nj@contoso.com,local\n\n D@Contoso.com , cloud \r\n\"q@contoso.com\",cloud");

        assertThat(problems.hasErrors()).isFalse();
        assertThat(list.find(new MailAddress("J@contoso.com")))
                .isEqualTo(new MailboxPlace.Here("listed in mailboxes.csv:3"));
        assertThat(list.find(new MailAddress("d@contoso.com")))
                .isEqualTo(MailboxPlace.Away.inCloud("listed in mailboxes.csv:5"));
        assertThat(list.find(new MailAddress("q@contoso.com"))).isInstanceOf(MailboxPlace.Away.class);
        assertThat(list.find(new MailAddress("x@contoso.com"))).isInstanceOf(MailboxPlace.Nowhere.class);
    }

    @Test
    void everyMistakeShouldBeToldWithItsLine() {
        read(
                "j@contoso.com,here\nnobody,local\nj@contoso.com\nd@contoso.com,cloud\nd@contoso.com,local\n\"open,local\n");

        assertThat(problems.inFileOrder("mailboxes.csv"))
                .extracting(PolicyProblem::toString)
                .satisfiesExactly(
                        problem -> assertThat(problem)
                                .isEqualTo(
                                        "mailboxes.csv:1: error: column location: found 'here', expected local or cloud"),
                        problem -> assertThat(problem)
                                .startsWith(
                                        "mailboxes.csv:2: error: column address: found 'nobody', expected a mailbox"),
                        problem -> assertThat(problem)
                                .startsWith(
                                        "mailboxes.csv:3: error: found 1 column in 'j@contoso.com', expected address"),
                        problem -> assertThat(problem)
                                .startsWith("mailboxes.csv:5: error: found 'd@contoso.com' a second time")
                                .endsWith("line 4"),
                        problem -> assertThat(problem).startsWith("mailboxes.csv:6: error: found a field that begins"));
    }
}
