/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.event;

import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Something that happened to one message at one stage. An event names its stage, the message and whatever explains the
 * outcome; it never carries a secret or content.
 */
public sealed interface MailFlowEvent {

    /** The stage, one lower-case word. */
    String kind();

    /** Which message. */
    MessageRef message();

    /** Everything there is to say, in the order to say it; values are rendered with {@code toString()}. */
    Map<String, Object> fields();

    /**
     * A message as administrators look for it.
     *
     * @param mail James's name of the mail
     * @param messageId the Message-ID header; empty when it has none
     */
    record MessageRef(String mail, Optional<String> messageId) {}

    /**
     * A next hop and what secured the way to it.
     *
     * @param nextHop {@code host[address]:port}
     * @param tls protocol version, cipher and what was verified; empty: plaintext
     */
    record Hop(String nextHop, Optional<String> tls) {}

    /** The connection filter judged the client. */
    record Filtered(MessageRef message, String clientIp, String verdict, String reason) implements MailFlowEvent {
        @Override
        public String kind() {
            return "filtered";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            fields.put("client", clientIp);
            fields.put("verdict", verdict);
            fields.put("reason", reason);
            return fields;
        }
    }

    /**
     * Something was refused at the SMTP door, before it was accepted; once per refusal.
     *
     * @param message its mail is the SMTP session while there is no mail yet
     * @param stage what refused: {@code connectionFilter}, {@code inboundConnector}, {@code recipient}, {@code hops},
     *     {@code limits}, {@code rule} or {@code proxy}; {@code protocol} (the server itself) or {@code tls}
     * @param clientIp the client, after PROXY
     * @param sender the envelope sender, {@code <>} if null; empty: not said yet
     * @param recipient empty: not about one recipient
     * @param reply the whole line the client saw, or that the connection was closed
     * @param reason why, in more words than the client was told
     */
    record Refused(
            MessageRef message,
            String stage,
            String clientIp,
            Optional<String> sender,
            Optional<String> recipient,
            String reply,
            String reason)
            implements MailFlowEvent {
        @Override
        public String kind() {
            return "refused";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            fields.put("stage", stage);
            fields.put("client", clientIp);
            sender.ifPresent(address -> fields.put("from", address));
            recipient.ifPresent(address -> fields.put("to", address));
            fields.put("reply", reply);
            fields.put("reason", reason);
            return fields;
        }
    }

    /**
     * A mail was accepted at the SMTP door and attributed.
     *
     * @param connector the inbound connector; empty: none
     * @param origin {@code internal}, {@code partner} or {@code internet}
     * @param policyVersion the snapshot it was judged by
     */
    record Attributed(
            MessageRef message,
            String clientIp,
            Optional<String> connector,
            String origin,
            String reason,
            String policyVersion)
            implements MailFlowEvent {
        @Override
        public String kind() {
            return "attributed";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            fields.put("client", clientIp);
            connector.ifPresent(name -> fields.put("connector", name));
            fields.put("origin", origin);
            fields.put("reason", reason);
            fields.put("policy", policyVersion);
            return fields;
        }
    }

    /**
     * Headers that would speak for the inside were removed, or those of a trusted peer translated.
     *
     * @param direction {@code inbound} or {@code outbound}
     * @param removed names as written, each once
     * @param renamed {@code old->new}, each once
     */
    record HeadersScreened(MessageRef message, String direction, List<String> removed, List<String> renamed)
            implements MailFlowEvent {
        @Override
        public String kind() {
            return "headers";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            fields.put("direction", direction);
            fields.put("removed", String.join(",", removed));
            fields.put("renamed", String.join(",", renamed));
            return fields;
        }
    }

    /**
     * Addresses of a mail were rewritten; once per mail and direction.
     *
     * @param direction {@code outbound} or {@code inbound}
     * @param changes envelope first, then header fields in order
     * @param removedSignatures DKIM signatures that no longer held: {@code d=domain (field)}
     */
    record Rewritten(MessageRef message, String direction, List<Change> changes, List<String> removedSignatures)
            implements MailFlowEvent {

        /**
         * One address.
         *
         * @param where {@code envelope-from}, {@code envelope-to} or a field's name
         * @param entry the entry that won
         */
        public record Change(String where, String before, String after, String entry) {
            @Override
            public String toString() {
                return where + ": " + before + " -> " + after + " by " + entry;
            }
        }

        private static final int SHOWN = 20;

        public Rewritten {
            changes = List.copyOf(changes);
            removedSignatures = List.copyOf(removedSignatures);
        }

        @Override
        public String kind() {
            return "rewritten";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            fields.put("direction", direction);
            fields.put("count", changes.size());
            fields.put(
                    "changes",
                    changes.stream().limit(SHOWN).map(Change::toString).collect(Collectors.joining("; "))
                            + (changes.size() > SHOWN ? "; and " + (changes.size() - SHOWN) + " more" : ""));
            if (!removedSignatures.isEmpty()) {
                fields.put("removed-signatures", String.join(", ", removedSignatures));
            }
            return fields;
        }
    }

    /**
     * A header field does not follow the grammar of addresses and was left byte for byte, though it may hold addresses
     * that should have been rewritten.
     */
    record NotRewritten(MessageRef message, String direction, String field, String reason) implements MailFlowEvent {
        @Override
        public String kind() {
            return "not-rewritten";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            fields.put("direction", direction);
            fields.put("field", field);
            fields.put("reason", reason);
            return fields;
        }
    }

    /**
     * A transport rule hit.
     *
     * @param mode {@code enforce} or {@code audit}: then nothing was done
     * @param actions what was done, or in audit mode would have been done, as in a script
     * @param recipients for how many
     * @param stopped whether the rules after it were not asked for some of them
     */
    record RuleHit(MessageRef message, String rule, String mode, List<String> actions, int recipients, boolean stopped)
            implements MailFlowEvent {
        public RuleHit {
            actions = List.copyOf(actions);
        }

        @Override
        public String kind() {
            return "rule";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            fields.put("rule", rule);
            fields.put("mode", mode);
            fields.put("recipients", recipients);
            fields.put(
                    mode.equals("audit") ? "would" : "did", actions.isEmpty() ? "nothing" : String.join("; ", actions));
            if (stopped) {
                fields.put("stop", true);
            }
            return fields;
        }
    }

    /**
     * A transport rule's script failed.
     *
     * @param effect {@code the mail waits} or {@code ignored}
     */
    record RuleFailed(MessageRef message, String rule, String reason, String effect) implements MailFlowEvent {
        @Override
        public String kind() {
            return "rule-failed";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            fields.put("rule", rule);
            fields.put("reason", reason);
            fields.put("effect", effect);
            return fields;
        }
    }

    /**
     * A mail waits to be judged by the rules, or for what they decided to be done.
     *
     * @param attempt how often it was tried
     */
    record RulesDeferred(MessageRef message, List<String> recipients, String reason, int attempt, Instant nextAttempt)
            implements MailFlowEvent {
        public RulesDeferred {
            recipients = List.copyOf(recipients);
        }

        @Override
        public String kind() {
            return "rules-deferred";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            putRecipients(fields, recipients);
            fields.put("attempt", attempt);
            fields.put("next", nextAttempt);
            fields.put("reason", reason);
            return fields;
        }
    }

    /** A connector was chosen for some recipients and the message put into its queue. */
    record Routed(MessageRef message, String connector, List<String> recipients, String reason)
            implements MailFlowEvent {
        @Override
        public String kind() {
            return "routed";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            fields.put("connector", connector);
            putRecipients(fields, recipients);
            fields.put("reason", reason);
            return fields;
        }
    }

    /** A next hop took responsibility for some recipients. */
    record Delivered(
            MessageRef message,
            String connector,
            List<String> recipients,
            Hop hop,
            String reply,
            int attempt,
            Duration sinceQueued)
            implements MailFlowEvent {
        @Override
        public String kind() {
            return "delivered";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            fields.put("connector", connector);
            putHop(fields, Optional.of(hop));
            putRecipients(fields, recipients);
            fields.put("attempt", attempt);
            fields.put("age", sinceQueued);
            fields.put("reply", reply);
            return fields;
        }
    }

    /** Some recipients have to wait. */
    record Deferred(
            MessageRef message,
            String connector,
            List<String> recipients,
            Optional<Hop> hop,
            String status,
            String reason,
            Optional<String> reply,
            int attempt,
            Instant nextAttempt)
            implements MailFlowEvent {
        @Override
        public String kind() {
            return "deferred";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            fields.put("connector", connector);
            putHop(fields, hop);
            putRecipients(fields, recipients);
            fields.put("attempt", attempt);
            fields.put("next", nextAttempt);
            fields.put("status", status);
            fields.put("reason", reason);
            reply.ifPresent(text -> fields.put("reply", text));
            return fields;
        }
    }

    /** Some recipients cannot be reached; the sender is told if it wants to be. */
    record Failed(
            MessageRef message,
            String connector,
            List<String> recipients,
            Optional<Hop> hop,
            String status,
            String reason,
            Optional<String> reply,
            int attempt)
            implements MailFlowEvent {
        @Override
        public String kind() {
            return "failed";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            fields.put("connector", connector);
            putHop(fields, hop);
            putRecipients(fields, recipients);
            fields.put("attempt", attempt);
            fields.put("status", status);
            fields.put("reason", reason);
            reply.ifPresent(text -> fields.put("reply", text));
            return fields;
        }
    }

    /** The sender was told of a failure or a delay (RFC 3464), or would have been had it not asked otherwise. */
    record Notified(MessageRef message, String action, String to, List<String> recipients) implements MailFlowEvent {
        @Override
        public String kind() {
            return "notified";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            fields.put("action", action);
            fields.put("sender", to);
            putRecipients(fields, recipients);
            return fields;
        }
    }

    /** Recipients were given the addresses at which they are found in a hybrid organization. */
    record Located(MessageRef message, List<Move> moves) implements MailFlowEvent {

        /** @param reason how it is known */
        public record Move(String from, String to, String reason) {}

        public Located {
            moves = List.copyOf(moves);
        }

        @Override
        public String kind() {
            return "located";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            fields.put(
                    "changes",
                    moves.stream().map(move -> move.from() + "->" + move.to()).collect(Collectors.joining(",")));
            fields.put("reason", moves.stream().map(Move::reason).distinct().collect(Collectors.joining("; ")));
            return fields;
        }
    }

    /**
     * A report on the message is on its way to a journal mailbox.
     *
     * @param report James's name of the report
     */
    record Journaled(MessageRef message, String journalMailbox, String report) implements MailFlowEvent {
        @Override
        public String kind() {
            return "journaled";
        }

        @Override
        public Map<String, Object> fields() {
            Map<String, Object> fields = begin(this);
            fields.put("journal", journalMailbox);
            fields.put("report", report);
            return fields;
        }
    }

    private static Map<String, Object> begin(MailFlowEvent event) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("event", event.kind());
        fields.put("mail", event.message().mail());
        event.message().messageId().ifPresent(id -> fields.put("message-id", id));
        return fields;
    }

    private static void putHop(Map<String, Object> fields, Optional<Hop> hop) {
        hop.ifPresent(reached -> {
            fields.put("next-hop", reached.nextHop());
            fields.put("tls", reached.tls().orElse("none"));
        });
    }

    private static void putRecipients(Map<String, Object> fields, Collection<String> recipients) {
        fields.put("recipients", recipients.size());
        fields.put("to", String.join(",", recipients));
    }
}
