/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

import java.time.Duration;

/**
 * How long each step with a next hop may take. A reply counts when it is complete: one that drips in slowly gains no
 * time. Defaults are those of RFC 5321 section 4.5.3.2.
 *
 * @param tls the TLS handshake, with the check of the certificate
 * @param command EHLO, STARTTLS, AUTH and RSET
 * @param dataBlock without any progress while the message is being sent
 * @param dataDone the reply to the final dot
 * @param freeConnection waiting for a connection when all that limits allow are busy
 */
public record SmtpTimeouts(
        Duration connect,
        Duration greeting,
        Duration tls,
        Duration command,
        Duration mail,
        Duration recipient,
        Duration data,
        Duration dataBlock,
        Duration dataDone,
        Duration freeConnection) {

    public static final SmtpTimeouts DEFAULT = new SmtpTimeouts(
            Duration.ofSeconds(30),
            Duration.ofMinutes(5),
            Duration.ofMinutes(1),
            Duration.ofMinutes(5),
            Duration.ofMinutes(5),
            Duration.ofMinutes(5),
            Duration.ofMinutes(2),
            Duration.ofMinutes(3),
            Duration.ofMinutes(10),
            Duration.ofMinutes(5));

    /** No step may take longer than this. */
    public SmtpTimeouts atMost(Duration limit) {
        return new SmtpTimeouts(
                min(connect, limit),
                min(greeting, limit),
                min(tls, limit),
                min(command, limit),
                min(mail, limit),
                min(recipient, limit),
                min(data, limit),
                min(dataBlock, limit),
                min(dataDone, limit),
                min(freeConnection, limit));
    }

    private static Duration min(Duration a, Duration b) {
        return a.compareTo(b) <= 0 ? a : b;
    }
}
