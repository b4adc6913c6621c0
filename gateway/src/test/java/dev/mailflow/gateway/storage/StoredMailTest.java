/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.storage;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.time.ZonedDateTime;
import java.util.List;
import java.util.Optional;

import org.apache.james.core.MailAddress;
import org.apache.james.server.core.MailImpl;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.PerRecipientHeaders.Header;
import org.junit.jupiter.api.Test;

import dev.mailflow.delivery.queue.DeliveryService;

class StoredMailTest {

    private static MailImpl mail() throws Exception {
        MailImpl mail = MailImpl.builder()
                .name("m-1")
                .sender("alice@example.net")
                .addRecipients("bob@example.com", "carol@example.com")
                .state("relay")
                .errorMessage("451 later")
                .remoteHost("client.example.net")
                .remoteAddr("192.0.2.1")
                .build();
        mail.setAttribute(Attribute.convertToAttribute("mailflow.inbound", "{\"ip\":\"192.0.2.1\"}"));
        mail.setAttribute(Attribute.convertToAttribute("attempts", 3));
        mail.setAttribute(Attribute.convertToAttribute("size", 3L));
        mail.setAttribute(Attribute.convertToAttribute("warned", true));
        mail.setAttribute(Attribute.convertToAttribute("since", ZonedDateTime.parse("2026-01-02T03:04:05.678Z")));
        mail.setAttribute(
                new Attribute(AttributeName.of("not serializable"), AttributeValue.ofUnserializable(new Object())));
        mail.setAttribute(new Attribute(DeliveryService.PROCESSING, AttributeValue.of("token")));
        return mail;
    }

    private static String restored(MailImpl mail) throws Exception {
        return new String(StoredMail.of(mail).toJson(), StandardCharsets.UTF_8);
    }

    @Test
    void mailFromMemoryShouldBeTheMailFromJson() throws Exception {
        StoredMail stored = StoredMail.of(mail());
        MailImpl fromJson = StoredMail.fromJson(stored.toJson()).toMail();

        MailImpl fromMemory = stored.toMail(mail()).orElseThrow();

        assertThat(fromMemory.attributes())
                .containsExactlyInAnyOrderElementsOf(fromJson.attributes().toList());
        assertThat(fromMemory.attributes()).hasSize(5);
        fromMemory.setLastUpdated(fromJson.getLastUpdated());
        assertThat(restored(fromMemory)).isEqualTo(restored(fromJson));
    }

    @Test
    void nullSenderShouldStayNull() throws Exception {
        MailImpl mail = mail();
        mail.setSender(MailAddress.nullSender());

        assertThat(StoredMail.of(mail)
                        .toMail(mail)
                        .orElseThrow()
                        .getMaybeSender()
                        .isNullSender())
                .isTrue();
    }

    @Test
    void whatIsDoneToACopyShouldNotShowInTheNext() throws Exception {
        MailImpl kept = StoredMail.of(mail()).toMail(mail()).orElseThrow();
        MailImpl first = StoredMail.copy(kept);
        first.setRecipients(List.of(new MailAddress("dave@example.com")));
        first.setAttribute(Attribute.convertToAttribute("attempts", 4));
        first.setErrorMessage("another");
        first.setState("ghost");

        MailImpl second = StoredMail.copy(kept);

        assertThat(second.getRecipients()).containsExactlyElementsOf(mail().getRecipients());
        assertThat(second.getErrorMessage()).isEqualTo("451 later");
        assertThat(second.getState()).isEqualTo("relay");
        assertThat(second.attributes()).contains(Attribute.convertToAttribute("attempts", 3));
    }

    @Test
    void mailWithPartsThatMayChangeShouldComeFromJsonOnly() throws Exception {
        MailImpl listed = mail();
        listed.setAttribute(
                new Attribute(AttributeName.of("list"), AttributeValue.of(List.of(AttributeValue.of("a")))));
        MailImpl withHeaders = mail();
        withHeaders.addSpecificHeaderForRecipient(
                Header.builder().name("X-For").value("bob").build(), new MailAddress("bob@example.com"));

        assertThat(StoredMail.of(listed).toMail(listed)).isEqualTo(Optional.empty());
        assertThat(StoredMail.of(withHeaders).toMail(withHeaders)).isEqualTo(Optional.empty());
    }
}
