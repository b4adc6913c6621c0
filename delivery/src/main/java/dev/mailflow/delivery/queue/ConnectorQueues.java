/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import java.util.Collection;
import java.util.List;
import java.util.Optional;

import org.apache.james.queue.api.MailQueueName;

/** The names of the outgoing queues: one per outbound connector, {@code mailflow-<connector>}. */
public final class ConnectorQueues {
    private static final String PREFIX = "mailflow-";

    private ConnectorQueues() {}

    /** The queue of a connector. */
    public static MailQueueName of(String connector) {
        return MailQueueName.of(PREFIX + connector);
    }

    /** The connector of a queue; empty: it is somebody else's queue. */
    public static Optional<String> connectorOf(MailQueueName queue) {
        return queue.asString().startsWith(PREFIX)
                ? Optional.of(queue.asString().substring(PREFIX.length()))
                : Optional.empty();
    }

    /** The connectors that have a queue among these. */
    static List<String> connectorsOf(Collection<MailQueueName> queues) {
        return queues.stream()
                .map(ConnectorQueues::connectorOf)
                .flatMap(Optional::stream)
                .toList();
    }
}
