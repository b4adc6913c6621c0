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
    /** A reply line has at most 512 octets (RFC 5321 section 4.5.3.1.5). */
    private static final int LONGEST_REASON = 480;

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

    public static SmtpReply recipientNotVerifiable() {
        return new SmtpReply(451, "4.3.0", "Recipient cannot be verified now, try again later");
    }

    /**
     * What a transport rule says (RFC 5429). A reply has one line here and is ASCII: whatever else the reason holds could end
     * it early or speak for the server.
     */
    public static SmtpReply rejectedByRule(String reason) {
        StringBuilder line = new StringBuilder();
        reason.strip().codePoints().limit(LONGEST_REASON).forEach(c -> {
            boolean space = c <= ' ' || c == 0x7f;
            if (!space) {
                line.append(c < 0x7f ? (char) c : '?');
            } else if (!line.isEmpty() && line.charAt(line.length() - 1) != ' ') {
                line.append(' ');
            }
        });
        String text = line.toString().strip();
        return new SmtpReply(550, "5.7.1", text.isEmpty() ? "Message refused by policy" : text);
    }

    public static SmtpReply tooManyConnections(IpAddress client) {
        return new SmtpReply(421, "4.7.0", "Too many connections from client host [" + client + "], try again later");
    }

    public static SmtpReply tooManyMessages(IpAddress client) {
        return new SmtpReply(450, "4.7.1", "Too many messages from client host [" + client + "], try again later");
    }

    public static SmtpReply tooManyRecipients(IpAddress client) {
        return new SmtpReply(450, "4.7.1", "Too many recipients from client host [" + client + "], try again later");
    }

    public static SmtpReply insufficientStorage() {
        return new SmtpReply(452, "4.3.1", "Insufficient system storage, try again later");
    }

    public static SmtpReply queueUnavailable() {
        return new SmtpReply(451, "4.3.0", "Mail queue is not available, try again later");
    }

    public static SmtpReply messageNotStored() {
        return new SmtpReply(451, "4.3.0", "Message cannot be stored now, try again later");
    }

    public static SmtpReply notAConfiguredProxy(IpAddress peer) {
        return new SmtpReply(554, "5.7.1", "PROXY header refused, host [" + peer + "] is not a configured proxy");
    }

    /** Whether the client may try again: a 4yz reply. */
    public boolean isTransient() {
        return code < 500;
    }

    /** Whether the server closes the connection after it (RFC 5321 section 3.8). */
    public boolean endsSession() {
        return code == 421;
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
