/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.explain;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

import javax.mail.internet.AddressException;

import org.apache.james.core.MailAddress;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.google.common.io.ByteSource;

import dev.mailflow.policy.certificate.HypotheticalCertificate;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.inbound.ClientSession;
import dev.mailflow.policy.inbound.TlsSession;

/**
 * The question of {@code explain} as people and programs put it: the command line's options and, with the same names,
 * the JSON that a running gateway takes.
 *
 * @param from envelope sender; {@code <>} or empty: the null sender
 * @param to envelope recipients
 * @param clientIp null: from an authenticated user of ours
 * @param clientCert name of the client's certificate, from a trusted authority; implies TLS; null: none
 * @param tls whether the client's session is encrypted
 * @param header fields of the message, {@code Name: value}
 * @param body what follows the header, base64; null: nothing
 * @param unknown recipients that have no mailbox here
 * @param traceRules whether to tell each test of the transport rules
 */
@JsonInclude(JsonInclude.Include.NON_EMPTY)
public record ExplainRequest(
        String from,
        List<String> to,
        String clientIp,
        String clientCert,
        boolean tls,
        List<String> header,
        String body,
        List<String> unknown,
        boolean traceRules) {

    private static final ObjectMapper JSON = JsonMapper.builder()
            .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .build();
    private static final TlsSession SOME_TLS = new TlsSession("TLSv1.3", "TLS_AES_256_GCM_SHA384");

    public ExplainRequest {
        from = from == null ? "" : from;
        to = to == null ? List.of() : List.copyOf(to);
        header = header == null ? List.of() : List.copyOf(header);
        body = body == null ? "" : body;
        unknown = unknown == null ? List.of() : List.copyOf(unknown);
    }

    /**
     * Reads the JSON form.
     *
     * @throws IllegalArgumentException saying what was found and expected
     */
    public static ExplainRequest fromJson(String json) {
        try {
            ExplainRequest request = JSON.readValue(json, ExplainRequest.class);
            if (request == null) {
                throw new IllegalArgumentException("found nothing, expected a JSON object with from and to");
            }
            return request;
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("expected a JSON object with from and to: " + e.getOriginalMessage(), e);
        }
    }

    public String toJson() {
        try {
            return JSON.writeValueAsString(this);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * The message that is asked about.
     *
     * @throws IllegalArgumentException naming the part that is wrong, what was found and what was expected
     */
    public HypotheticalMessage message() {
        if (to.isEmpty()) {
            throw new IllegalArgumentException("to: found none, expected at least one recipient");
        }
        if (clientIp == null && (tls || clientCert != null)) {
            throw new IllegalArgumentException(
                    "tls and client-cert describe a client's session: found no client-ip, expected one with them");
        }
        String sender = from.trim();
        return new HypotheticalMessage(
                sender.isEmpty() || sender.equals("<>") ? Optional.empty() : Optional.of(address("from", sender)),
                to.stream().map(recipient -> address("to", recipient)).toList(),
                Optional.ofNullable(clientIp).map(this::session),
                fields(),
                ByteSource.wrap(bodyBytes()),
                addresses(unknown),
                traceRules);
    }

    private byte[] bodyBytes() {
        try {
            return Base64.getDecoder().decode(body);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("body: expected base64: " + e.getMessage(), e);
        }
    }

    private static Set<MailAddress> addresses(List<String> texts) {
        return texts.stream().map(text -> address("unknown", text)).collect(Collectors.toSet());
    }

    private ClientSession session(String address) {
        ClientSession session;
        try {
            session = ClientSession.from(IpAddress.parse(address.trim()));
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("client-ip: " + e.getMessage(), e);
        }
        if (tls || clientCert != null) {
            session = session.withTls(SOME_TLS);
        }
        return clientCert == null ? session : session.withPeerCertificate(new HypotheticalCertificate(clientCert));
    }

    private List<HypotheticalMessage.HeaderField> fields() {
        List<HypotheticalMessage.HeaderField> fields = new ArrayList<>();
        for (String field : header) {
            int colon = field.indexOf(':');
            if (colon <= 0 || !field.substring(0, colon).chars().allMatch(c -> c > ' ' && c < 127)) {
                throw new IllegalArgumentException("header: found '" + field + "', expected 'Name: value'");
            }
            fields.add(new HypotheticalMessage.HeaderField(
                    field.substring(0, colon), field.substring(colon + 1).trim()));
        }
        return fields;
    }

    private static MailAddress address(String part, String text) {
        try {
            return new MailAddress(withALabels(text.trim()));
        } catch (AddressException e) {
            throw new IllegalArgumentException(
                    part + ": found '" + text + "', expected a mail address ('joe@contoso.com'): " + e.getMessage(), e);
        }
    }

    /** The address with its domain as it goes over the wire; James's parser knows no other. */
    private static String withALabels(String address) {
        int domain = address.lastIndexOf('@') + 1;
        boolean ascii = address.substring(domain).chars().allMatch(c -> c < 128);
        return ascii ? address : address.substring(0, domain) + DomainPattern.normalize(address.substring(domain));
    }
}
