/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.hybrid;

import java.util.List;

import org.apache.james.core.Domain;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.connector.InboundAttribution;
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
}
