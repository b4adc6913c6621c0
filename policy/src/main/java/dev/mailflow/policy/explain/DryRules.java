/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.explain;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.Origin;
import dev.mailflow.policy.rule.RuleAction;
import dev.mailflow.policy.rule.RuleMessage;
import dev.mailflow.policy.rule.RuleObserver;
import dev.mailflow.policy.rule.RuleOutcome;
import dev.mailflow.policy.rule.RuleScript;
import dev.mailflow.policy.rule.RuleVerdict;
import dev.mailflow.policy.rule.TransportRule;
import dev.mailflow.policy.rule.TransportRules;

/** The transport rules of a message that nobody sent, asked for one recipient after the other. */
final class DryRules {
    private final TransportRules rules;
    private final RuleMessage message;
    private final boolean trace;
    private final Instant now;
    private final Set<MailAddress> known = new HashSet<>();
    private final Set<TransportRule> hit = new HashSet<>();
    private final Map<TransportRule, Set<Explanation.RuleTrial>> trials = new LinkedHashMap<>();
    private Optional<HeaderSection> ruled = Optional.empty();

    DryRules(
            MailFlowPolicy policy,
            HypotheticalMessage message,
            DryRewriting rewriting,
            Map<String, Optional<String>> marks,
            Optional<InboundFacts> facts,
            Origin origin,
            Instant now) {
        this.rules = policy.transportRules();
        this.trace = message.traceRules();
        this.now = now;
        List<HeaderField> fields = new ArrayList<>();
        Optional.ofNullable(marks.get(InboundFacts.VERDICT_HEADER))
                .flatMap(value -> value)
                .ifPresent(value -> fields.add(HeaderField.of(InboundFacts.VERDICT_HEADER, value)));
        fields.addAll(rewriting.arrived().fields());
        HeaderSection header = rewriting.arrived().with(fields);
        List<MailAddress> recipients =
                message.recipients().stream().map(rewriting::recipient).toList();
        this.known.addAll(recipients);
        this.message = new RuleMessage(
                message.sender(),
                recipients,
                header,
                header.bytes().length + message.body().sizeIfKnown().or(0L),
                message.body()::openStream,
                facts,
                origin,
                policy.acceptedDomains());
    }

    /** The header that is known of the message, as bytes on the wire. */
    static HeaderSection section(HypotheticalMessage message) {
        List<HeaderField> fields = message.header().stream()
                .map(field -> HeaderField.of(
                        field.name(),
                        new String(field.value().getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1)))
                .toList();
        return new HeaderSection(fields, "\r\n");
    }

    RuleOutcome apply(MailAddress recipient) {
        Trial trial = new Trial(recipient);
        RuleOutcome outcome = rules.apply(message, List.of(recipient), TransportRules.Stage.PROCESSING, now, trial);
        outcome.hits().forEach(one -> hit.add(one.rule()));
        ruled = ruled.or(() -> outcome.shares().stream()
                .filter(RuleOutcome.Share::continues)
                .map(RuleOutcome.Share::header)
                .findFirst());
        return outcome;
    }

    /** Whether nobody was told yet that rules add this recipient. */
    boolean addsFirst(MailAddress added) {
        return known.add(added);
    }

    /** The header as the rules left it, for the first recipient who gets the message. */
    HeaderSection ruled() {
        return ruled.orElseGet(message::header);
    }

    /** Fields that rules edited: all values of the name, empty when none is left. */
    Map<String, Optional<String>> editedHeaders() {
        Map<String, List<HeaderField>> before = byName(message.header());
        Map<String, List<HeaderField>> after = byName(ruled());
        Map<String, Optional<String>> edited = new LinkedHashMap<>();
        after.forEach((name, fields) -> {
            if (!fields.equals(before.get(name))) {
                edited.put(
                        fields.get(0).name(),
                        Optional.of(fields.stream().map(DryRewriting::value).collect(Collectors.joining(", "))));
            }
        });
        before.forEach((name, fields) -> {
            if (!after.containsKey(name)) {
                edited.put(fields.get(0).name(), Optional.empty());
            }
        });
        return edited;
    }

    private static Map<String, List<HeaderField>> byName(HeaderSection section) {
        return section.fields().stream()
                .collect(Collectors.groupingBy(
                        field -> field.name().toLowerCase(Locale.ROOT), LinkedHashMap::new, Collectors.toList()));
    }

    /** Names of the rules that hit, in the policy's order. */
    List<String> hits() {
        return rules.all().stream()
                .filter(hit::contains)
                .map(TransportRule::name)
                .toList();
    }

    List<Explanation.RuleTrial> trials() {
        return rules.all().stream()
                .flatMap(rule -> trials.getOrDefault(rule, Set.of()).stream())
                .toList();
    }

    /** Writes down what each rule says for one recipient. */
    private final class Trial implements RuleObserver {
        private final MailAddress recipient;
        private List<Explanation.RuleTrial.Tested> tests = new ArrayList<>();

        Trial(MailAddress recipient) {
            this.recipient = recipient;
        }

        @Override
        public void skipped(TransportRule rule, String why) {
            add(rule, "skipped", why);
        }

        @Override
        public void answered(TransportRule rule, List<MailAddress> recipients, RuleVerdict verdict) {
            List<String> actions =
                    verdict.actions().stream().map(RuleAction::script).collect(Collectors.toList());
            if (verdict.stopped()) {
                actions.add("stop");
            }
            add(rule, verdict.hit() ? "hit" : "miss", String.join("; ", actions));
        }

        @Override
        public void failed(TransportRule rule, List<MailAddress> recipients, String reason) {
            add(rule, "failed", reason);
        }

        @Override
        public RuleScript.Trace trace(TransportRule rule) {
            return trace
                    ? (where, test, result) ->
                            tests.add(new Explanation.RuleTrial.Tested(where.toString(), test, result))
                    : RuleScript.Trace.NONE;
        }

        private void add(TransportRule rule, String verdict, String detail) {
            boolean differs = message.recipients().size() > 1 && rule.script().dependsOnRecipient();
            trials.computeIfAbsent(rule, unused -> new LinkedHashSet<>())
                    .add(new Explanation.RuleTrial(
                            rule.name(),
                            rule.mode().toString(),
                            differs ? Optional.of(recipient) : Optional.empty(),
                            verdict,
                            detail,
                            tests));
            tests = new ArrayList<>();
        }
    }
}
