/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.testing.PolicyXml;

class HeaderRewritingTest {
    static final MailFlowPolicy POLICY = PolicyXml.policy(
            """
            <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
            <addressRewrite>
              <entry internal="joe@contoso.com" external="support@northwind.com"/>
              <entry internal="contoso.com" external="northwind.com"/>
              <entry internal="*.contoso.com" external="contoso.com" outboundOnly="true" exceptions="legal.contoso.com"/>
            </addressRewrite>""");

    private static final List<String> FIELDS = List.of(
            "From",
            "Sender",
            "Reply-To",
            "Return-Receipt-To",
            "Disposition-Notification-To",
            "Resent-From",
            "Resent-Sender",
            "To",
            "Cc",
            "Resent-To",
            "Resent-Cc",
            "Bcc",
            "Return-Path",
            "Received",
            "Message-ID",
            "In-Reply-To",
            "References",
            "X-Original-From",
            "Subject");
    private static final Set<String> OUTBOUND = Set.of(
            "From",
            "Sender",
            "Reply-To",
            "Return-Receipt-To",
            "Disposition-Notification-To",
            "Resent-From",
            "Resent-Sender",
            "Cc",
            "Resent-Cc");
    private static final Set<String> INBOUND = Set.of("To", "Cc", "Resent-To", "Resent-Cc");

    static HeaderSection section(String latin1) {
        try {
            return HeaderSection.read(new ByteArrayInputStream(latin1.getBytes(StandardCharsets.ISO_8859_1)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static RewrittenHeader rewrite(String header, Direction direction) {
        return new AddressRewriter(POLICY, direction).rewrite(section(header), Set.of());
    }

    static String text(HeaderSection section) {
        return new String(section.bytes(), StandardCharsets.ISO_8859_1);
    }

    private static String outbound(String header) {
        return text(rewrite(header, Direction.OUTBOUND).section());
    }

    static Stream<Arguments> everyFieldDirectionAndKind() {
        return Arrays.stream(Direction.values())
                .flatMap(direction -> FIELDS.stream().flatMap(field -> Stream.of(
                                direction == Direction.OUTBOUND
                                        ? new String[][] {
                                            {"joe@contoso.com", "support@northwind.com"},
                                            {"ann@contoso.com", "ann@northwind.com"},
                                            {"ann@x.contoso.com", "ann@contoso.com"},
                                            {"ann@legal.contoso.com", "ann@legal.contoso.com"},
                                            {"ann@example.org", "ann@example.org"}
                                        }
                                        : new String[][] {
                                            {"support@northwind.com", "joe@contoso.com"},
                                            {"ann@northwind.com", "ann@contoso.com"},
                                            {"ann@contoso.com", "ann@contoso.com"},
                                            {"ann@example.org", "ann@example.org"}
                                        })
                        .map(pair -> Arguments.of(direction, field, pair[0], pair[1]))));
    }

    @ParameterizedTest(name = "{0} {1}: {2} -> {3}")
    @MethodSource("everyFieldDirectionAndKind")
    void fieldShouldBeRewrittenAsTheTableOfSectionFiveSays(
            Direction direction, String field, String before, String after) {
        boolean rewritten = (direction == Direction.OUTBOUND ? OUTBOUND : INBOUND).contains(field);

        assertThat(text(rewrite(field + ": <" + before + ">\r\n\r\n", direction).section()))
                .isEqualTo(field + ": <" + (rewritten ? after : before) + ">\r\n\r\n");
    }

    static Stream<Arguments> forms() {
        return Stream.of(
                Arguments.of("bare", "From: ann@contoso.com\r\n", "From: ann@northwind.com\r\n"),
                Arguments.of("no space", "From:ann@contoso.com\r\n", "From:ann@northwind.com\r\n"),
                Arguments.of("name in any case", "fROM: ann@contoso.com\r\n", "fROM: ann@northwind.com\r\n"),
                Arguments.of("space before colon", "From : ann@contoso.com\r\n", "From : ann@northwind.com\r\n"),
                Arguments.of(
                        "folded, tabs",
                        "Cc: a@x.example,\r\n\tAnn\t<ann@contoso.com>\t,\r\n  b@x.example\r\n",
                        "Cc: a@x.example,\r\n\tAnn\t<ann@northwind.com>\t,\r\n  b@x.example\r\n"),
                Arguments.of(
                        "folded in the middle of an address",
                        "From: <ann\r\n @\r\n contoso\r\n .com>\r\n",
                        "From: <ann\r\n @\r\n northwind.com\r\n >\r\n"),
                Arguments.of("bare LF", "From: Ann\n <ann@contoso.com>\n", "From: Ann\n <ann@northwind.com>\n"),
                Arguments.of(
                        "8-bit name",
                        "From: J\u00F6rg \u00FF <ann@contoso.com>\r\n",
                        "From: J\u00F6rg \u00FF <ann@northwind.com>\r\n"),
                Arguments.of(
                        "encoded word with specials",
                        "From: =?utf-8?Q?Doe,_Joe_<x@y>?= <joe@contoso.com>\r\n",
                        "From: =?utf-8?Q?Doe,_Joe_<x@y>?= <support@northwind.com>\r\n"),
                Arguments.of(
                        "internal address as display name",
                        "From: \"joe@contoso.com\" <joe@contoso.com>\r\n",
                        "From: \"joe@contoso.com\" <support@northwind.com>\r\n"),
                Arguments.of(
                        "unquoted address as display name",
                        "From: joe@contoso.com <joe@contoso.com>\r\n",
                        "From: joe@contoso.com <support@northwind.com>\r\n"),
                Arguments.of(
                        "dots in the name",
                        "From: Ann B. C. <ann@contoso.com>\r\n",
                        "From: Ann B. C. <ann@northwind.com>\r\n"),
                Arguments.of(
                        "comments",
                        "From: (a (nested \\) ) @contoso.com) ann(joe@contoso.com)@(x)contoso(y).(z)com (end)\r\n",
                        "From: (a (nested \\) ) @contoso.com) ann(joe@contoso.com)@(x)northwind.com(y)(z) (end)\r\n"),
                Arguments.of(
                        "group",
                        "Cc: Friends: ann@contoso.com, Joe <joe@contoso.com>;, bob@contoso.com\r\n",
                        "Cc: Friends: ann@northwind.com, Joe <support@northwind.com>;, bob@northwind.com\r\n"),
                Arguments.of("empty group", "Cc: undisclosed-recipients:;\r\n", "Cc: undisclosed-recipients:;\r\n"),
                Arguments.of(
                        "quoted local parts",
                        "Cc: \"a\\\"b@contoso.com,\"@contoso.com, \"joe\"@contoso.com\r\n",
                        "Cc: \"a\\\"b@contoso.com,\"@northwind.com, support@northwind.com\r\n"),
                Arguments.of(
                        "route",
                        "From: <@relay.contoso.com,@contoso.com:ann@contoso.com>\r\n",
                        "From: <@relay.contoso.com,@contoso.com:ann@northwind.com>\r\n"),
                Arguments.of("literal", "From: ann@[192.0.2.1]\r\n", "From: ann@[192.0.2.1]\r\n"),
                Arguments.of("empty", "From:\r\n", "From:\r\n"),
                Arguments.of("blank", "From: \r\n \r\n", "From: \r\n \r\n"),
                Arguments.of("only commas", "Cc: ,, ,\r\n", "Cc: ,, ,\r\n"),
                Arguments.of("empty elements", "Cc: ,ann@contoso.com,,\r\n", "Cc: ,ann@northwind.com,,\r\n"),
                Arguments.of("empty brackets", "From: MAILER-DAEMON <>\r\n", "From: MAILER-DAEMON <>\r\n"),
                Arguments.of(
                        "several From",
                        "From: ann@contoso.com, joe@contoso.com\r\nFrom: bob@contoso.com\r\n",
                        "From: ann@northwind.com, support@northwind.com\r\nFrom: bob@northwind.com\r\n"),
                Arguments.of(
                        "UTF-8 local part",
                        "From: j\u00C3\u00B6rg@contoso.com\r\n",
                        "From: j\u00C3\u00B6rg@northwind.com\r\n"),
                Arguments.of(
                        "local part that is not UTF-8",
                        "From: j\u00F6rg@contoso.com\r\n",
                        "From: j\u00F6rg@northwind.com\r\n"),
                Arguments.of(
                        "end of the message instead of the header",
                        "From: ann@x.contoso.com\n",
                        "From: ann@contoso.com\n"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("forms")
    void onlyTheAddressShouldChangeWhateverStandsAroundIt(String form, String before, String after) {
        assertThat(outbound(before + "X-Other: joe@contoso.com\r\n\r\n"))
                .isEqualTo(after + "X-Other: joe@contoso.com\r\n\r\n");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "joe@contoso.com bob@contoso.com",
                "<joe@contoso.com",
                "joe@contoso.com>",
                "<joe@contoso.com> <bob@contoso.com>",
                "joe@@contoso.com",
                "joe@contoso..com",
                "joe@contoso.com.",
                "@contoso.com",
                "joe@",
                "joe",
                "\"joe@contoso.com",
                "joe@contoso.com (comment",
                "joe@contoso.com)",
                "Group: joe@contoso.com",
                "joe@contoso.com;",
                "a:b:joe@contoso.com;;",
                ":joe@contoso.com;",
                "<@x:>",
                "<@x.example joe@contoso.com>",
                "joe@[192.0.2.1",
                "joe@contoso.com\\",
                "joe\u0000@contoso.com",
                "a <joe@contoso.com> b",
                "joe b@contoso.com",
                "bob@contoso.com, joe"
            })
    void unreadableFieldShouldStayByteForByteAndBeTold(String value) {
        String header = "Cc: " + value + "\r\nFrom: ann@contoso.com\r\n\r\n";

        RewrittenHeader after = rewrite(header, Direction.OUTBOUND);

        assertThat(text(after.section())).isEqualTo("Cc: " + value + "\r\nFrom: ann@northwind.com\r\n\r\n");
        assertThat(after.unreadable()).singleElement().satisfies(field -> {
            assertThat(field.name()).isEqualTo("Cc");
            assertThat(field.reason()).startsWith("found ").contains(" at byte ");
        });
    }

    @Test
    void fieldBehindABareCarriageReturnShouldStay() {
        String header = "Subject: x\rFrom: joe@contoso.com\r\n\r\n";

        assertThat(outbound(header)).isEqualTo(header);
    }

    @Test
    void headersParameterShouldReplaceOrChangeTheDefaults() {
        String header = "From: ann@contoso.com\r\nTo: ann@contoso.com\r\nCc: ann@contoso.com\r\n\r\n";

        assertThat(changed(header, "to")).containsExactly("To");
        assertThat(changed(header, "+To, -Cc")).containsExactly("From", "To");
        assertThat(changed(header, "From,Sender")).containsExactly("From");
    }

    private static List<String> changed(String header, String headers) {
        return new AddressRewriter(POLICY, Direction.OUTBOUND, RewrittenFields.parse(headers, Direction.OUTBOUND))
                .rewrite(section(header), Set.of()).changes().stream()
                        .map(RewrittenHeader.FieldChange::name)
                        .toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "Return-Path", "Received", "Message-ID", "Subject", "+To, From", "+", "*"})
    void headersParameterShouldBeRefusedWhenItNamesOtherFields(String headers) {
        assertThat(org.assertj.core.api.Assertions.catchThrowable(
                        () -> RewrittenFields.parse(headers, Direction.OUTBOUND)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("found '")
                .hasMessageContaining("expected");
    }

    @Test
    void dkimSignatureShouldBeRemovedOnlyWhenItIsOursAndCoversARewrittenField() {
        String ours = "DKIM-Signature: v=1; a=rsa-sha256; d=contoso.com;\r\n\th=Subject : from:\r\n to; b=abc\r\n";
        String ofASubdomain = "DKIM-Signature: v=1; d=x.Contoso.com; h=from; b=abc\r\n";
        String notCovering = "DKIM-Signature: v=1; d=contoso.com; h=to:subject; b=abc\r\n";
        String ofOthers = "DKIM-Signature: v=1; d=example.org; h=from; b=abc\r\n";
        String broken = "DKIM-Signature: rubbish\r\nDKIM-Signature: d=contoso.com\r\n";

        RewrittenHeader after = rewrite(
                ours + ofASubdomain + notCovering + ofOthers + broken + "From: joe@contoso.com\r\n\r\n",
                Direction.OUTBOUND);

        assertThat(text(after.section()))
                .isEqualTo(notCovering + ofOthers + broken + "From: support@northwind.com\r\n\r\n");
        assertThat(after.removedSignatures())
                .containsExactly(
                        new RewrittenHeader.RemovedSignature("contoso.com", "from"),
                        new RewrittenHeader.RemovedSignature("x.Contoso.com", "from"));
    }

    @Test
    void dkimSignatureShouldStayWhenNothingIsRewritten() {
        String header = "DKIM-Signature: v=1; d=contoso.com; h=from; b=abc\r\nFrom: joe@example.org\r\n\r\n";

        assertThat(outbound(header)).isEqualTo(header);
    }

    @Test
    void addressShouldNotBeRewrittenAgainWhenItsOutcomeBeginsAnotherEntry() {
        AddressRewriter rewriter = new AddressRewriter(POLICY, Direction.OUTBOUND);
        HeaderSection first = section("From: ann@x.contoso.com\r\nCc: bob@contoso.com\r\n\r\n");

        RewrittenHeader once = rewriter.rewrite(first, Set.of());
        Set<String> settled = rewriter.settled(once.changes().stream()
                .flatMap(change -> change.rewrites().stream())
                .toList());
        RewrittenHeader twice = rewriter.rewrite(once.section(), settled);

        assertThat(text(once.section())).isEqualTo("From: ann@contoso.com\r\nCc: bob@northwind.com\r\n\r\n");
        assertThat(settled).containsExactly("ann@contoso.com");
        assertThat(twice.isChanged()).isFalse();
    }

    @Test
    void tenThousandRecipientsShouldBeRewrittenInLinearTime() {
        String before = list(10_000, "contoso.com");

        String after = Assertions.assertTimeout(Duration.ofSeconds(5), () -> outbound(before));

        assertThat(after).isEqualTo(list(10_000, "northwind.com"));
    }

    private static String list(int size, String domain) {
        return IntStream.range(0, size)
                .mapToObj(i -> "\"User, No. " + i + "\" <user" + i + "@" + domain + ">")
                .collect(Collectors.joining(",\r\n ", "Cc: ", "\r\n\r\n"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"(", "((", "\"", "[", "\\", "=?", "=?a?b?,", "a@", "a.", "<", ",", ":", "@", "<@a:", "\t", "a b "
            })
    void hostileFieldOf200KilobytesShouldBeReadInLinearTime(String piece) {
        String header = "From: " + piece.repeat(200_000 / piece.length()) + "\r\n\r\n";

        assertThat(Assertions.assertTimeout(Duration.ofSeconds(5), () -> outbound(header)))
                .isEqualTo(header);
    }
}
