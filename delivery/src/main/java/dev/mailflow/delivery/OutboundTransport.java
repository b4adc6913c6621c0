/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

import java.util.concurrent.CompletionStage;

import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.TlsRequirement;

/**
 * Hands messages to next hops over SMTP. It tries once, now: when to try again and whom to tell is its caller's
 * business.
 */
public interface OutboundTransport extends AutoCloseable {

    /**
     * Sends one message by one connector. The recipients may fan out to several next hops (MX delivery). The content is read
     * on the caller's thread, which may block in it; nothing else does.
     *
     * @param effectiveTls the connector's requirement, or a stronger one that this message asks for
     * @return completes with an outcome for <em>every</em> recipient, in bounded time; never exceptionally for anything
     *     that a next hop, the network or the DNS does. Dependent actions may run on an I/O thread: they must not block.
     */
    CompletionStage<DeliveryReport> send(
            OutboundConnector connector, TlsRequirement effectiveTls, OutboundMessage message);

    /** Closes all connections. What is under way is deferred, save what its next hop has already answered. */
    @Override
    void close();
}
