/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import javax.jms.Connection;
import javax.jms.ConnectionFactory;
import javax.jms.JMSException;
import javax.jms.Session;

/** A connection to the broker with its one session, for one thread at a time. */
abstract class Channel {
    private final Connection connection;
    private final Session session;

    Channel(ConnectionFactory connections, boolean transacted) throws JMSException {
        connection = connections.createConnection();
        try {
            session = connection.createSession(
                    transacted, transacted ? Session.SESSION_TRANSACTED : Session.AUTO_ACKNOWLEDGE);
            connection.start();
        } catch (JMSException e) {
            close();
            throw e;
        }
    }

    Session session() {
        return session;
    }

    /** What was received and not committed goes back into its queue. */
    final void close() {
        try {
            connection.close();
        } catch (JMSException e) {
            // an in-process connection that cannot be closed is gone already
        }
    }
}
