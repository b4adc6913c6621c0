/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rule;

import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Stream;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.rule.RuleOutcome.Disposition;
import dev.mailflow.policy.rule.RuleOutcome.Failure;
import dev.mailflow.policy.rule.RuleOutcome.Hit;
import dev.mailflow.policy.rule.RuleOutcome.RuledRoute;
import dev.mailflow.policy.rule.RuleOutcome.Share;

/**
 * The transport rules of a policy, in order (mail-flow behaviour, section 6). Immutable; {@link #apply} is pure but for
 * reading the body.
 *
 * <p>All recipients start as one group. A rule whose script does not depend on the recipient is asked once for each group,
 * any other once for each recipient; a group is parted only where the answers differ, and groups that have become equal
 * are one again. A message to 5,000 recipients thus costs as many copies as there are different outcomes.
 *
 * <p>What a rule does is seen by the rules after it: edited headers, recipients in the place of others, recipients added.
 * Added recipients travel with those they were added to: same header, same route, same demand for TLS. Nobody is added who
 * is to get the message anyway. Discard, reject and quarantine are final for the recipients of the verdict, not for those
 * that the same script added. A later route takes the place of an earlier one; a demand for TLS stays.
 *
 * <p>A script that fails defers the whole mail before anything of it is done, so that nothing is done twice, unless its
 * rule says to ignore that or is in audit mode.
 */
public final class TransportRules {
    /** The header that tells the spam confidence level, as Exchange names it. */
    public static final String SCL_HEADER = "X-MS-Exchange-Organization-SCL";

    /** More recipients than rules may add to one message: a script that adds more has failed. */
    static final int MOST_ADDED = 1_000;

    /** More different actions of one rule on one message are done but not listed. */
    private static final int MOST_LISTED_ACTIONS = 50;

    private static final Disposition CONTINUE = new Disposition.Continue();
    private static final TransportRules NONE = new TransportRules(List.of());

    private final List<TransportRule> rules;

    private TransportRules(List<TransportRule> rules) {
        this.rules = List.copyOf(rules);
    }

    public static TransportRules none() {
        return NONE;
    }

    /** Rules in the order in which they are asked; their names are distinct. */
    public static TransportRules of(List<TransportRule> rules) {
        return new TransportRules(rules);
    }

    /** When the rules are asked. */
    public enum Stage {
        /** At the end of DATA, for what may be refused there: up to the last rule that may do so. */
        SMTP,
        /** When the accepted message is processed: all rules. */
        PROCESSING
    }

    /** All rules in order, those that are not in force too. */
    public List<TransportRule> all() {
        return rules;
    }

    public boolean isEmpty() {
        return rules.isEmpty();
    }

    /** How many rules from the first on have a say at that stage. */
    private int heardAt(Stage stage, Instant now) {
        if (stage == Stage.PROCESSING) {
            return rules.size();
        }
        for (int i = rules.size(); i > 0; i--) {
            TransportRule rule = rules.get(i - 1);
            if (rule.atSmtp() && rule.isEnforcedAt(now)) {
                return i;
            }
        }
        return 0;
    }

    /** Whether any rule has a say at that stage. */
    public boolean isHeardAt(Stage stage, Instant now) {
        return heardAt(stage, now) > 0;
    }

    /** Asks the rules for all recipients of the message. */
    public RuleOutcome apply(RuleMessage message, Stage stage, Instant now) {
        return apply(message, message.recipients(), stage, now, RuleObserver.NONE);
    }

    /**
     * Asks the rules.
     *
     * @param recipients those the outcome is for, some or all of the message's
     */
    public RuleOutcome apply(
            RuleMessage message, List<MailAddress> recipients, Stage stage, Instant now, RuleObserver observer) {
        return new Pass(message, recipients, now, observer).over(rules.subList(0, heardAt(stage, now)));
    }

    /** What recipients have in common so far. */
    private record State(
            RuleMessage message, Optional<RuledRoute> route, boolean requireTls, OptionalInt scl, boolean stopped) {

        /** Equal for states that make equal copies. */
        Share outcome(Disposition disposition, List<MailAddress> recipients) {
            return new Share(disposition, recipients, message.header(), route, requireTls, scl);
        }
    }

    /** Recipients with one state. */
    private record Group(State state, List<MailAddress> recipients) {}

    /** What a script said, or why it failed. */
    private record Answer(Optional<RuleVerdict> verdict, String failure) {
        static Answer of(RuleVerdict verdict) {
            return new Answer(Optional.of(verdict), "");
        }

        static Answer failed(String reason) {
            return new Answer(Optional.empty(), reason);
        }
    }

    /** One message on its way through the rules. */
    private static final class Pass {
        private final RuleMessage original;
        private final Instant now;
        private final RuleObserver observer;
        private final Set<MailAddress> present;
        private final List<Share> ended = new ArrayList<>();
        private final List<Hit> hits = new ArrayList<>();
        private final List<Failure> failures = new ArrayList<>();
        private List<Group> groups;
        private int added;
        private Optional<Failure> deferral = Optional.empty();

        Pass(RuleMessage message, List<MailAddress> recipients, Instant now, RuleObserver observer) {
            this.original = message;
            this.now = now;
            this.observer = observer;
            this.present = new LinkedHashSet<>(recipients);
            this.groups = List.of(new Group(
                    new State(message, Optional.empty(), false, OptionalInt.empty(), false), List.copyOf(present)));
        }

        RuleOutcome over(List<TransportRule> rules) {
            for (TransportRule rule : rules) {
                Optional<String> idle = rule.idleAt(now).or(() -> exempt(rule));
                if (idle.isPresent()) {
                    observer.skipped(rule, idle.get());
                    continue;
                }
                if (groups.stream().allMatch(group -> group.state().stopped())) {
                    observer.skipped(rule, groups.isEmpty() ? "no recipient is left" : "an earlier rule stopped");
                    continue;
                }
                new Turn(rule).take();
                if (deferral.isPresent()) {
                    return new RuleOutcome(List.of(), hits, failures, deferral);
                }
            }
            List<Share> shares = new ArrayList<>(merged(ended));
            shares.addAll(
                    0,
                    merged(groups.stream()
                            .map(group -> group.state().outcome(CONTINUE, group.recipients()))
                            .toList()));
            return new RuleOutcome(shares, hits, failures, Optional.empty());
        }

        private Optional<String> exempt(TransportRule rule) {
            return original.sender().isEmpty() && !rule.nullSender()
                    ? Optional.of("mail of the null sender is exempt")
                    : Optional.empty();
        }

        private static List<Share> merged(List<Share> shares) {
            if (shares.size() < 2) {
                return shares;
            }
            Map<Share, Set<MailAddress>> together = new LinkedHashMap<>();
            shares.forEach(share -> together.computeIfAbsent(
                            new Share(
                                    share.disposition(),
                                    List.of(),
                                    share.header(),
                                    share.route(),
                                    share.requireTls(),
                                    share.scl()),
                            key -> new LinkedHashSet<>())
                    .addAll(share.recipients()));
            return together.entrySet().stream()
                    .map(entry -> new Share(
                            entry.getKey().disposition(),
                            List.copyOf(entry.getValue()),
                            entry.getKey().header(),
                            entry.getKey().route(),
                            entry.getKey().requireTls(),
                            entry.getKey().scl()))
                    .toList();
        }

        /** One rule asked for everybody who is left. */
        private final class Turn {
            private final TransportRule rule;
            private final List<Group> after = new ArrayList<>();
            private final Set<RuleAction> actions = new LinkedHashSet<>();
            private int hitRecipients;
            private boolean stopped;
            private Optional<String> failure = Optional.empty();

            Turn(TransportRule rule) {
                this.rule = rule;
            }

            void take() {
                for (Group group : groups) {
                    if (group.state().stopped()) {
                        after.add(group);
                    } else {
                        ask(group);
                    }
                }
                if (hitRecipients > 0) {
                    hits.add(new Hit(
                            rule, actions.stream().limit(MOST_LISTED_ACTIONS).toList(), hitRecipients, stopped));
                }
                failure.ifPresent(reason -> {
                    Failure failed = new Failure(rule, reason);
                    failures.add(failed);
                    if (rule.mode() == TransportRule.Mode.ENFORCE && rule.onError() == TransportRule.OnError.DEFER) {
                        deferral = Optional.of(failed);
                    }
                });
                groups = together(after);
            }

            private void ask(Group group) {
                if (!rule.script().dependsOnRecipient()) {
                    conclude(group, run(group.state().message(), group.recipients()), group.recipients());
                    return;
                }
                Map<Answer, List<MailAddress>> answers = new LinkedHashMap<>();
                List<MailAddress> untouched = new ArrayList<>();
                for (MailAddress recipient : group.recipients()) {
                    Answer answer = run(group.state().message(), List.of(recipient));
                    // most rules hit few: those others need no comparing
                    boolean hit = answer.verdict().map(RuleVerdict::hit).orElse(true);
                    (hit ? answers.computeIfAbsent(answer, key -> new ArrayList<>()) : untouched).add(recipient);
                }
                if (!untouched.isEmpty()) {
                    after.add(new Group(group.state(), List.copyOf(untouched)));
                }
                answers.forEach((answer, recipients) -> conclude(group, answer, recipients));
            }

            private Answer run(RuleMessage message, List<MailAddress> recipients) {
                try {
                    RuleVerdict verdict =
                            rule.script().run(new RuleScript.Run(message, recipients, now, observer.trace(rule)));
                    observer.answered(rule, recipients, verdict);
                    return Answer.of(verdict);
                } catch (RuleScriptException e) {
                    observer.failed(rule, recipients, e.getMessage());
                    return Answer.failed(e.getMessage());
                } catch (RuntimeException | StackOverflowError e) {
                    // an error of ours must not let through what the rule might have stopped
                    observer.failed(rule, recipients, e.toString());
                    return Answer.failed(rule.location() + ": " + e);
                }
            }

            private void conclude(Group group, Answer answer, List<MailAddress> recipients) {
                if (answer.verdict().isEmpty()) {
                    failure = failure.or(() -> Optional.of(answer.failure()));
                    after.add(new Group(group.state(), List.copyOf(recipients)));
                    return;
                }
                RuleVerdict verdict = answer.verdict().get();
                if (verdict.hit()) {
                    hitRecipients += recipients.size();
                    actions.addAll(verdict.actions());
                    stopped |= verdict.stopped();
                }
                if (rule.mode() == TransportRule.Mode.AUDIT || !verdict.hit()) {
                    after.add(new Group(group.state(), List.copyOf(recipients)));
                } else {
                    enforce(group.state(), recipients, verdict);
                }
            }

            private void enforce(State before, List<MailAddress> recipients, RuleVerdict verdict) {
                Fate fate = new Fate(rule, before, verdict);
                long more = fate.targets.stream()
                        .filter(target -> !present.contains(target))
                        .count();
                if (added + more > MOST_ADDED) {
                    failure = failure.or(() -> Optional.of(rule.location() + ": the rules add more than " + MOST_ADDED
                            + " recipients to one message"));
                    after.add(new Group(before, List.copyOf(recipients)));
                    return;
                }
                Set<MailAddress> staying = new LinkedHashSet<>(recipients);
                fate.end.ifPresent(disposition -> {
                    ended.add(ending(disposition, fate, recipients));
                    staying.clear();
                });
                if (fate.end.isEmpty() && fate.isRedirected()) {
                    staying.retainAll(fate.targets);
                }
                present.removeAll(recipients);
                present.addAll(staying);
                for (MailAddress target : fate.targets) {
                    if (present.add(target)) {
                        staying.add(target);
                        added++;
                    }
                }
                if (!staying.isEmpty()) {
                    after.add(new Group(fate.state(), List.copyOf(staying)));
                }
            }

            /** Who is told of a rejection, and what is thrown away, needs no copy of its own for each header. */
            private Share ending(Disposition disposition, Fate fate, List<MailAddress> recipients) {
                return disposition instanceof Disposition.Quarantine
                        ? fate.state().outcome(disposition, recipients)
                        : new Share(
                                disposition,
                                recipients,
                                original.header(),
                                Optional.empty(),
                                false,
                                OptionalInt.empty());
            }
        }

        /** Equal groups are one: what comes after costs them once. */
        private static List<Group> together(List<Group> parts) {
            if (parts.size() < 2) {
                return List.copyOf(parts);
            }
            record Key(
                    HeaderSection header, Optional<RuledRoute> route, boolean tls, OptionalInt scl, boolean stopped) {}
            Map<Key, State> states = new LinkedHashMap<>();
            Map<Key, Set<MailAddress>> recipients = new LinkedHashMap<>();
            for (Group part : parts) {
                State state = part.state();
                Key key = new Key(
                        state.message().header(), state.route(), state.requireTls(), state.scl(), state.stopped());
                states.putIfAbsent(key, state);
                recipients.computeIfAbsent(key, unused -> new LinkedHashSet<>()).addAll(part.recipients());
            }
            List<Group> all = new ArrayList<>();
            states.forEach((key, state) -> all.add(new Group(state, List.copyOf(recipients.get(key)))));
            return List.copyOf(all);
        }
    }

    /** What a verdict means for the recipients it is for. */
    private static final class Fate {
        private final RuleMessage message;
        private final Set<MailAddress> targets = new LinkedHashSet<>();
        private HeaderSection header;
        private Optional<RuledRoute> route;
        private boolean requireTls;
        private OptionalInt scl;
        private final boolean stopped;
        private boolean kept;
        private boolean redirected;
        private final Optional<Disposition> end;

        Fate(TransportRule rule, State before, RuleVerdict verdict) {
            this.message = before.message();
            this.header = verdict.header();
            this.route = before.route();
            this.requireTls = before.requireTls();
            this.scl = before.scl();
            this.stopped = verdict.stopped();
            boolean discarded = false;
            Optional<Disposition> rejected = Optional.empty();
            Optional<Disposition> quarantined = Optional.empty();
            for (RuleAction action : verdict.actions()) {
                if (action instanceof RuleAction.Keep) {
                    kept = true;
                } else if (action instanceof RuleAction.Discard) {
                    discarded = true;
                } else if (action instanceof RuleAction.Redirect redirect) {
                    targets.add(redirect.to());
                    redirected |= !redirect.copy();
                } else if (action instanceof RuleAction.Bcc bcc) {
                    targets.add(bcc.to());
                } else if (action instanceof RuleAction.AddRecipient one) {
                    targets.add(one.to());
                } else if (action instanceof RuleAction.Reject reject) {
                    rejected = Optional.of(new Disposition.Reject(rule.name(), reject.reason(), rule.atSmtp()));
                } else if (action instanceof RuleAction.Quarantine quarantine) {
                    quarantined = Optional.of(new Disposition.Quarantine(rule.name(), quarantine.repository()));
                } else if (action instanceof RuleAction.Route named) {
                    route = Optional.of(new RuledRoute(named.connector(), rule.name()));
                } else if (action instanceof RuleAction.RequireTls) {
                    requireTls = true;
                } else if (action instanceof RuleAction.SetScl level) {
                    scl = OptionalInt.of(level.level());
                    header = with(header, HeaderField.of(SCL_HEADER, String.valueOf(level.level())));
                }
            }
            // what stops the message outweighs what lets it pass, but for RFC 5228: a keep outweighs a discard
            Optional<Disposition> gone =
                    discarded && !kept ? Optional.of(new Disposition.Discard(rule.name())) : Optional.empty();
            end = Stream.of(rejected, quarantined, gone)
                    .flatMap(Optional::stream)
                    .findFirst();
        }

        boolean isRedirected() {
            return redirected && !kept;
        }

        State state() {
            return new State(message.with(header), route, requireTls, scl, stopped);
        }

        /** The field on top, in the place of all of its name. */
        private static HeaderSection with(HeaderSection header, HeaderField field) {
            List<HeaderField> fields = new ArrayList<>();
            fields.add(field);
            header.fields().stream()
                    .filter(other -> !other.name().equalsIgnoreCase(field.name()))
                    .forEach(fields::add);
            return header.fields().equals(fields) ? header : header.with(fields);
        }
    }
}
