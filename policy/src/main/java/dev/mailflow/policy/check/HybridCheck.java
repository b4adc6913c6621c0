/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.check;

import java.util.function.Consumer;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.connector.InboundConnector;
import dev.mailflow.policy.connector.InternalHeaders;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.hybrid.HybridTopology;
import dev.mailflow.policy.hybrid.HybridTopology.MxPosition;
import dev.mailflow.policy.hybrid.MailboxSource;

/** Whether the connectors of a hybrid policy can carry out what its topology promises. */
final class HybridCheck {
    private final MailFlowPolicy policy;
    private final Consumer<PolicyProblem> problems;

    HybridCheck(MailFlowPolicy policy, Consumer<PolicyProblem> problems) {
        this.policy = policy;
        this.problems = problems;
    }

    void run() {
        policy.hybrid().ifPresent(hybrid -> {
            policy.inboundConnectors()
                    .find(hybrid.inboundConnector())
                    .ifPresent(connector -> inbound(hybrid, connector));
            policy.outboundConnectors()
                    .find(hybrid.outboundConnector())
                    .ifPresent(connector -> outbound(hybrid, connector));
            mailboxes(hybrid);
        });
    }

    private void inbound(HybridTopology hybrid, InboundConnector connector) {
        String name = "inbound connector '" + connector.name() + "' of the cloud ";
        boolean internetComesByIt = hybrid.centralizedTransport() || hybrid.mx() == MxPosition.CLOUD;
        if (hybrid.centralizedTransport() && !connector.relay()) {
            error(
                    connector.location(),
                    name
                            + "may not relay, but with centralizedTransport the cloud sends mail for the Internet through it;"
                            + " set relay to true");
        }
        if (internetComesByIt && !connector.senderDomains().isEmpty()) {
            error(
                    connector.location(),
                    name + "is for the sender domains " + connector.senderDomains()
                            + " only, but with mx " + hybrid.mx()
                            + (hybrid.centralizedTransport() ? " and centralizedTransport" : "")
                            + " mail of every sender comes through it; remove senderDomain");
        }
        if (connector.internalHeaders() == InternalHeaders.STRIP) {
            warning(
                    connector.location(),
                    name + "strips internal headers: mail between the premises is not seen as internal; set"
                            + " internalHeaders to preserve");
        }
    }

    private void outbound(HybridTopology hybrid, OutboundConnector connector) {
        String name = "outbound connector '" + connector.name() + "' of the cloud ";
        if (hybrid.centralizedTransport() && connector.recipientDomains().contains(DomainPattern.ANY)) {
            error(
                    connector.location(),
                    name
                            + "is for every domain (recipientDomain *), but with centralizedTransport the cloud sends its mail"
                            + " for the Internet here: it would go back and be refused as a routing loop; send it by MX, or"
                            + " set centralizedTransport to false");
        }
        hybrid.sharedDomains().stream()
                .filter(domain -> connector.recipientDomains().contains(DomainPattern.parse(domain.asString())))
                .forEach(domain -> error(
                        connector.location(),
                        name + "is for the shared domain " + domain.asString()
                                + ": mail for it would go there under an address that the cloud may send back;"
                                + " only the remote routing domain belongs there"));
        if (connector.internalHeaders() == InternalHeaders.STRIP) {
            warning(
                    connector.location(),
                    name + "strips internal headers: the cloud does not see mail from here as internal; set"
                            + " internalHeaders to preserve");
        }
        if (hybrid.secureMail() && connector.tls().clientCertificate().isEmpty()) {
            warning(
                    connector.location(),
                    name
                            + "presents no certificate: with secureMail the cloud knows us by one; add <clientCertificate> to"
                            + " its <tls>");
        }
    }

    private void mailboxes(HybridTopology hybrid) {
        if (hybrid.mailboxes() instanceof MailboxSource.ListFile file) {
            file.list().entries().forEach((address, entry) -> {
                if (!hybrid.isShared(address.getDomain())) {
                    warning(
                            new SourceLocation(file.list().source(), entry.line()),
                            address + " has no effect: " + address.getDomain().asString() + " is not a shared domain");
                }
            });
        }
    }

    private void error(SourceLocation location, String message) {
        problems.accept(PolicyProblem.error(location, message));
    }

    private void warning(SourceLocation location, String message) {
        problems.accept(PolicyProblem.warning(location, message));
    }
}
