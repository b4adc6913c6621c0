/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import java.io.IOException;
import java.io.InputStream;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

import javax.mail.MessagingException;

import org.apache.james.core.MailAddress;
import org.apache.james.server.core.MimeMessageInputStream;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.DsnParameters;
import org.apache.mailet.DsnParameters.RecipientDsnParameters;
import org.apache.mailet.Mail;

import dev.mailflow.delivery.ContentBuffer;
import dev.mailflow.delivery.DsnReturn;
import dev.mailflow.delivery.MessageContent;
import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.OutboundRecipient;
import dev.mailflow.policy.envelope.OriginalRecipient;
import dev.mailflow.policy.envelope.RequestedTls;
import dev.mailflow.policy.event.MailFlowEvent.MessageRef;

/** A James mail seen as the message and envelope that the transport sends. */
final class QueuedMail implements AutoCloseable {
    static final AttributeName REQUIRETLS_OPTION = AttributeName.of(RequestedTls.ATTRIBUTE);

    /** True on a report of a mail that a rule lets leave over TLS only. */
    static final AttributeName REPORT_REQUIRES_TLS = AttributeName.of("mailflow.reportRequiresTls");

    /** What DsnExtension notes, and James's own hook. */
    private static final AttributeName ARRIVAL = AttributeName.of("dsn-arrival-date");

    private static final AttributeName ORIGINAL_RECIPIENTS = AttributeName.of(OriginalRecipient.ATTRIBUTE);

    private final Mail mail;
    private final ContentBuffer buffer;
    private final MessageContent content;

    private QueuedMail(Mail mail, ContentBuffer buffer) throws IOException {
        this.mail = mail;
        this.buffer = buffer;
        this.content = buffer.content();
    }

    /** Reads the whole message, so that nothing of James's is touched while it is sent. Blocks. */
    static QueuedMail read(Mail mail) throws MessagingException, IOException {
        ContentBuffer buffer = new ContentBuffer();
        // not writeTo(): that one reads the header anew and turns its 8-bit characters into question marks
        try (InputStream in = new MimeMessageInputStream(mail.getMessage())) {
            in.transferTo(buffer);
            return new QueuedMail(mail, buffer);
        } catch (MessagingException | IOException | RuntimeException e) {
            buffer.close();
            throw e;
        }
    }

    OutboundMessage message() {
        Optional<DsnParameters> dsn = mail.dsnParameters();
        Map<MailAddress, RecipientDsnParameters> byRecipient = dsn.map(
                        parameters -> (Map<MailAddress, RecipientDsnParameters>) parameters.getRcptParameters())
                .orElse(Map.of());
        return new OutboundMessage(
                mail.getName(),
                mail.getMaybeSender().asOptional(),
                mail.getRecipients().stream()
                        .map(address -> recipient(address, Optional.ofNullable(byRecipient.get(address))))
                        .toList(),
                content,
                dsn.flatMap(DsnParameters::getEnvIdParameter).map(DsnParameters.EnvId::asString),
                wanted(mail),
                requestedTls(mail),
                AttributeUtils.getValueAndCastFromMail(mail, DeliveryService.ORGANIZATION, String.class));
    }

    List<MailAddress> recipients() {
        return List.copyOf(mail.getRecipients());
    }

    /** Whether a rule demands it, whatever the connector says. */
    boolean requiresTls() {
        return requiresTls(mail);
    }

    static boolean requiresTls(Mail mail) {
        return isTrue(mail, DeliveryService.REQUIRE_TLS);
    }

    /** Whether it reports on such a mail, which must not leave in plaintext by this way either. */
    boolean isReportThatRequiresTls() {
        return isTrue(mail, REPORT_REQUIRES_TLS);
    }

    private static boolean isTrue(Mail mail, AttributeName attribute) {
        return AttributeUtils.getValueAndCastFromMail(mail, attribute, Boolean.class)
                .orElse(false);
    }

    static Optional<DsnReturn> wanted(Mail mail) {
        return mail.dsnParameters()
                .flatMap(DsnParameters::getRetParameter)
                .map(ret -> ret == DsnParameters.Ret.FULL ? DsnReturn.FULL : DsnReturn.HDRS);
    }

    static RequestedTls requestedTls(Mail mail) {
        Optional<String> header;
        try {
            header = Optional.ofNullable(mail.getMessage().getHeader(RequestedTls.HEADER))
                    .filter(values -> values.length == 1)
                    .map(values -> values[0]);
        } catch (MessagingException | RuntimeException e) {
            // who cannot read it cannot say that it matters less
            header = Optional.empty();
        }
        return RequestedTls.of(isTrue(mail, REQUIRETLS_OPTION), header);
    }

    /** When the mail came in, as far as it says so; now, if it was made here. */
    static Instant arrival(Mail mail, Instant now) {
        return AttributeUtils.getValueAndCastFromMail(mail, ARRIVAL, ZonedDateTime.class)
                .map(ZonedDateTime::toInstant)
                .filter(now::isAfter)
                .orElse(now);
    }

    /** ORCPT as it was received. */
    static Optional<OriginalRecipient> originalRecipient(Mail mail, MailAddress recipient) {
        return mail.dsnParameters()
                .flatMap(dsn -> Optional.ofNullable(dsn.getRcptParameters().get(recipient)))
                .flatMap(RecipientDsnParameters::getOrcptParameter)
                .map(address -> AttributeUtils.getAttributeValueFromMail(mail, ORIGINAL_RECIPIENTS)
                        .filter(Map.class::isInstance)
                        .map(values -> ((Map<?, ?>) values).get(address.asString()))
                        .filter(AttributeValue.class::isInstance)
                        .map(value -> ((AttributeValue<?>) value).value())
                        .filter(String.class::isInstance)
                        .flatMap(value -> OriginalRecipient.parse((String) value))
                        .orElseGet(() -> new OriginalRecipient(OriginalRecipient.RFC822, address.asString())));
    }

    static MessageRef reference(Mail mail) {
        String id;
        try {
            id = mail.getMessage().getMessageID();
        } catch (MessagingException | RuntimeException e) {
            id = null;
        }
        return new MessageRef(mail.getName(), Optional.ofNullable(id));
    }

    private OutboundRecipient recipient(MailAddress address, Optional<RecipientDsnParameters> dsn) {
        return new OutboundRecipient(
                address,
                dsn.flatMap(RecipientDsnParameters::getNotifyParameter).map(values -> values.stream()
                        .map(value -> value.name().toUpperCase(Locale.ROOT))
                        .collect(Collectors.joining(","))),
                originalRecipient(mail, address).map(OriginalRecipient::toString));
    }

    @Override
    public void close() throws IOException {
        buffer.close();
    }
}
