/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.header;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.OptionalInt;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.connection.ConnectionVerdict;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.Origin;

class InternalStatusTest {
    private static final String AUTH_AS = "X-MS-Exchange-Organization-AuthAs: ";
    private static final String SCL = "X-MS-Exchange-Organization-SCL: ";

    private static HeaderSection headers(String... lines) throws IOException {
        byte[] section = (String.join("\r\n", lines) + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII);
        return HeaderSection.read(new ByteArrayInputStream(section));
    }

    private static Optional<InboundFacts> from(Origin origin) {
        return Optional.of(new InboundFacts(
                IpAddress.parse("192.0.2.1"),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                ConnectionVerdict.Kind.NONE,
                "",
                origin,
                origin == Origin.INTERNAL));
    }

    private static String text(HeaderSection headers) {
        StringBuilder text = new StringBuilder();
        headers.fields().forEach(field -> text.append(field.raw()));
        return text.toString();
    }

    @ParameterizedTest
    @CsvSource({
        "INTERNAL, Subject: x, true",
        "INTERNAL, X-MS-Exchange-Organization-AuthAs: Internal, true",
        "INTERNAL, x-ms-exchange-organization-authas:INTERNAL, true",
        "INTERNAL, 'X-MS-Exchange-Organization-AuthAs:\r\n Internal', true",
        // what the peer took from a stranger and hands on
        "INTERNAL, X-MS-Exchange-Organization-AuthAs: Anonymous, false",
        "INTERNAL, X-MS-Exchange-Organization-AuthAs: Partner, false",
        "INTERNAL, X-MS-Exchange-Organization-AuthAs:, false",
        "INTERNAL, X-MS-Exchange-Organization-AuthAs: Internal of a kind, false",
        // nobody but a peer of our own can say so
        "PARTNER, X-MS-Exchange-Organization-AuthAs: Internal, false",
        "INTERNET, X-MS-Exchange-Organization-AuthAs: Internal, false",
        "INTERNET, Subject: x, false",
    })
    void messageShouldBeInternalWhenItsPeerIsAndDoesNotDenyIt(Origin origin, String header, boolean internal)
            throws Exception {
        assertThat(InternalStatus.isInternal(from(origin), headers("From: a@x.com", header)))
                .isEqualTo(internal);
    }

    @Test
    void messageForWhichNobodyVouchesShouldNotBeInternal() throws Exception {
        assertThat(InternalStatus.isInternal(Optional.empty(), headers(AUTH_AS + "Internal")))
                .isFalse();
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, 0, 5, 9})
    void levelInRangeShouldBeRead(int level) throws Exception {
        assertThat(InternalStatus.scl(headers("Subject: x", SCL + level + " "))).isEqualTo(OptionalInt.of(level));
    }

    @ParameterizedTest
    @ValueSource(strings = {"-2", "-9", "10", "99999999999", "+1", "1.0", "", "none", "5 6"})
    void levelOutOfRangeOrUnreadableShouldBeNone(String level) throws Exception {
        assertThat(InternalStatus.scl(headers(SCL + level))).isEmpty();
    }

    @Test
    void internalMessageShouldBeStampedAsOneOfAMailboxUser() throws Exception {
        assertThat(text(InternalStatus.stamped(headers("Subject: x"), true, "mail.contoso.com")))
                .isEqualTo(
                        """
                        X-MS-Exchange-Organization-AuthAs: Internal\r
                        X-MS-Exchange-Organization-AuthSource: mail.contoso.com\r
                        X-MS-Exchange-Organization-AuthMechanism: 04\r
                        X-MS-Exchange-Organization-MessageDirectionality: Originating\r
                        X-MS-Exchange-Organization-SCL: -1\r
                        Subject: x\r
                        """);
    }

    @Test
    void messageOfAStrangerShouldGetNoTrust() throws Exception {
        assertThat(text(InternalStatus.stamped(headers("Subject: x"), false, "mail.contoso.com")))
                .isEqualTo(
                        """
                        X-MS-Exchange-Organization-AuthAs: Anonymous\r
                        X-MS-Exchange-Organization-AuthSource: mail.contoso.com\r
                        X-MS-Exchange-Organization-MessageDirectionality: Incoming\r
                        Subject: x\r
                        """);
    }

    @Test
    void levelThatWasStatedShouldBeKept() throws Exception {
        HeaderSection stamped = InternalStatus.stamped(headers(SCL + "5"), true, "mail.contoso.com");

        assertThat(InternalStatus.scl(stamped)).isEqualTo(OptionalInt.of(5));
        assertThat(text(stamped).split("-SCL:", -1)).hasSize(2);
    }

    @ParameterizedTest
    @CsvSource({"Anonymous, true", "Internal, false", "'', true"})
    void messageThatSaysSoAlreadyShouldKeepWhatItSays(String says, boolean internal) throws Exception {
        HeaderSection before = headers(AUTH_AS + says, "Subject: x");

        assertThat(InternalStatus.stamped(before, internal, "mail.contoso.com")).isEqualTo(before);
    }
}
