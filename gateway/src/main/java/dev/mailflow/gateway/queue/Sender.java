/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.util.Map;

import javax.jms.ConnectionFactory;
import javax.jms.JMSException;
import javax.jms.Message;
import javax.jms.MessageProducer;
import javax.jms.ObjectMessage;

/** Puts messages into one queue. */
final class Sender extends Channel {
    private final MessageProducer producer;

    Sender(ConnectionFactory connections, String queue) throws JMSException {
        super(connections, false);
        producer = session().createProducer(session().createQueue(queue));
    }

    /** Returns when the message is on disk. */
    void send(Map<String, Object> properties, int priority, byte[] content) throws JMSException {
        ObjectMessage message = session().createObjectMessage(content);
        for (Map.Entry<String, Object> property : properties.entrySet()) {
            message.setObjectProperty(property.getKey(), property.getValue());
        }
        producer.send(message, Message.DEFAULT_DELIVERY_MODE, priority, Message.DEFAULT_TIME_TO_LIVE);
    }
}
