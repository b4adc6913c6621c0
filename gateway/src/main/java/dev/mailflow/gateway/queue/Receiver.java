/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.time.Duration;
import java.util.Optional;

import javax.jms.ConnectionFactory;
import javax.jms.JMSException;
import javax.jms.Message;
import javax.jms.MessageConsumer;
import javax.jms.MessageProducer;

/** Takes messages out of one queue, one after the other, each gone only when it is committed. */
final class Receiver extends Channel {
    private final MessageConsumer consumer;

    Receiver(ConnectionFactory connections, String queue) throws JMSException {
        super(connections, true);
        consumer = session().createConsumer(session().createQueue(queue));
    }

    /** Empty when none came in that time. */
    Optional<Message> receive(Duration wait) throws JMSException {
        return Optional.ofNullable(consumer.receive(wait.toMillis()));
    }

    void commit() throws JMSException {
        session().commit();
    }

    /** Puts the message just received into another queue instead, and commits that. */
    void moveTo(String queue, Message message) throws JMSException {
        MessageProducer producer = session().createProducer(session().createQueue(queue));
        producer.send(message);
        producer.close();
        session().commit();
    }
}
