/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.inbound;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import dev.mailflow.policy.connection.IpAddress;

class SmtpReplyTest {

    /** The tables of sections 2 and 3 of the mail-flow behaviour, word for word. */
    static Stream<Arguments> replies() {
        return Stream.of(
                Arguments.of(
                        SmtpReply.blockedByConnectionFilter(IpAddress.parse("2001:db8::1")),
                        "550 5.7.1 Service unavailable, client host [2001:db8::1] blocked by connection filter"),
                Arguments.of(SmtpReply.mustIssueStartTls(), "530 5.7.0 Must issue a STARTTLS command first"),
                Arguments.of(
                        SmtpReply.restrictedToOtherAddresses("N"),
                        "550 5.7.51 Sender domain is restricted to other client addresses by connector 'N'"),
                Arguments.of(
                        SmtpReply.requiresCertificate("X", "N"),
                        "550 5.7.51 Sender domain requires a certificate named 'X' by connector 'N'"),
                Arguments.of(SmtpReply.relayAccessDenied(), "550 5.7.64 Relay access denied"),
                Arguments.of(SmtpReply.recipientNotFound(), "550 5.1.10 Recipient not found"),
                Arguments.of(SmtpReply.hopCountExceeded(), "554 5.4.6 Hop count exceeded - possible mail loop"),
                Arguments.of(SmtpReply.routingLoop(), "554 5.4.14 Routing loop"),
                Arguments.of(SmtpReply.rejectedByRule("  Not\r\n250 here\t "), "550 5.7.1 Not 250 here"),
                Arguments.of(SmtpReply.rejectedByRule("gr\u00fc\u00dfe \ud83d\ude00"), "550 5.7.1 gr??e ?"),
                Arguments.of(SmtpReply.rejectedByRule("\n"), "550 5.7.1 Message refused by policy"),
                Arguments.of(SmtpReply.rejectedByRule("x".repeat(1_000)), "550 5.7.1 " + "x".repeat(480)));
    }

    @ParameterizedTest
    @MethodSource("replies")
    void replyShouldReadAsTheBehaviourSays(SmtpReply reply, String line) {
        assertThat(reply).hasToString(line);
        assertThat(reply.code() + " " + reply.textWithStatus()).isEqualTo(line);
    }
}
