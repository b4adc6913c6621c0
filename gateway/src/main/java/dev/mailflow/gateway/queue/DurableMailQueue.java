/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

import javax.jms.JMSException;
import javax.jms.MessageProducer;
import javax.jms.ObjectMessage;
import javax.jms.Session;
import javax.mail.MessagingException;

import org.apache.james.metrics.api.GaugeRegistry;
import org.apache.james.metrics.api.MetricFactory;
import org.apache.james.queue.api.MailQueueItemDecoratorFactory;
import org.apache.james.queue.api.MailQueueName;
import org.apache.james.queue.jms.JMSCacheableMailQueue;
import org.apache.mailet.Mail;

/**
 * A James mail queue whose messages carry the whole mail, envelope and content, in one journal record.
 *
 * <p>James's own ActiveMQ queue puts the content into a file that it does not force to disk, so that a mail answered
 * with 250 could lose its body with the machine; and all its senders share one JMS session, so that they wait for the
 * disk one after the other. Here each concurrent sender has a connection of its own, and the journal writes their
 * records together.
 */
final class DurableMailQueue extends JMSCacheableMailQueue {
    private final EmbeddedBroker broker;
    private final Queue<Sender> idleSenders = new ConcurrentLinkedQueue<>();

    DurableMailQueue(
            EmbeddedBroker broker,
            MailQueueItemDecoratorFactory decorators,
            MailQueueName name,
            MetricFactory metrics,
            GaugeRegistry gauges) {
        super(broker.connectionFactory(), decorators, name, metrics, gauges);
        this.broker = broker;
    }

    @Override
    protected void produceMail(Map<String, Object> properties, int priority, Mail mail)
            throws JMSException, MessagingException, IOException {
        ByteArrayOutputStream content = new ByteArrayOutputStream((int) Math.max(mail.getMessageSize(), 1024));
        mail.getMessage().writeTo(content);
        Sender sender = borrow();
        try {
            sender.send(properties, priority, content.toByteArray());
        } catch (JMSException e) {
            sender.close();
            throw e;
        }
        idleSenders.add(sender);
    }

    private Sender borrow() throws JMSException {
        Sender idle = idleSenders.poll();
        return idle == null ? new Sender(broker, getName().asString()) : idle;
    }

    @Override
    public long getSize() throws MailQueueException {
        try {
            return broker.size(getName().asString());
        } catch (Exception e) {
            throw new MailQueueException("The size of queue " + getName().asString() + " cannot be read", e);
        }
    }

    @Override
    public void dispose() {
        for (Sender sender = idleSenders.poll(); sender != null; sender = idleSenders.poll()) {
            sender.close();
        }
        super.dispose();
    }

    /** One connection with its session and producer, used by one thread at a time. */
    private static final class Sender {
        private final javax.jms.Connection connection;
        private final Session session;
        private final MessageProducer producer;

        Sender(EmbeddedBroker broker, String queue) throws JMSException {
            connection = broker.connectionFactory().createConnection();
            try {
                session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
                producer = session.createProducer(session.createQueue(queue));
            } catch (JMSException e) {
                close();
                throw e;
            }
        }

        /** Returns when the message is on disk. */
        void send(Map<String, Object> properties, int priority, byte[] content) throws JMSException {
            ObjectMessage message = session.createObjectMessage(content);
            for (Map.Entry<String, Object> property : properties.entrySet()) {
                message.setObjectProperty(property.getKey(), property.getValue());
            }
            producer.send(
                    message,
                    javax.jms.Message.DEFAULT_DELIVERY_MODE,
                    priority,
                    javax.jms.Message.DEFAULT_TIME_TO_LIVE);
        }

        void close() {
            try {
                connection.close();
            } catch (JMSException e) {
                // an in-process connection that cannot be closed is gone already
            }
        }
    }
}
