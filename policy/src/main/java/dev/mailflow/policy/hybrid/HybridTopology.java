/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.hybrid;

import java.util.List;
import java.util.Optional;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.connector.InboundAttribution;
import dev.mailflow.policy.connector.Route;
import dev.mailflow.policy.inbound.InboundFacts;

/**
 * One organization on two premises: some mailboxes of its domains are here, the others in the cloud (mail-flow behaviour,
 * section 7).
 *
 * @param sharedDomains the domains with mailboxes on both premises, as written; at least one; all are accepted domains
 * @param remoteRoutingDomain the domain under which the cloud knows its own mailboxes
 * @param inboundConnector the organization connector by which mail comes from the cloud
 * @param outboundConnector the organization connector by which mail goes to the cloud; it is for the remote routing domain
 * @param mx whom the MX records of the shared domains name
 * @param centralizedTransport whether the cloud hands all its mail to us, from and to the Internet
 * @param secureMail whether both cloud connectors demand TLS with named certificates
 * @param mailboxes who knows where a mailbox is
 */
public record HybridTopology(
        List<Domain> sharedDomains,
        Domain remoteRoutingDomain,
        String inboundConnector,
        String outboundConnector,
        MxPosition mx,
        boolean centralizedTransport,
        boolean secureMail,
        MailboxSource mailboxes,
        SourceLocation location) {

    /** Who receives the organization's mail from the Internet. */
    public enum MxPosition {
        ON_PREMISES("onPremises"),
        CLOUD("cloud");

        private final String xmlName;

        MxPosition(String xmlName) {
            this.xmlName = xmlName;
        }

        /** The word the policy file uses. */
        @Override
        public String toString() {
            return xmlName;
        }
    }

    public HybridTopology {
        sharedDomains = List.copyOf(sharedDomains);
        if (sharedDomains.isEmpty()) {
            throw new IllegalArgumentException("found no shared domain, expected at least one");
        }
    }

    public boolean isShared(Domain domain) {
        return sharedDomains.contains(domain);
    }

    /** Whether a transaction comes from the cloud: its session proved to be the peer of the cloud's connector. */
    public boolean isFromCloud(InboundAttribution attribution) {
        return attribution
                .organization()
                .filter(match -> match.connector().name().equals(inboundConnector))
                .isPresent();
    }

    /** Whether a mail came from the cloud. */
    public boolean isFromCloud(InboundFacts facts) {
        return facts.connector()
                .map(InboundFacts.Connector::name)
                .filter(inboundConnector::equals)
                .isPresent();
    }

    /**
     * Why mail that came from the cloud would go straight back to it; empty when it would not. The cloud gave us an address
     * that is not its own mailbox's as far as it knows: sent back unchanged, it would come again.
     *
     * @param sender envelope sender; empty: the null sender
     * @param recipient as the cloud gave it
     */
    public Optional<String> loop(
            MailFlowPolicy policy, Optional<MailAddress> sender, MailAddress recipient, RecipientLocation location) {
        if (location instanceof RecipientLocation.Local || !location.address().equals(recipient)) {
            return Optional.empty();
        }
        if (recipient.getDomain().equals(remoteRoutingDomain)) {
            return Optional.of("the cloud sends mail for its own remote routing address " + recipient
                    + " here, where it would go back unchanged");
        }
        Route route = policy.outboundConnectors().choose(sender, recipient.getDomain());
        return route instanceof Route.Via via && via.connector().name().equals(outboundConnector)
                ? Optional.of("the cloud sends mail for " + recipient + " here, and by " + via.reason()
                        + " it would go back by connector '" + outboundConnector + "' unchanged")
                : Optional.empty();
    }
}
