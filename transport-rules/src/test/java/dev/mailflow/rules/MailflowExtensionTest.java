/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.inbound.Origin;
import dev.mailflow.policy.rule.RuleAction;

/** The commands and tests of vnd.mailflow (mail-flow behaviour, section 6). */
class MailflowExtensionTest {
    private static final String ATTACHMENTS =
            """
            From: joe@contoso.com
            To: Ann <ann@fabrikam.com>,
             Bob <bob@fabrikam.com>
            Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=
            Content-Type: multipart/mixed; boundary=b

            --b

            See the files.
            --b
            Content-Type: application/octet-stream; name="ignored.bin"
            Content-Disposition: attachment; filename="Invoice.EXE"
            Content-Transfer-Encoding: base64

            QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB
            --b
            Content-Type: image/png; name="=?utf-8?B?w7xiZXIucG5n?="
            Content-Disposition: inline

            1234567890
            --b
            Content-Type: application/pdf
            Content-Disposition: attachment; filename*0="long-"; filename*1="name.pdf"

            pdf
            --b--
            """;

    @DisplayName("actions")
    @Test
    void actionsShouldBeTold() throws Exception {
        assertThat(Script.commands(
                                """
                                route "scrubber"; requiretls; setscl 6; setscl "-1"; bcc "audit@contoso.com"; quarantine "spam";
                                quarantine "file://var/mail/held/"; addrecipient "carol@contoso.com"; prependsubject "[x] ";
                                """)
                        .run()
                        .actions())
                .containsExactly(
                        new RuleAction.Route("scrubber"),
                        new RuleAction.RequireTls(),
                        new RuleAction.SetScl(6),
                        new RuleAction.SetScl(-1),
                        new RuleAction.Bcc(Script.address("audit@contoso.com")),
                        new RuleAction.Quarantine("spam"),
                        new RuleAction.Quarantine("file://var/mail/held/"),
                        new RuleAction.AddRecipient(Script.address("carol@contoso.com")),
                        new RuleAction.PrependSubject("[x] "));
    }

    @DisplayName("wrong arguments are errors")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "route; | expects a string: the name of an outbound connector",
                "route 1; | expected a string",
                "route \"\"; | found an empty name",
                "route [\"a\", \"b\"]; | expected a string",
                "requiretls \"x\"; | takes no more arguments",
                "setscl 10; | expected 0 to 9",
                "setscl \"-2\"; | expected 0 to 9",
                "setscl; | expects a string",
                "bcc \"x\"; | expected a mail address",
                "addrecipient \"x@\"; | expected a mail address",
                "quarantine \"../x\"; | expected a name",
                "quarantine \"a b\"; | expected a name",
                "prependsubject; | expects a string",
                "if internalsender \"x\" { keep; } | takes no more arguments",
                "if connector \"x\" { keep; } | expects ':in'",
                "if connector :out \"x\" { keep; } | chosen after the rules",
                "if clientip \"300.1.1.1\" { keep; } | found '300.1.1.1', expected an address",
                "if clientip \"10.0.0.0/33\" { keep; } | /32",
                "if attachmentsize 3 { keep; } | expected ':over' or ':under'",
                "if attachmentname { keep; } | expects a string or a list of strings",
                "fileinto \"x\"; | not allowed in a transport rule",
                "vacation \"x\"; | not allowed in a transport rule",
                "addflag \"x\"; | flags belong to a mailbox",
                "notify \"x\"; | use 'redirect :copy' or 'bcc'"
            })
    void wrongArgumentsShouldBeErrors(String commands, String message) {
        assertThat(Script.commands(commands).errors())
                .singleElement()
                .asString()
                .contains(message);
    }

    @DisplayName("internalsender follows the origin of the mail")
    @ParameterizedTest
    @CsvSource({"INTERNAL,true", "PARTNER,false", "INTERNET,false"})
    void internalSenderShouldFollowTheOrigin(Origin origin, boolean expected) throws Exception {
        assertThat(Script.test("internalsender").origin(origin).holds()).isEqualTo(expected);
    }

    @DisplayName("internalrecipient: an accepted domain that is not relayed out; per recipient")
    @ParameterizedTest
    @CsvSource({
        "a@contoso.com,true",
        "a@CONTOSO.com,true",
        "a@sub.contoso.com,false",
        "a@x.relay.example,true",
        "a@tailspin.com,false",
        "a@fabrikam.com,false"
    })
    void internalRecipientShouldFollowTheDomains(String recipient, boolean expected) throws Exception {
        assertThat(Script.test("internalrecipient").to(recipient).holds()).isEqualTo(expected);
        assertThat(Script.test("internalrecipient").compiled().dependsOnRecipient())
                .isTrue();
    }

    @DisplayName("connector and clientip")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "connector :in \"fabrikam-in\" | true",
                "connector :in [\"x\", \"fabrikam-in\"] | true",
                "connector :in \"Fabrikam-In\" | false",
                "clientip \"192.0.2.7\" | true",
                "clientip \"192.0.2.0/24\" | true",
                "clientip [\"10.0.0.0/8\", \"192.0.2.1-192.0.2.9\"] | true",
                "clientip \"10.0.0.0/8\" | false",
                "clientip \"::/0\" | false"
            })
    void sessionsShouldBeKnown(String test, boolean expected) throws Exception {
        assertThat(Script.test(test)
                        .facts(Rfc5183EnvironmentTest.facts("192.0.2.7"))
                        .holds())
                .isEqualTo(expected);
        assertThat(Script.test(test).holds())
                .as("a mail the server made itself")
                .isFalse();
    }

    @DisplayName("attachments")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "attachmentname \"invoice.exe\" | true",
                "attachmentname :matches \"*.exe\" | true",
                "attachmentname :matches [\"*.scr\", \"*.PDF\"] | true",
                "attachmentname \"ignored.bin\" | false",
                "attachmentname \"über.png\" | true",
                "attachmentname \"long-name.pdf\" | true",
                "attachmentname :contains \"voice\" | true",
                "'attachmentname :regex \"\\\\.(exe|scr)$\"' | true",
                "attachmentname :comparator \"i;octet\" :matches \"*.exe\" | false",
                "attachmentname :count \"eq\" :comparator \"i;ascii-numeric\" \"3\" | true",
                "attachmentsize :over 23 | true",
                "attachmentsize :over 24 | false",
                "attachmentsize :under 4 | true",
                "attachmentsize :under 3 | false"
            })
    void attachmentsShouldBeFound(String test, boolean expected) throws Exception {
        assertThat(Script.test(test).message(ATTACHMENTS).holds()).isEqualTo(expected);
    }

    @DisplayName("a plain message has no attachment")
    @ParameterizedTest
    @ValueSource(strings = {"attachmentname :contains \"\"", "attachmentsize :over 0", "attachmentsize :under 1M"})
    void plainMessagesShouldHaveNone(String test) throws Exception {
        assertThat(Script.test(test).holds()).isFalse();
    }

    @DisplayName("prependsubject keeps the bytes of the subject")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "'Subject: Hello' | '[EXT] ' | 'Subject: [EXT] Hello'",
                "'Subject:Hello' | '[EXT] ' | 'Subject: [EXT] Hello'",
                "'Subject: Hello' | '[EXT]' | 'Subject: [EXT]Hello'",
                "'Subject: =?utf-8?Q?Gr=C3=BC?=' | '[EXT] ' | 'Subject: [EXT] =?utf-8?Q?Gr=C3=BC?='",
                "'Subject: =?utf-8?Q?Gr=C3=BC?=' | 'Ä ' | 'Subject: =?UTF-8?B?w4Qg?= =?utf-8?Q?Gr=C3=BC?='",
                "'Subject: Hello' | 'Ä ' | 'Subject: =?UTF-8?B?w4Q=?= Hello'",
                "'subject: ' | 'x ' | 'subject: x '"
            })
    void subjectsShouldBePrefixed(String before, String prefix, String after) throws Exception {
        assertThat(Script.commands("prependsubject \"" + prefix + "\";")
                        .message("A: b\n" + before + "\nC: d\n\n")
                        .header())
                .isEqualTo("A: b\n" + after + "\nC: d\n\n");
    }

    @DisplayName("a message without subject gets one")
    @Test
    void missingSubjectsShouldBeMade() throws Exception {
        assertThat(Script.commands("prependsubject \"[EXT] \";")
                        .message("A: b\n\n")
                        .header())
                .isEqualTo("A: b\nSubject: [EXT]\n\n");
    }

    @DisplayName("addrecipient shows the address, once")
    @Test
    void recipientsShouldBeShown() throws Exception {
        assertThat(Script.commands("addrecipient \"carol@contoso.com\";")
                        .message(ATTACHMENTS)
                        .header())
                .contains("To: Ann <ann@fabrikam.com>,\n Bob <bob@fabrikam.com>,\n carol@contoso.com\n");
        assertThat(Script.commands("addrecipient \"ANN@fabrikam.com\";")
                        .message(ATTACHMENTS)
                        .header())
                .contains("To: Ann <ann@fabrikam.com>,\n Bob <bob@fabrikam.com>\n");
        assertThat(Script.commands("addrecipient \"carol@contoso.com\";")
                        .message("A: b\n\n")
                        .header())
                .isEqualTo("A: b\nTo: carol@contoso.com\n\n");
        assertThat(Script.commands("addrecipient \"carol@contoso.com\";")
                        .message("To: broken <\n\n")
                        .header())
                .isEqualTo("To: broken <\nCc: carol@contoso.com\n\n");
    }

    @DisplayName("what is known of a script without a message")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "keep; | false | false",
                "stop; | false | true",
                "if true { stop; } | false | true",
                "if size :over 1 { stop; } | false | false",
                "if size :over 1 { stop; } else { stop; } | false | true",
                "if size :over 1 { keep; stop; } elsif true { stop; } | false | true",
                "if false { keep; } | true | false",
                "if allof (true, false) { keep; } | true | false",
                "if allof (size :over 20M, size :under 10M) { keep; } | true | false",
                "if allof (size :over 1, size :under 2) { keep; } | true | false",
                "if allof (size :over 1, size :under 3) { keep; } | false | false",
                "if size :under 0 { keep; } | true | false",
                "if allof (header \"A\" \"b\", not header \"A\" \"b\") { keep; } | true | false",
                "if allof (string \"${1}\" \"\", header :matches \"A\" \"*\", not string \"${1}\" \"\") { keep; } |"
                        + " false | false",
                "if allof (header \"A\" \"b\", not header \"A\" \"c\") { keep; } | false | false",
                "if allof (envelope \"from\" \"a@b.c\", envelope \"from\" \"d@e.f\") { keep; } | true | false",
                "if allof (envelope \"from\" \"a@b.c\", envelope \"from\" [\"d@e.f\", \"A@b.c\"]) { keep; } | false |"
                        + " false",
                "if not true { discard; } else { set \"a\" \"b\"; } | true | false",
                "if environment \"nothing\" \"x\" { keep; } | true | false",
                "set \"a\" \"b\"; | true | false",
                "'' | true | false",
                "if ihave \"fileinto\" { keep; } | true | false",
                "foreverypart { stop; } | false | false",
                "error \"x\"; | false | false"
            })
    void scriptsShouldBeInspected(String commands, boolean never, boolean stops) {
        var inspection = Script.commands(commands).compiled().inspection();
        assertThat(inspection.neverActs()).isEqualTo(never);
        assertThat(inspection.alwaysStops()).isEqualTo(stops);
        assertThat(inspection.neverWhy().isPresent()).isEqualTo(never);
    }

    @DisplayName("why a script never acts, and the connectors of dead branches too")
    @Test
    void reasonsShouldBeTold() {
        var inspection = Script.of("require \"vnd.mailflow\";\nif size :under 0\n{ route \"x\"; }")
                .compiled()
                .inspection();
        assertThat(inspection.neverWhy())
                .isEqualTo(Optional.of("the test of 'if size :under 0' in line 2 is never true"));
        assertThat(inspection.connectors()).singleElement().asString().contains("x", "test.sieve:3");
        assertThat(inspection.extensions()).containsExactly("vnd.mailflow");
    }
}
