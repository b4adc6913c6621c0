/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.explain;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

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
        List<Explanation.Recipient> recipients = message.recipients().stream()
                .map(recipient -> judge(message, recipient, true))
                .toList();
        return explanation(
                message,
                Origin.INTERNAL,
                Optional.empty(),
                ConnectionVerdict.Kind.NONE,
                Map.of(),
                recipients,
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
        List<Explanation.Recipient> recipients = message.recipients().stream()
                .map(recipient -> judge(message, recipient, attribution.mayRelay()))
                .toList();
        Map<String, Optional<String>> headers = new LinkedHashMap<>();
        headers.put(
                InboundFacts.VERDICT_HEADER,
                Optional.of(InboundFacts.verdictHeader(session.clientIp(), verdict.kind())));
        return explanation(
                message,
                attribution.origin(),
                attribution.connectorName(),
                verdict.kind(),
                headers,
                recipients,
                reasons);
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
                .map(recipient ->
                        stays(recipient, location(message, recipient), Action.REJECT, Optional.of(reply), reason))
                .toList();
        return explanation(message, origin, connector, verdict, Map.of(), recipients, reasons);
    }

    private Explanation explanation(
            HypotheticalMessage message,
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
                message.sender(),
                headers,
                List.of(),
                recipients,
                reasons);
    }

    private Explanation.Recipient judge(HypotheticalMessage message, MailAddress recipient, boolean mayRelay) {
        Mailbox mailbox = message.unknown().contains(recipient) ? Mailbox.UNKNOWN : Mailbox.LOCAL;
        RecipientAdmission admission =
                RecipientAdmission.decide(policy.acceptedDomains(), mayRelay, recipient.getDomain(), mailbox);
        Location location = location(message, recipient);
        if (admission instanceof RecipientAdmission.Reject reject) {
            return stays(recipient, location, Action.REJECT, Optional.of(reject.reply()), reject.reason());
        }
        if (admission instanceof RecipientAdmission.DeliverLocal local) {
            return stays(recipient, location, Action.DELIVER_LOCAL, Optional.empty(), local.reason());
        }
        return leaves(message, recipient, location, admission.reason());
    }

    private Location location(HypotheticalMessage message, MailAddress recipient) {
        return policy.acceptedDomains()
                .find(recipient.getDomain())
                .map(domain -> switch (domain.type()) {
                    case EXTERNAL_RELAY -> Location.REMOTE;
                    case AUTHORITATIVE, INTERNAL_RELAY -> message.unknown().contains(recipient)
                            ? Location.UNKNOWN
                            : Location.LOCAL;
                })
                .orElse(Location.REMOTE);
    }

    private static Explanation.Recipient stays(
            MailAddress recipient, Location location, Action action, Optional<SmtpReply> reply, String reason) {
        return new Explanation.Recipient(
                recipient,
                recipient,
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
            HypotheticalMessage message, MailAddress recipient, Location location, String why) {
        Route route = policy.outboundConnectors().choose(message.sender(), recipient.getDomain());
        Optional<OutboundConnector> connector =
                route instanceof Route.Via via ? Optional.of(via.connector()) : Optional.empty();
        return new Explanation.Recipient(
                recipient,
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
