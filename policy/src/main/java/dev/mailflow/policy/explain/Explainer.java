/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.explain;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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
import dev.mailflow.policy.explain.Explanation.Action;
import dev.mailflow.policy.explain.Explanation.Location;
import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.header.InternalHeaderScreen;
import dev.mailflow.policy.inbound.ClientSession;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.Origin;
import dev.mailflow.policy.inbound.RecipientAdmission;
import dev.mailflow.policy.inbound.RecipientAdmission.Mailbox;
import dev.mailflow.policy.inbound.SmtpReply;

/**
 * The dry run: asks the same decisions, in the same order, that hooks and mailets ask for a real message, and writes
 * down what each said. Pure.
 */
public final class Explainer {
    private final MailFlowPolicy policy;
    private final Instant now;

    /** @param now the time at which the message is judged */
    public Explainer(MailFlowPolicy policy, Instant now) {
        this.policy = policy;
        this.now = now;
    }

    public Explanation explain(HypotheticalMessage message) {
        return message.session().isPresent()
                ? fromClient(message, message.session().get())
                : fromUser(message);
    }

    private Explanation fromUser(HypotheticalMessage message) {
        return judged(
                message,
                Origin.INTERNAL,
                Optional.empty(),
                ConnectionVerdict.Kind.NONE,
                Map.of(),
                true,
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
        return judged(
                message,
                attribution.origin(),
                attribution.connectorName(),
                verdict.kind(),
                headers,
                attribution.mayRelay(),
                reasons);
    }

    /** What becomes of a message that is not refused as a whole. */
    private Explanation judged(
            HypotheticalMessage message,
            Origin origin,
            Optional<String> connector,
            ConnectionVerdict.Kind verdict,
            Map<String, Optional<String>> marks,
            boolean mayRelay,
            List<String> reasons) {
        DryRewriting rewriting = new DryRewriting(policy, message, origin);
        List<Explanation.Recipient> recipients = message.recipients().stream()
                .map(recipient -> judge(message, rewriting, recipient, mayRelay))
                .toList();
        boolean leaves = recipients.stream().anyMatch(recipient -> recipient.action() == Action.RELAY);
        Map<String, Optional<String>> headers = new LinkedHashMap<>(marks);
        headers.putAll(rewriting.headers(leaves));
        return explanation(
                leaves ? rewriting.senderOutside() : message.sender(),
                origin,
                connector,
                verdict,
                headers,
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
                        location(message, recipient, recipient),
                        Action.REJECT,
                        Optional.of(reply),
                        reason))
                .toList();
        return explanation(message.sender(), origin, connector, verdict, Map.of(), recipients, reasons);
    }

    private Explanation explanation(
            Optional<MailAddress> envelopeFrom,
            Origin origin,
            Optional<String> connector,
            ConnectionVerdict.Kind verdict,
            Map<String, Optional<String>> headers,
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
                List.of(),
                recipients,
                reasons);
    }

    private Explanation.Recipient judge(
            HypotheticalMessage message, DryRewriting rewriting, MailAddress original, boolean mayRelay) {
        MailAddress recipient = rewriting.recipient(original);
        String why = rewriting.recipientReason(original);
        Mailbox mailbox = isUnknown(message, original, recipient) ? Mailbox.UNKNOWN : Mailbox.LOCAL;
        RecipientAdmission admission =
                RecipientAdmission.decide(policy.acceptedDomains(), mayRelay, recipient.getDomain(), mailbox);
        Location location = location(message, original, recipient);
        if (admission instanceof RecipientAdmission.Reject reject) {
            return stays(
                    original, recipient, location, Action.REJECT, Optional.of(reject.reply()), why + reject.reason());
        }
        if (admission instanceof RecipientAdmission.DeliverLocal local) {
            return stays(original, recipient, location, Action.DELIVER_LOCAL, Optional.empty(), why + local.reason());
        }
        return leaves(rewriting.senderOutside(), original, recipient, location, why + admission.reason());
    }

    private static boolean isUnknown(HypotheticalMessage message, MailAddress original, MailAddress rewritten) {
        return message.unknown().contains(original) || message.unknown().contains(rewritten);
    }

    private Location location(HypotheticalMessage message, MailAddress original, MailAddress recipient) {
        return policy.acceptedDomains()
                .find(recipient.getDomain())
                .map(domain -> switch (domain.type()) {
                    case EXTERNAL_RELAY -> Location.REMOTE;
                    case AUTHORITATIVE, INTERNAL_RELAY -> isUnknown(message, original, recipient)
                            ? Location.UNKNOWN
                            : Location.LOCAL;
                })
                .orElse(Location.REMOTE);
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
                reason);
    }

    private Explanation.Recipient leaves(
            Optional<MailAddress> sender, MailAddress original, MailAddress recipient, Location location, String why) {
        Route route = policy.outboundConnectors().choose(sender, recipient.getDomain());
        Optional<OutboundConnector> connector =
                route instanceof Route.Via via ? Optional.of(via.connector()) : Optional.empty();
        return new Explanation.Recipient(
                original,
                recipient,
                location,
                connector.map(OutboundConnector::name),
                connector.map(known -> nextHops(known, recipient.getDomain())).orElse(List.of()),
                connector.map(known -> known.tls().level()),
                connector.map(known -> known.tls().level().requiresTls()).orElse(false),
                Action.RELAY,
                Optional.empty(),
                why + "; " + route.reason() + (connector.isEmpty() ? "; the mail would wait" : ""));
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
