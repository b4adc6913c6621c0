/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.explain;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Stream;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.connection.ConnectionVerdict;
import dev.mailflow.policy.connector.InboundAttribution;
import dev.mailflow.policy.connector.NextHops;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.Route;
import dev.mailflow.policy.connector.SmartHost;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import dev.mailflow.policy.explain.Explanation.Action;
import dev.mailflow.policy.explain.Explanation.Location;
import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.header.InternalHeaderScreen;
import dev.mailflow.policy.hybrid.DirectoryUnavailableException;
import dev.mailflow.policy.hybrid.MailboxDirectory;
import dev.mailflow.policy.hybrid.MailboxPlace;
import dev.mailflow.policy.hybrid.RecipientLocation;
import dev.mailflow.policy.inbound.ClientSession;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.Origin;
import dev.mailflow.policy.inbound.RecipientAdmission;
import dev.mailflow.policy.inbound.SmtpReply;
import dev.mailflow.policy.rule.RuleOutcome;

/**
 * The dry run: asks the same decisions, in the same order, that hooks and mailets ask for a real message, and writes
 * down what each said. Pure.
 */
public final class Explainer {
    private final MailFlowPolicy policy;
    private final Instant now;
    private final MailboxDirectory mailboxes;
    private final Function<MailAddress, Optional<String>> assumptions;

    /**
     * Without a running gateway: of mailboxes it knows what the policy's own files say.
     *
     * @param now the time at which the message is judged
     */
    public Explainer(MailFlowPolicy policy, Instant now) {
        this(policy, now, new OfflineMailboxes(policy), new OfflineMailboxes(policy)::assumption);
    }

    /** @param mailboxes asked for recipients of accepted domains */
    public Explainer(MailFlowPolicy policy, Instant now, MailboxDirectory mailboxes) {
        this(policy, now, mailboxes, address -> Optional.empty());
    }

    private Explainer(
            MailFlowPolicy policy,
            Instant now,
            MailboxDirectory mailboxes,
            Function<MailAddress, Optional<String>> assumptions) {
        this.policy = policy;
        this.now = now;
        this.mailboxes = mailboxes;
        this.assumptions = assumptions;
    }

    public Explanation explain(HypotheticalMessage message) {
        return message.session().isPresent()
                ? fromClient(message, message.session().get())
                : fromUser(message);
    }

    private Explanation fromUser(HypotheticalMessage message) {
        return judged(
                message,
                DryRules.section(message),
                Optional.empty(),
                Origin.INTERNAL,
                Optional.empty(),
                ConnectionVerdict.Kind.NONE,
                Map.of(),
                true,
                false,
                List.of("from an authenticated user"));
    }

    private Explanation fromClient(HypotheticalMessage message, ClientSession session) {
        Optional<Domain> senderDomain = message.sender().map(MailAddress::getDomain);
        ConnectionVerdict verdict = policy.connectionFilter().verdict(session.clientIp(), senderDomain, now);
        List<String> reasons = new ArrayList<>();
        reasons.add("connection filter: " + verdict.reason());
        if (verdict.kind() == ConnectionVerdict.Kind.BLOCK) {
            return refused(
                    message,
                    SmtpReply.blockedByConnectionFilter(session.clientIp()),
                    Origin.INTERNET,
                    Optional.empty(),
                    verdict.kind(),
                    verdict.reason(),
                    reasons);
        }
        InboundAttribution attribution = policy.inboundConnectors().attribute(session, senderDomain, now);
        reasons.add("inbound connector: " + attribution.reason());
        attribution
                .rejected()
                .forEach(match ->
                        reasons.add("inbound connector " + match.connector().name() + " is not it: " + match.reason()));
        if (attribution.refusal().isPresent()) {
            InboundAttribution.Refusal refusal = attribution.refusal().get();
            reasons.add(refusal.reason());
            return refused(
                    message,
                    refusal.reply(),
                    attribution.origin(),
                    attribution.connectorName(),
                    verdict.kind(),
                    refusal.reason(),
                    reasons);
        }
        Map<String, Optional<String>> headers = screened(message, attribution.internalHeadersPreserved());
        headers.put(
                InboundFacts.VERDICT_HEADER,
                Optional.of(InboundFacts.verdictHeader(session.clientIp(), verdict.kind())));
        HeaderSection arriving = InternalHeaderScreen.onArrival(
                        DryRules.section(message), attribution.internalHeadersPreserved())
                .section();
        return judged(
                message,
                arriving,
                Optional.of(InboundFacts.of(session, attribution, verdict, now)),
                attribution.origin(),
                attribution.connectorName(),
                verdict.kind(),
                headers,
                attribution.mayRelay(),
                policy.hybrid()
                        .filter(hybrid -> hybrid.isFromCloud(attribution))
                        .isPresent(),
                reasons);
    }

    /** What becomes of a message that is not refused as a whole. */
    private Explanation judged(
            HypotheticalMessage message,
            HeaderSection arriving,
            Optional<InboundFacts> facts,
            Origin origin,
            Optional<String> connector,
            ConnectionVerdict.Kind verdict,
            Map<String, Optional<String>> marks,
            boolean mayRelay,
            boolean fromCloud,
            List<String> reasons) {
        DryRewriting rewriting = new DryRewriting(policy, message, arriving, origin);
        DryRules rules = new DryRules(policy, message, rewriting, marks, facts, origin, now);
        List<Explanation.Recipient> recipients = message.recipients().stream()
                .flatMap(recipient -> judge(message, rewriting, rules, recipient, mayRelay, fromCloud).stream())
                // those whom rules add come last, so that programs find the others where they asked for them
                .sorted(Comparator.comparing(fate -> !message.recipients().contains(fate.original())))
                .toList();
        boolean leaves = recipients.stream()
                .anyMatch(recipient -> recipient.action() == Action.RELAY
                        || recipient.connector().isPresent());
        rewriting.depart(rules.ruled());
        Map<String, Optional<String>> headers = new LinkedHashMap<>(marks);
        Map<String, Optional<String>> edited = rules.editedHeaders();
        headers.putAll(edited);
        rewriting.headers(leaves).forEach((name, value) -> {
            if (!edited.containsKey(name) || rewriting.changesOnDeparture(name)) {
                headers.put(name, value);
            }
        });
        return explanation(
                leaves ? rewriting.senderOutside() : message.sender(),
                origin,
                connector,
                verdict,
                headers,
                rules.hits(),
                rules.trials(),
                recipients,
                Stream.concat(reasons.stream(), rewriting.reasons(leaves).stream())
                        .toList());
    }

    /** What the header firewall changes on arrival. */
    private static Map<String, Optional<String>> screened(HypotheticalMessage message, boolean preserved) {
        Map<String, Optional<String>> changed = new LinkedHashMap<>();
        for (HypotheticalMessage.HeaderField field : message.header()) {
            HeaderSection before = new HeaderSection(List.of(HeaderField.of(field.name(), field.value())), "\r\n");
            HeaderSection after =
                    InternalHeaderScreen.onArrival(before, preserved).section();
            if (!after.equals(before)) {
                changed.putIfAbsent(field.name(), Optional.empty());
                after.fields().forEach(promoted -> changed.put(promoted.name(), Optional.of(field.value())));
            }
        }
        return changed;
    }

    private Explanation refused(
            HypotheticalMessage message,
            SmtpReply reply,
            Origin origin,
            Optional<String> connector,
            ConnectionVerdict.Kind verdict,
            String reason,
            List<String> reasons) {
        List<Explanation.Recipient> recipients = message.recipients().stream()
                .map(recipient -> stays(
                        recipient,
                        recipient,
                        locationIfKnown(message, recipient),
                        Action.REJECT,
                        Optional.of(reply),
                        reason))
                .toList();
        return explanation(
                message.sender(), origin, connector, verdict, Map.of(), List.of(), List.of(), recipients, reasons);
    }

    private Explanation explanation(
            Optional<MailAddress> envelopeFrom,
            Origin origin,
            Optional<String> connector,
            ConnectionVerdict.Kind verdict,
            Map<String, Optional<String>> headers,
            List<String> rules,
            List<Explanation.RuleTrial> ruleTrials,
            List<Explanation.Recipient> recipients,
            List<String> reasons) {
        boolean anyAccepted = recipients.stream().anyMatch(recipient -> recipient.action() != Action.REJECT);
        return new Explanation(
                anyAccepted ? Optional.empty() : recipients.get(0).smtpReply(),
                origin,
                connector,
                verdict,
                envelopeFrom,
                headers,
                rules,
                ruleTrials,
                recipients.stream()
                        .map(recipient -> recipient.location() == Location.LOCAL
                                ? recipient.assuming(assumptions.apply(recipient.rewritten()))
                                : recipient)
                        .toList(),
                reasons);
    }

    /** The recipient's fate, and that of those whom transport rules add on its account. */
    private List<Explanation.Recipient> judge(
            HypotheticalMessage message,
            DryRewriting rewriting,
            DryRules rules,
            MailAddress original,
            boolean mayRelay,
            boolean fromCloud) {
        MailAddress recipient = rewriting.recipient(original);
        String why = rewriting.recipientReason(original);
        RecipientLocation found;
        try {
            found = locate(message, original, recipient);
        } catch (DirectoryUnavailableException e) {
            return List.of(stays(
                    original,
                    recipient,
                    Location.UNKNOWN,
                    Action.REJECT,
                    Optional.of(SmtpReply.recipientNotVerifiable()),
                    why + e.getMessage()));
        }
        Location location = location(found);
        RecipientAdmission admission = RecipientAdmission.decide(
                policy, new RecipientAdmission.Client(mayRelay, fromCloud, message.sender()), recipient, found);
        if (admission instanceof RecipientAdmission.Reject reject) {
            return List.of(stays(
                    original, recipient, location, Action.REJECT, Optional.of(reject.reply()), why + reject.reason()));
        }
        RuleOutcome outcome = rules.apply(recipient);
        if (outcome.deferral().isPresent()) {
            String waits = "waits: transport rule '"
                    + outcome.deferral().get().rule().name() + "' failed: "
                    + outcome.deferral().get().reason() + "; then ";
            return List.of(goesOn(
                    message,
                    rewriting,
                    original,
                    recipient,
                    Optional.empty(),
                    Optional.empty(),
                    fromCloud,
                    why + waits));
        }
        List<Explanation.Recipient> fates = new ArrayList<>();
        boolean ended = false;
        for (RuleOutcome.Share share : outcome.shares()) {
            if (!share.continues()) {
                ended = true;
                fates.add(ended(original, recipient, location, share.disposition(), why));
            }
        }
        boolean redirected = !ended
                && outcome.shares().stream()
                        .noneMatch(share -> share.recipients().contains(recipient));
        for (RuleOutcome.Share share : outcome.shares()) {
            for (MailAddress goesOn : share.continues() ? share.recipients() : List.<MailAddress>of()) {
                if (goesOn.equals(recipient)) {
                    fates.add(goesOn(
                            message,
                            rewriting,
                            original,
                            recipient,
                            Optional.of(share),
                            Optional.empty(),
                            fromCloud,
                            why));
                } else if (redirected) {
                    redirected = false;
                    fates.add(goesOn(
                            message,
                            rewriting,
                            original,
                            goesOn,
                            Optional.of(share),
                            Optional.of(Action.REDIRECT),
                            fromCloud,
                            why + "redirected by a transport rule; "));
                } else if (rules.addsFirst(goesOn)) {
                    fates.add(goesOn(
                            message,
                            rewriting,
                            goesOn,
                            goesOn,
                            Optional.of(share),
                            Optional.empty(),
                            fromCloud,
                            "added by a transport rule; "));
                }
            }
        }
        return fates;
    }

    private static Explanation.Recipient ended(
            MailAddress original,
            MailAddress recipient,
            Location location,
            RuleOutcome.Disposition disposition,
            String why) {
        if (disposition instanceof RuleOutcome.Disposition.Reject reject) {
            return stays(
                    original,
                    recipient,
                    location,
                    Action.REJECT,
                    Optional.of(SmtpReply.rejectedByRule(reject.reason())),
                    why + "rejected by transport rule '" + reject.rule() + "'"
                            + (reject.atSmtp() ? "" : ", in a report to the sender after the message was accepted"));
        }
        String how = disposition instanceof RuleOutcome.Disposition.Quarantine quarantine
                ? "quarantined in '" + quarantine.repository() + "' by transport rule '" + quarantine.rule() + "'"
                : "discarded by transport rule '" + ((RuleOutcome.Disposition.Discard) disposition).rule() + "'";
        return stays(original, recipient, location, Action.DISCARD, Optional.empty(), why + how);
    }

    /** @param action what it is called, when not after where it goes */
    private Explanation.Recipient goesOn(
            HypotheticalMessage message,
            DryRewriting rewriting,
            MailAddress original,
            MailAddress recipient,
            Optional<RuleOutcome.Share> share,
            Optional<Action> action,
            boolean fromCloud,
            String why) {
        RecipientLocation found;
        try {
            found = locate(message, original, recipient);
        } catch (DirectoryUnavailableException e) {
            return stays(
                    original,
                    recipient,
                    Location.UNKNOWN,
                    action.orElse(Action.RELAY),
                    Optional.empty(),
                    why + "waits: " + e.getMessage());
        }
        Location location = location(found);
        RecipientAdmission admission = RecipientAdmission.decide(
                policy, new RecipientAdmission.Client(true, fromCloud, message.sender()), recipient, found);
        if (admission instanceof RecipientAdmission.Reject reject
                && reject.reply().equals(SmtpReply.routingLoop())) {
            return stays(
                    original, recipient, location, Action.REJECT, Optional.of(reject.reply()), why + reject.reason());
        }
        Optional<RuleOutcome.RuledRoute> ruled = share.flatMap(RuleOutcome.Share::route);
        if (ruled.isEmpty() && admission instanceof RecipientAdmission.DeliverLocal local) {
            return stays(
                    original,
                    found.address(),
                    location,
                    action.orElse(Action.DELIVER_LOCAL),
                    Optional.empty(),
                    why + local.reason());
        }
        Route route = ruled.map(named ->
                        policy.outboundConnectors().named(named.connector(), "transport rule '" + named.rule() + "'"))
                .orElseGet(() -> policy.outboundConnectors()
                        .choose(rewriting.senderOutside(), found.address().getDomain()));
        return leaves(
                route,
                share.map(RuleOutcome.Share::requireTls).orElse(false),
                original,
                found.address(),
                location,
                action.orElse(Action.RELAY),
                why + admission.reason());
    }

    private RecipientLocation locate(HypotheticalMessage message, MailAddress original, MailAddress recipient)
            throws DirectoryUnavailableException {
        return RecipientLocation.of(policy, recipient, address -> {
            boolean unknown = message.unknown().contains(address)
                    || (address.equals(recipient) && message.unknown().contains(original));
            MailboxPlace place = mailboxes.find(address);
            return unknown && !(place instanceof MailboxPlace.Away)
                    ? new MailboxPlace.Nowhere("said to have no mailbox here")
                    : place;
        });
    }

    private static Location location(RecipientLocation location) {
        if (location instanceof RecipientLocation.Local) {
            return Location.LOCAL;
        }
        if (location instanceof RecipientLocation.Cloud) {
            return Location.CLOUD;
        }
        return location instanceof RecipientLocation.Remote ? Location.REMOTE : Location.UNKNOWN;
    }

    /** For a recipient of whom nothing depends on it any more. */
    private Location locationIfKnown(HypotheticalMessage message, MailAddress recipient) {
        try {
            return location(locate(message, recipient, recipient));
        } catch (DirectoryUnavailableException e) {
            return Location.UNKNOWN;
        }
    }

    private static Explanation.Recipient stays(
            MailAddress original,
            MailAddress rewritten,
            Location location,
            Action action,
            Optional<SmtpReply> reply,
            String reason) {
        return new Explanation.Recipient(
                original,
                rewritten,
                location,
                Optional.empty(),
                List.of(),
                Optional.empty(),
                false,
                action,
                reply,
                reason,
                Optional.empty());
    }

    private static Explanation.Recipient leaves(
            Route route,
            boolean ruledTls,
            MailAddress original,
            MailAddress recipient,
            Location location,
            Action action,
            String why) {
        Optional<OutboundConnector> connector =
                route instanceof Route.Via via ? Optional.of(via.connector()) : Optional.empty();
        Optional<TlsLevel> tls = connector
                .map(OutboundConnector::tls)
                .map(requirement -> ruledTls ? requirement.atLeastEncrypt() : requirement)
                .map(TlsRequirement::level);
        return new Explanation.Recipient(
                original,
                recipient,
                location,
                connector.map(OutboundConnector::name),
                connector.map(known -> nextHops(known, recipient.getDomain())).orElse(List.of()),
                tls,
                ruledTls || tls.map(TlsLevel::requiresTls).orElse(false),
                action,
                Optional.empty(),
                why + "; " + route.reason() + (ruledTls ? "; a transport rule requires TLS" : "")
                        + (connector.isEmpty() ? "; the mail would wait" : ""),
                Optional.empty());
    }

    private static List<String> nextHops(OutboundConnector connector, Domain recipientDomain) {
        return connector.nextHops() instanceof NextHops.SmartHosts smartHosts
                ? smartHosts.hosts().stream()
                        .sorted(Comparator.comparingInt(SmartHost::priority)
                                .thenComparing(Comparator.comparingInt(SmartHost::weight)
                                        .reversed()))
                        .map(SmartHost::toString)
                        .toList()
                : List.of("mx:" + recipientDomain.asString());
    }
}
