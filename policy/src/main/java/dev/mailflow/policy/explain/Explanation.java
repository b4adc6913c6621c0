/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.explain;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

import org.apache.james.core.MailAddress;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;

import dev.mailflow.policy.connection.ConnectionVerdict;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.inbound.Origin;
import dev.mailflow.policy.inbound.SmtpReply;

/**
 * Every decision about a message, each with its reason. The keys of {@link #toJson()} are part of the contract with
 * administrators' programs (policy file contract, command line).
 *
 * @param refusal the reply to the client when the message, or every recipient of it, is refused
 * @param headers headers that the gateway changes: the new value, empty for removed
 * @param rules names of the transport rules that hit, in order, those in audit mode too
 * @param ruleTrials every transport rule and what it said
 * @param reasons why, stage by stage, for people
 */
public record Explanation(
        Optional<SmtpReply> refusal,
        Origin origin,
        Optional<String> inboundConnector,
        ConnectionVerdict.Kind connectionFilter,
        Optional<MailAddress> envelopeFrom,
        Map<String, Optional<String>> headers,
        List<String> rules,
        List<RuleTrial> ruleTrials,
        List<Recipient> recipients,
        List<String> reasons) {

    /** Where a recipient's mailbox is. */
    public enum Location {
        LOCAL,
        CLOUD,
        REMOTE,
        UNKNOWN
    }

    /** What becomes of the message for one recipient. */
    public enum Action {
        DELIVER_LOCAL("deliverLocal"),
        RELAY("relay"),
        REJECT("reject"),
        DISCARD("discard"),
        REDIRECT("redirect");

        private final String word;

        Action(String word) {
            this.word = word;
        }

        @Override
        public String toString() {
            return word;
        }
    }

    /**
     * One recipient's fate.
     *
     * @param connector the outbound connector's name
     * @param nextHops {@code host:port} in the order of trial, or {@code mx:domain}
     * @param tls the effective level; empty when the message does not leave
     * @param requireTls whether it may leave over TLS only
     * @param assumption why it only counts as here, where nobody was asked; empty: it is where it is said to be
     */
    public record Recipient(
            MailAddress original,
            MailAddress rewritten,
            Location location,
            Optional<String> connector,
            List<String> nextHops,
            Optional<TlsLevel> tls,
            boolean requireTls,
            Action action,
            Optional<SmtpReply> smtpReply,
            String reason,
            Optional<String> assumption) {

        Recipient assuming(Optional<String> why) {
            return new Recipient(
                    original,
                    rewritten,
                    location,
                    connector,
                    nextHops,
                    tls,
                    requireTls,
                    action,
                    smtpReply,
                    reason,
                    why);
        }

        private ObjectNode toJson() {
            ObjectNode json = JsonNodeFactory.instance.objectNode();
            json.put("original", original.asString());
            json.put("rewritten", rewritten.asString());
            json.put("location", location.name().toLowerCase(Locale.ROOT));
            json.put("connector", connector.orElse(null));
            ArrayNode hops = json.putArray("nextHops");
            nextHops.forEach(hops::add);
            json.put("tls", tls.map(TlsLevel::toString).orElse(null));
            json.put("requireTls", requireTls);
            json.put("action", action.toString());
            json.put("smtpReply", smtpReply.map(SmtpReply::toString).orElse(null));
            json.put("reason", reason);
            json.put("assumption", assumption.orElse(null));
            return json;
        }
    }

    /**
     * One transport rule as it was tried.
     *
     * @param recipient whom it was tried for; empty: it is the same for all
     * @param verdict {@code hit}, {@code miss}, {@code skipped} or {@code failed}
     * @param detail what it did or would do, or why it was skipped or failed
     * @param tests its tests in the order in which they were made, when somebody wants to know
     */
    public record RuleTrial(
            String rule,
            String mode,
            Optional<MailAddress> recipient,
            String verdict,
            String detail,
            List<Tested> tests) {

        /** One test of a script. */
        public record Tested(String where, String test, boolean result) {}

        public RuleTrial {
            tests = List.copyOf(tests);
        }

        private ObjectNode toJson() {
            ObjectNode json = JsonNodeFactory.instance.objectNode();
            json.put("rule", rule);
            json.put("mode", mode);
            recipient.ifPresent(address -> json.put("recipient", address.asString()));
            json.put("verdict", verdict);
            json.put("detail", detail);
            if (!tests.isEmpty()) {
                ArrayNode all = json.putArray("tests");
                tests.forEach(test -> all.addObject()
                        .put("where", test.where())
                        .put("test", test.test())
                        .put("result", test.result()));
            }
            return json;
        }
    }

    public boolean accepted() {
        return refusal.isEmpty();
    }

    /** The explanation for programs. */
    public ObjectNode toJson() {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("decision", accepted() ? "accept" : "reject");
        json.put("smtpReply", refusal.map(SmtpReply::toString).orElse(null));
        json.put("origin", origin.name());
        json.put("inboundConnector", inboundConnector.orElse(null));
        json.put("connectionFilter", connectionFilter.toString());
        json.put("envelopeFrom", envelopeFrom.map(MailAddress::asString).orElse("<>"));
        ObjectNode changed = json.putObject("headers");
        headers.forEach((name, value) -> changed.put(name, value.orElse(null)));
        ArrayNode hit = json.putArray("rules");
        rules.forEach(hit::add);
        ArrayNode tried = json.putArray("ruleTrace");
        ruleTrials.forEach(trial -> tried.add(trial.toJson()));
        ArrayNode all = json.putArray("recipients");
        recipients.forEach(recipient -> all.add(recipient.toJson()));
        ArrayNode why = json.putArray("reasons");
        reasons.forEach(why::add);
        return json;
    }
}
