/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.inbound;

import dev.mailflow.policy.connection.IpAddress;

/**
 * A refusal as the client reads it. The factories are the one place with the texts of sections 2 and 3 of the mail-flow
 * behaviour; {@link #toString()} is the whole line.
 *
 * @param code RFC 5321 reply code
 * @param enhancedStatus RFC 3463 status
 */
public record SmtpReply(int code, String enhancedStatus, String text) {

    public static SmtpReply blockedByConnectionFilter(IpAddress client) {
        return new SmtpReply(
                550, "5.7.1", "Service unavailable, client host [" + client + "] blocked by connection filter");
    }

    public static SmtpReply mustIssueStartTls() {
        return new SmtpReply(530, "5.7.0", "Must issue a STARTTLS command first");
    }

    public static SmtpReply restrictedToOtherAddresses(String connector) {
        return new SmtpReply(
                550,
                "5.7.51",
                "Sender domain is restricted to other client addresses by connector '" + connector + "'");
    }

    public static SmtpReply requiresCertificate(String certificateName, String connector) {
        return new SmtpReply(
                550,
                "5.7.51",
                "Sender domain requires a certificate named '" + certificateName + "' by connector '" + connector
                        + "'");
    }

    public static SmtpReply relayAccessDenied() {
        return new SmtpReply(550, "5.7.64", "Relay access denied");
    }

    public static SmtpReply recipientNotFound() {
        return new SmtpReply(550, "5.1.10", "Recipient not found");
    }

    public static SmtpReply hopCountExceeded() {
        return new SmtpReply(554, "5.4.6", "Hop count exceeded - possible mail loop");
    }

    public static SmtpReply routingLoop() {
        return new SmtpReply(554, "5.4.14", "Routing loop");
    }

    /** The text with its enhanced status code: what follows the reply code on the line. */
    public String textWithStatus() {
        return enhancedStatus + " " + text;
    }

    @Override
    public String toString() {
        return code + " " + textWithStatus();
    }
}
