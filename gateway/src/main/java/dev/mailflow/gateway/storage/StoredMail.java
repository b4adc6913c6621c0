/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.storage;

import java.io.IOException;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

import javax.mail.internet.AddressException;

import org.apache.james.core.MailAddress;
import org.apache.james.core.MaybeSender;
import org.apache.james.server.core.MailImpl;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;
import org.apache.mailet.PerRecipientHeaders.Header;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonInclude.Include;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;

import dev.mailflow.delivery.queue.DeliveryService;

/**
 * Everything of a mail but its content: the first line of a {@link MailFile}. Attributes that James cannot write as JSON are
 * left out, as its queues do; so is the name of the processing that a mail is in, which means nothing afterwards.
 *
 * @param sender empty for the null reverse-path
 * @param lastUpdated ISO 8601, UTC
 * @param headers header lines added for one recipient only, by that recipient
 */
@JsonInclude(Include.NON_EMPTY)
public record StoredMail(
        String name,
        String sender,
        List<String> recipients,
        Optional<String> state,
        Optional<String> error,
        Optional<String> remoteHost,
        Optional<String> remoteAddress,
        String lastUpdated,
        Map<String, JsonNode> attributes,
        Map<String, List<String>> headers) {

    private static final ObjectMapper JSON =
            JsonMapper.builder().addModule(new Jdk8Module()).build();

    public StoredMail {
        sender = sender == null ? "" : sender;
        recipients = recipients == null ? List.of() : List.copyOf(recipients);
        attributes = attributes == null ? Map.of() : attributes;
        headers = headers == null ? Map.of() : headers;
    }

    public static StoredMail of(Mail mail) {
        Map<String, JsonNode> attributes = new LinkedHashMap<>();
        mail.attributes()
                .filter(attribute -> !attribute.getName().equals(DeliveryService.PROCESSING))
                .forEach(attribute -> attribute
                        .getValue()
                        .toJson()
                        .ifPresent(json -> attributes.put(attribute.getName().asString(), json)));
        Map<String, List<String>> headers = new LinkedHashMap<>();
        mail.getPerRecipientSpecificHeaders()
                .getHeadersByRecipient()
                .forEach((recipient, header) -> headers.computeIfAbsent(recipient.asString(), none -> new ArrayList<>())
                        .add(header.asString()));
        return new StoredMail(
                mail.getName(),
                mail.getMaybeSender().asString(""),
                mail.getRecipients().stream().map(MailAddress::asString).toList(),
                Optional.ofNullable(mail.getState()),
                Optional.ofNullable(mail.getErrorMessage()),
                Optional.ofNullable(mail.getRemoteHost()),
                Optional.ofNullable(mail.getRemoteAddr()),
                mail.getLastUpdated().toInstant().toString(),
                attributes,
                headers);
    }

    /**
     * What {@link #toMail} would make of this, without the way through JSON.
     *
     * @param mail what this was made of
     * @return empty when something in it could still be changed by those who have it
     */
    public Optional<MailImpl> toMail(Mail mail) throws AddressException {
        boolean mayChange = !headers.isEmpty() || kept(mail).anyMatch(attribute -> !isConstant(attribute));
        return mayChange ? Optional.empty() : Optional.of(copy(mail, kept(mail)));
    }

    private Stream<Attribute> kept(Mail mail) {
        return mail.attributes()
                .filter(attribute -> attributes.containsKey(attribute.getName().asString()));
    }

    private static boolean isConstant(Attribute attribute) {
        Object value = attribute.getValue().value();
        return value instanceof String
                || value instanceof Integer
                || value instanceof Long
                || value instanceof Boolean
                || value instanceof ZonedDateTime;
    }

    /** Another mail like one of {@link #toMail(Mail)}. */
    public static MailImpl copy(Mail mail) throws AddressException {
        return copy(mail, mail.attributes());
    }

    private static MailImpl copy(Mail mail, Stream<Attribute> attributes) throws AddressException {
        MailImpl.Builder builder = MailImpl.builder()
                .name(mail.getName())
                .sender(mail.getMaybeSender())
                .lastUpdated(Date.from(mail.getLastUpdated().toInstant()))
                .addRecipients(mail.getRecipients());
        Optional.ofNullable(mail.getState()).ifPresent(builder::state);
        Optional.ofNullable(mail.getErrorMessage()).ifPresent(builder::errorMessage);
        Optional.ofNullable(mail.getRemoteHost()).ifPresent(builder::remoteHost);
        Optional.ofNullable(mail.getRemoteAddr()).ifPresent(builder::remoteAddr);
        attributes.forEach(builder::addAttribute);
        return builder.build();
    }

    /** One line. */
    public byte[] toJson() throws IOException {
        return JSON.writeValueAsBytes(this);
    }

    /** What {@link #toJson} wrote. */
    public static StoredMail fromJson(byte[] json) throws IOException {
        return JSON.readValue(json, StoredMail.class);
    }

    /** The mail without its content. */
    public MailImpl toMail() throws IOException, AddressException {
        MailImpl.Builder builder = MailImpl.builder()
                .name(name)
                .sender(sender.isEmpty() ? MaybeSender.nullSender() : MaybeSender.of(new MailAddress(sender)))
                .lastUpdated(Date.from(Instant.parse(lastUpdated)));
        state.ifPresent(builder::state);
        error.ifPresent(builder::errorMessage);
        remoteHost.ifPresent(builder::remoteHost);
        remoteAddress.ifPresent(builder::remoteAddr);
        for (String recipient : recipients) {
            builder.addRecipient(new MailAddress(recipient));
        }
        for (Map.Entry<String, JsonNode> attribute : attributes.entrySet()) {
            AttributeValue<?> value =
                    AttributeValue.fromJsonString(attribute.getValue().toString());
            builder.addAttribute(new Attribute(AttributeName.of(attribute.getKey()), value));
        }
        for (Map.Entry<String, List<String>> recipient : headers.entrySet()) {
            for (String header : recipient.getValue()) {
                builder.addHeaderForRecipient(Header.fromString(header), new MailAddress(recipient.getKey()));
            }
        }
        return builder.build();
    }
}
