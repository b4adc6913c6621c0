/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy;

import java.time.Instant;
import java.util.Optional;

import dev.mailflow.policy.connection.ConnectionFilter;
import dev.mailflow.policy.connector.InboundConnectors;
import dev.mailflow.policy.connector.OutboundConnectors;
import dev.mailflow.policy.domain.AcceptedDomains;
import dev.mailflow.policy.hybrid.HybridTopology;
import dev.mailflow.policy.rewrite.AddressRewriteTable;
import dev.mailflow.policy.rule.TransportRules;

/**
 * One immutable, compiled snapshot of the whole mail-flow policy. A message is judged by snapshots, never by
 * half-reloaded state: take {@link PolicyRepository#current()} once per step and ask only that.
 *
 * @param version short content digest of the policy file and of every file it names; the same content has the same version
 * @param source where the snapshot came from, for people: a file path or a store's name
 * @param loadedAt when this snapshot was compiled
 * @param hybrid empty: all our mailboxes are here
 */
public record MailFlowPolicy(
        String version,
        String source,
        Instant loadedAt,
        AcceptedDomains acceptedDomains,
        ConnectionFilter connectionFilter,
        InboundConnectors inboundConnectors,
        OutboundConnectors outboundConnectors,
        AddressRewriteTable addressRewrite,
        TransportRules transportRules,
        Optional<HybridTopology> hybrid) {

    /** The policy that says nothing: no accepted domain, no entry, and the implied Internet connector only. */
    public static MailFlowPolicy empty(String source, Instant loadedAt) {
        return new MailFlowPolicy(
                "empty",
                source,
                loadedAt,
                AcceptedDomains.none(),
                ConnectionFilter.none(),
                InboundConnectors.none(),
                OutboundConnectors.none(),
                AddressRewriteTable.none(),
                TransportRules.none(),
                Optional.empty());
    }

    /** This policy with other accepted domains. */
    public MailFlowPolicy accepting(AcceptedDomains domains) {
        return new MailFlowPolicy(
                version,
                source,
                loadedAt,
                domains,
                connectionFilter,
                inboundConnectors,
                outboundConnectors,
                addressRewrite,
                transportRules,
                hybrid);
    }
}
