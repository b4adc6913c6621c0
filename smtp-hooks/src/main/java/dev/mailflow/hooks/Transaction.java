/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.time.Instant;
import java.util.Optional;

import org.apache.james.core.MailAddress;
import org.apache.james.core.MaybeSender;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.connection.ConnectionVerdict;
import dev.mailflow.policy.connector.InboundAttribution;
import dev.mailflow.policy.inbound.ClientSession;
import dev.mailflow.policy.inbound.InboundFacts;

/**
 * One mail transaction as the door judges it, from MAIL to the end of DATA: by one policy snapshot, at one instant, so
 * that all hooks agree whatever is reloaded meanwhile. Belongs to one session, which is served by one thread at a time.
 */
final class Transaction {
    private final MailFlowPolicy policy;
    private final ClientSession client;
    private final MaybeSender sender;
    private final Instant at;
    private final ConnectionVerdict verdict;
    // a client that is blocked must not cost us a PKIX validation
    private Optional<InboundAttribution> attribution = Optional.empty();

    Transaction(MailFlowPolicy policy, ClientSession client, MaybeSender sender, Instant at) {
        this.policy = policy;
        this.client = client;
        this.sender = sender;
        this.at = at;
        this.verdict = policy.connectionFilter()
                .verdict(client.clientIp(), sender.asOptional().map(MailAddress::getDomain), at);
    }

    MailFlowPolicy policy() {
        return policy;
    }

    ClientSession client() {
        return client;
    }

    ConnectionVerdict verdict() {
        return verdict;
    }

    InboundAttribution attribution() {
        if (attribution.isEmpty()) {
            attribution = Optional.of(policy.inboundConnectors()
                    .attribute(client, sender.asOptional().map(MailAddress::getDomain), at));
        }
        return attribution.get();
    }

    /** What travels on the mail, but for the client's name. */
    InboundFacts facts() {
        return InboundFacts.of(client, attribution(), verdict, at);
    }

    /** The envelope sender for people. */
    String senderText() {
        return sender.asString("<>");
    }
}
