/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import java.time.Instant;
import java.util.Optional;

import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;

/**
 * How far the delivery of a queued mail has come. Travels on the mail as one JSON string attribute, the only form that
 * every James queue keeps for an extension.
 *
 * @param queuedAt epoch milliseconds; when the mail came in, from where warnings and expiry count, not when it reached its
 *     connector's queue: it may have waited elsewhere before
 * @param attempts how many there were, those not counted in which no next hop was asked because there was no connection for it
 * @param warned whether the sender was told of the delay
 * @param lastReason why the last attempt did not end it; empty before the first
 */
@JsonIgnoreProperties(ignoreUnknown = true)
record DeliveryState(long queuedAt, int attempts, boolean warned, String lastReason) {

    static final AttributeName ATTRIBUTE = AttributeName.of("mailflow.delivery");

    private static final ObjectMapper JSON = new ObjectMapper();

    static DeliveryState first(Instant arrival) {
        return new DeliveryState(arrival.toEpochMilli(), 0, false, "");
    }

    /** The state on the mail; a mail without a readable one is at its beginning. */
    static DeliveryState of(Mail mail, Instant now) {
        return AttributeUtils.getValueAndCastFromMail(mail, ATTRIBUTE, String.class)
                .flatMap(DeliveryState::parse)
                .orElseGet(() -> first(QueuedMail.arrival(mail, now)));
    }

    private static Optional<DeliveryState> parse(String json) {
        try {
            return Optional.of(JSON.readValue(json, DeliveryState.class));
        } catch (JsonProcessingException e) {
            return Optional.empty();
        }
    }

    void putOn(Mail mail) {
        try {
            mail.setAttribute(new Attribute(ATTRIBUTE, AttributeValue.of(JSON.writeValueAsString(this))));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("a record of numbers and strings is always JSON", e);
        }
    }

    Instant queued() {
        return Instant.ofEpochMilli(queuedAt);
    }

    DeliveryState afterAttempt(String reason, boolean nowWarned) {
        return new DeliveryState(queuedAt, attempts + 1, nowWarned, reason);
    }

    /** After no next hop was asked. */
    DeliveryState afterPostponement(String reason, boolean nowWarned) {
        return new DeliveryState(queuedAt, attempts, nowWarned, reason);
    }
}
