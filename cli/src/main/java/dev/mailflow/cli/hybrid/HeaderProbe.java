/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Clock;
import java.time.Duration;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

import javax.mail.Folder;
import javax.mail.Message;
import javax.mail.MessagingException;
import javax.mail.Session;
import javax.mail.Store;
import javax.mail.internet.AddressException;
import javax.mail.search.HeaderTerm;

import org.apache.james.core.MailAddress;

import com.sun.mail.util.MailSSLSocketFactory;

import dev.mailflow.cli.probe.Finding;
import dev.mailflow.delivery.DeliveryConfig;
import dev.mailflow.delivery.MessageContent;
import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.transport.PooledSmtpTransport;
import dev.mailflow.policy.connector.OutboundConnector;

/**
 * Sends a marked message over the cloud connector to a mailbox here, reads it when it has come back, and says what
 * became of its marks: an ordinary header, which shows that it came, and a cross-premises header, which a device in
 * between may have taken.
 *
 * @param address the mailbox
 * @param imapHost where the mailbox is read by IMAPS
 * @param user with whose password it is read
 * @param trustAny whether the IMAP server's certificate is not looked at
 * @param patience for the message to come back
 */
public record HeaderProbe(
        String address,
        String imapHost,
        int imapPort,
        String user,
        String password,
        boolean trustAny,
        Duration patience,
        Clock clock) {

    static final String WHERE = "message to itself";
    static final String WHAT = "headers";

    private static final String ORDINARY = "X-Hybrid-Check";
    private static final String SENT = "X-MS-Exchange-CrossPremises-Hybrid-Check";
    private static final String PROMOTED = "X-MS-Exchange-Organization-Hybrid-Check";
    private static final Duration POLL = Duration.ofSeconds(1);
    private static final String TIMEOUT_MILLIS = "20000";

    /**
     * Sends the message, waits for it and removes it from the mailbox.
     *
     * @param cloud the connector to the cloud
     * @return what became of it; never an exception for what went wrong on its way
     */
    public Finding run(OutboundConnector cloud, DeliveryConfig config) {
        String mark = UUID.randomUUID().toString();
        MailAddress recipient;
        try {
            recipient = new MailAddress(address);
        } catch (AddressException e) {
            return Finding.failed(WHERE, WHAT, "'" + address + "' is no address", "give a mailbox here as --probe");
        }
        try (PooledSmtpTransport transport = new PooledSmtpTransport(config)) {
            RecipientOutcome outcome = transport
                    .send(
                            cloud,
                            cloud.tls(),
                            OutboundMessage.of(
                                    "hybrid-check-" + mark,
                                    Optional.of(recipient),
                                    List.of(recipient),
                                    MessageContent.of(message(mark, config.heloName()))))
                    .toCompletableFuture()
                    .orTimeout(patience.toSeconds(), TimeUnit.SECONDS)
                    .join()
                    .outcomes()
                    .get(recipient);
            if (!(outcome instanceof RecipientOutcome.Delivered)) {
                String why = outcome instanceof RecipientOutcome.Failed failed
                        ? failed.reason()
                        : ((RecipientOutcome.Deferred) outcome).reason();
                return Finding.failed(
                        WHERE,
                        WHAT,
                        "the cloud did not take it: " + why,
                        "the cloud must take mail for " + recipient.getDomain().asString()
                                + " from this gateway: is the domain an accepted domain of the tenant, and the inbound"
                                + " connector there as the script makes it?");
            }
        }
        return awaited(mark);
    }

    private byte[] message(String mark, String hostName) {
        return ("From: " + address + "\r\nTo: " + address + "\r\nSubject: Mailflow hybrid check\r\nDate: "
                        + DateTimeFormatter.RFC_1123_DATE_TIME.format(
                                clock.instant().atOffset(ZoneOffset.UTC))
                        + "\r\nMessage-ID: <" + mark + "@" + hostName + ">\r\n" + ORDINARY + ": " + mark + "\r\n" + SENT
                        + ": "
                        + mark + "\r\nAuto-Submitted: auto-generated\r\n\r\n"
                        + "This message was sent by 'mailflow hybrid check' to see what becomes of its headers.\r\n")
                .getBytes(StandardCharsets.US_ASCII);
    }

    private Finding awaited(String mark) {
        long end = System.nanoTime() + patience.toNanos();
        try {
            while (true) {
                Optional<Finding> found = look(mark);
                if (found.isPresent()) {
                    return found.get();
                }
                if (System.nanoTime() >= end) {
                    return Finding.failed(
                            WHERE,
                            WHAT,
                            "the cloud took it, but it did not come back within " + patience.toSeconds() + " s",
                            "look for it in the cloud's message trace: it is still there, it went elsewhere, or this"
                                    + " gateway refused it (its log says why)");
                }
                TimeUnit.NANOSECONDS.sleep(POLL.toNanos());
            }
        } catch (MessagingException | GeneralSecurityException e) {
            return Finding.failed(
                    WHERE,
                    WHAT,
                    "the mailbox cannot be read: " + e.getMessage(),
                    "check --imap, --imap-user and --imap-password-file");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Finding.skipped(WHERE, WHAT, "interrupted");
        }
    }

    private Optional<Finding> look(String mark) throws MessagingException, GeneralSecurityException {
        Properties properties = new Properties();
        properties.put("mail.imaps.connectiontimeout", TIMEOUT_MILLIS);
        properties.put("mail.imaps.timeout", TIMEOUT_MILLIS);
        properties.put("mail.imaps.ssl.checkserveridentity", Boolean.toString(!trustAny));
        if (trustAny) {
            MailSSLSocketFactory any = new MailSSLSocketFactory();
            any.setTrustAllHosts(true);
            properties.put("mail.imaps.ssl.socketFactory", any);
        }
        try (Store store = Session.getInstance(properties).getStore("imaps")) {
            store.connect(imapHost, imapPort, user, password);
            try (Folder inbox = store.getFolder("INBOX")) {
                inbox.open(Folder.READ_WRITE);
                Message[] found = inbox.search(new HeaderTerm(ORDINARY, mark));
                if (found.length == 0) {
                    return Optional.empty();
                }
                Finding judged = judge(found[0], mark);
                // it has served its purpose
                found[0].setFlag(javax.mail.Flags.Flag.DELETED, true);
                return Optional.of(judged);
            }
        }
    }

    private static Finding judge(Message message, String mark) throws MessagingException {
        if (has(message, PROMOTED, mark)) {
            return Finding.ok(WHERE, WHAT, "it came back with its cross-premises header, promoted as it should be");
        }
        if (has(message, SENT, mark)) {
            return Finding.failed(
                    WHERE,
                    WHAT,
                    "it came back with its cross-premises header as it was sent, not promoted",
                    "the mail did not come by the cloud's inbound connector, or that does not preserve internal headers:"
                            + " see the 'attributed' event of the message in the gateway's log");
        }
        return Finding.failed(
                WHERE,
                WHAT,
                "it came back without its cross-premises header",
                "either the cloud's connectors have not CloudServicesMailEnabled, or a device in between (spam filter,"
                        + " firewall with SMTP inspection) takes such headers away or ends TLS: connect the premises"
                        + " directly");
    }

    private static boolean has(Message message, String name, String mark) throws MessagingException {
        String[] values = message.getHeader(name);
        return values != null && List.of(values).contains(mark);
    }
}
