/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.time.Instant;
import java.util.Optional;

import org.apache.mailet.AttributeName;
import org.apache.mailet.Mail;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;

import dev.mailflow.policy.rule.RuleOutcome.Disposition;

/**
 * Why a mail waits for {@link ApplyTransportRules}, on the mail as one JSON string. Without a disposition the rules have
 * yet to judge it; with one they have, for the recipients it has, and only that is to be done.
 *
 * @param since epoch milliseconds of the first attempt
 * @param attempts how many failed
 * @param disposition {@code discard}, {@code reject} or {@code quarantine}; empty: not judged
 * @param rule the rule that decided it
 * @param detail reason or repository
 */
@JsonIgnoreProperties(ignoreUnknown = true)
record RuleBacklog(long since, int attempts, String disposition, String rule, String detail) {
    private static final String ATTRIBUTE = "mailflow.rules.waiting";
    private static final ObjectMapper JSON = new ObjectMapper();

    static RuleBacklog unjudged(Instant now) {
        return new RuleBacklog(now.toEpochMilli(), 0, "", "", "");
    }

    static RuleBacklog of(Disposition disposition, Instant now) {
        if (disposition instanceof Disposition.Reject reject) {
            return new RuleBacklog(now.toEpochMilli(), 0, "reject", reject.rule(), reject.reason());
        }
        if (disposition instanceof Disposition.Quarantine quarantine) {
            return new RuleBacklog(now.toEpochMilli(), 0, "quarantine", quarantine.rule(), quarantine.repository());
        }
        throw new IllegalArgumentException(disposition + " needs nothing that could fail");
    }

    /** @throws IllegalArgumentException when what is on the mail cannot be read */
    static Optional<RuleBacklog> on(Mail mail) {
        return MailMarks.get(mail, ATTRIBUTE).map(json -> {
            try {
                return JSON.readValue(json, RuleBacklog.class);
            } catch (JsonProcessingException e) {
                throw new IllegalArgumentException("attribute " + ATTRIBUTE + " cannot be read: " + json, e);
            }
        });
    }

    static void removeFrom(Mail mail) {
        mail.removeAttribute(AttributeName.of(ATTRIBUTE));
    }

    void putOn(Mail mail) {
        try {
            MailMarks.put(mail, ATTRIBUTE, JSON.writeValueAsString(this));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("a record of numbers and strings is always JSON", e);
        }
    }

    RuleBacklog afterAttempt() {
        return new RuleBacklog(since, attempts + 1, disposition, rule, detail);
    }

    Instant first() {
        return Instant.ofEpochMilli(since);
    }

    /** What the rules have decided; empty: they have not judged the mail. */
    Optional<Disposition> decided() {
        return switch (disposition) {
            case "reject" -> Optional.of(new Disposition.Reject(rule, detail, false));
            case "quarantine" -> Optional.of(new Disposition.Quarantine(rule, detail));
            default -> Optional.empty();
        };
    }
}
