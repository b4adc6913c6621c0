/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

import java.util.List;
import java.util.Optional;

import dev.mailflow.policy.inbound.Origin;
import dev.mailflow.policy.inbound.SmtpReply;

/**
 * Which connectors a session with a given envelope sender came through, and what follows from it.
 *
 * @param organization the connector that grants rights
 * @param partner the connector that restricts this sender domain, whether or not its restrictions were met
 * @param refusal present when the partner's restrictions were not met
 * @param authenticated whether the client is a user of ours, who may relay and is internal whatever the connectors
 * @param rejected organization connectors that nearly matched, each with the reason why not; for {@code explain} and
 *     the log
 */
public record InboundAttribution(
        Optional<Match> organization,
        Optional<Match> partner,
        Optional<Refusal> refusal,
        boolean authenticated,
        List<Match> rejected) {

    /**
     * A connector that applies.
     *
     * @param reason one clause for people
     */
    public record Match(InboundConnector connector, String reason) {}

    /**
     * Why the mail is refused.
     *
     * @param reply what the client is told
     * @param reason what the log and {@code explain} say: more than the client needs to know
     */
    public record Refusal(SmtpReply reply, String reason) {}

    public InboundAttribution {
        rejected = List.copyOf(rejected);
    }

    /** Through no connector, by nobody we know. */
    public static InboundAttribution none() {
        return new InboundAttribution(Optional.empty(), Optional.empty(), Optional.empty(), false, List.of());
    }

    /** The connector the mail is attributed to: organization before partner. */
    public Optional<InboundConnector> connector() {
        return organization.or(() -> partner).map(Match::connector);
    }

    public Optional<String> connectorName() {
        return connector().map(InboundConnector::name);
    }

    /** Why the mail is attributed to {@link #connector()}, or that it is to none. */
    public String reason() {
        return organization
                .or(() -> partner)
                .map(Match::reason)
                .orElse(authenticated ? "authenticated user" : "no inbound connector is for this session and sender");
    }

    /** Whether the client may send to domains that are not ours. */
    public boolean mayRelay() {
        return authenticated
                || organization.filter(match -> match.connector().relay()).isPresent();
    }

    /** Whether internal headers are promoted instead of removed; {@code XOORG} is honoured exactly then. */
    public boolean internalHeadersPreserved() {
        return organization
                .filter(match -> match.connector().internalHeaders() == InternalHeaders.PRESERVE)
                .isPresent();
    }

    /** {@link Origin#INTERNAL} only when the client is a user of ours or keeps internal status. */
    public Origin origin() {
        if (authenticated || internalHeadersPreserved()) {
            return Origin.INTERNAL;
        }
        return partner.isPresent() && refusal.isEmpty() ? Origin.PARTNER : Origin.INTERNET;
    }
}
