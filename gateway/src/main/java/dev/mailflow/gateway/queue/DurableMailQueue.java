/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.time.ZoneOffset;
import java.util.Iterator;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Stream;

import javax.jms.JMSException;
import javax.jms.Message;
import javax.jms.ObjectMessage;
import javax.mail.MessagingException;

import org.apache.james.core.MailAddress;
import org.apache.james.metrics.api.GaugeRegistry;
import org.apache.james.metrics.api.MetricFactory;
import org.apache.james.queue.api.MailQueueItemDecoratorFactory;
import org.apache.james.queue.api.MailQueueName;
import org.apache.james.queue.jms.JMSCacheableMailQueue;
import org.apache.james.queue.jms.MimeMessageObjectMessageSource;
import org.apache.james.server.core.MailImpl;
import org.apache.james.server.core.MimeMessageInputStream;
import org.apache.james.server.core.MimeMessageWrapper;
import org.apache.mailet.Mail;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * A James mail queue in the {@link EmbeddedBroker}: a send returns when the mail is on disk, and a mail leaves the queue
 * when its processing is done and not before.
 *
 * <p>It differs from James's own ActiveMQ queue in four points. Envelope and content are one journal record, where James
 * puts the content into a file that it does not force to disk. Concurrent senders and receivers have a connection each,
 * so that the journal can write their records together, where James serialises them. Delayed mails wait in
 * {@link DelayedMails}, so that receiving needs no selector. And neither a failure to read one mail nor a pause of the
 * broker ends the stream of mails.
 */
final class DurableMailQueue extends JMSCacheableMailQueue {
    private static final Logger LOGGER = LoggerFactory.getLogger(DurableMailQueue.class);

    /** How long one receive waits; it bounds nothing but how often an idle queue looks around. */
    private static final Duration RECEIVE_WAIT = Duration.ofSeconds(10);

    private static final Duration PAUSE_AFTER_FAILURE = Duration.ofSeconds(1);

    private final String name;
    private final EmbeddedBroker broker;
    private final DelayedMails delayed;
    private final Channels<Sender> senders;
    private final Channels<Receiver> receivers;
    private volatile boolean dequeuing = true;

    DurableMailQueue(
            EmbeddedBroker broker,
            DelayedMails delayed,
            MailQueueItemDecoratorFactory decorators,
            MailQueueName queueName,
            MetricFactory metrics,
            GaugeRegistry gauges) {
        super(broker.connectionFactory(), decorators, queueName, metrics, gauges);
        this.name = queueName.asString();
        this.broker = broker;
        this.delayed = delayed;
        this.senders = new Channels<>(() -> new Sender(broker.connectionFactory(), name));
        this.receivers = new Channels<>(() -> new Receiver(broker.connectionFactory(), name));
    }

    @Override
    public void enQueue(Mail mail, Duration delay) throws MailQueueException {
        if (delay.isNegative() || delay.isZero()) {
            super.enQueue(mail, delay);
            return;
        }
        try {
            delayed.add(mail, delay);
            enqueuedMailsMetric.increment();
        } catch (IOException | MessagingException e) {
            throw new MailQueueException("Mail " + mail.getName() + " could not be kept for later in queue " + name, e);
        }
    }

    /** Moves the delayed mails whose time has come to the queue itself. */
    void releaseDelayed() {
        delayed.release(mail -> super.enQueue(mail, Duration.ZERO));
    }

    @Override
    protected void produceMail(Map<String, Object> properties, int priority, Mail mail)
            throws JMSException, MessagingException, IOException {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        // not writeTo(): that one reads the header anew and turns its 8-bit characters into question marks
        try (InputStream in = new MimeMessageInputStream(mail.getMessage())) {
            in.transferTo(content);
        }
        Sender sender = senders.borrow();
        try {
            sender.send(properties, priority, content.toByteArray());
        } catch (JMSException e) {
            sender.close();
            throw e;
        }
        senders.giveBack(sender);
    }

    @Override
    public Flux<MailQueueItem> deQueue() {
        return Mono.defer(this::next).repeat().doOnDiscard(MailQueueItem.class, DurableMailQueue::giveBack);
    }

    private static void giveBack(MailQueueItem unprocessed) {
        try {
            unprocessed.done(MailQueueItem.CompletionStatus.RETRY);
        } catch (MailQueueException e) {
            LOGGER.debug("event=queue-item-dropped", e);
        }
    }

    /** What the stream asks for from now on never comes; a mail just received goes back into the queue. */
    void stopDequeuing() {
        dequeuing = false;
    }

    /** One mail; or nothing, after a while or a failure, and then it is called again. */
    private Mono<MailQueueItem> next() {
        try {
            return dequeuing ? receive() : Mono.never();
        } catch (JMSException e) {
            if (!dequeuing || e.getCause() instanceof InterruptedException) {
                // the consumer of this stream is about to cancel it
                return Mono.never();
            }
            LOGGER.error(
                    "event=queue-unreadable queue={} reason=\"{}\" effect=\"tried again in {} s\"",
                    name,
                    e,
                    PAUSE_AFTER_FAILURE.toSeconds());
            return Mono.delay(PAUSE_AFTER_FAILURE).then(Mono.empty());
        }
    }

    private Mono<MailQueueItem> receive() throws JMSException {
        Receiver receiver = receivers.borrow();
        try {
            Optional<Message> message = receiver.receive(RECEIVE_WAIT);
            if (!dequeuing) {
                receiver.close();
                return Mono.never();
            }
            if (message.isPresent()) {
                dequeuedMailsMetric.increment();
                return Mono.justOrEmpty(item(receiver, message.get()));
            }
            receivers.giveBack(receiver);
            return Mono.empty();
        } catch (JMSException e) {
            receiver.close();
            throw e;
        }
    }

    private Optional<MailQueueItem> item(Receiver receiver, Message message) throws JMSException {
        try {
            MailQueueItem item = new Item(read(message), receiver);
            return Optional.of(mailQueueItemDecoratorFactory.decorate(item, getName()));
        } catch (MessagingException | RuntimeException e) {
            String unreadable = name + ".unreadable";
            receiver.moveTo(unreadable, message);
            receivers.giveBack(receiver);
            LOGGER.error(
                    "event=mail-unreadable queue={} message={} effect=\"moved to queue {}\"",
                    name,
                    message.getJMSMessageID(),
                    unreadable,
                    e);
            return Optional.empty();
        }
    }

    /** Not {@code createMail()}: that one copies the message, and its header loses the 8-bit characters on the way. */
    private Mail read(Message message) throws JMSException, MessagingException {
        MailImpl mail = populateMail(message).build();
        mail.setMessageNoCopy(new MimeMessageWrapper(new MimeMessageObjectMessageSource((ObjectMessage) message)));
        return mail;
    }

    private final class Item implements MailQueueItem {
        private final Mail mail;
        private final Receiver receiver;

        Item(Mail mail, Receiver receiver) {
            this.mail = mail;
            this.receiver = receiver;
        }

        @Override
        public Mail getMail() {
            return mail;
        }

        @Override
        public void done(CompletionStatus status) throws MailQueueException {
            if (status != CompletionStatus.SUCCESS) {
                // closing without a commit puts it back into the queue
                receiver.close();
                return;
            }
            try {
                receiver.commit();
            } catch (JMSException e) {
                receiver.close();
                throw new MailQueueException("Mail " + mail.getName() + " could not be removed from queue " + name, e);
            }
            receivers.giveBack(receiver);
        }
    }

    @Override
    public long getSize() throws MailQueueException {
        try {
            return broker.size(name) + delayed.size();
        } catch (Exception e) {
            throw new MailQueueException("The size of queue " + name + " cannot be read", e);
        }
    }

    @Override
    public long flush() {
        long hastened = delayed.hasten();
        releaseDelayed();
        return hastened;
    }

    @Override
    public long clear() throws MailQueueException {
        return super.clear() + removeDelayed(mail -> true);
    }

    @Override
    public long remove(Type type, String value) throws MailQueueException {
        // the value becomes a string of a JMS selector
        return super.remove(type, value.replace("'", "''")) + removeDelayed(matching(type, value));
    }

    private long removeDelayed(Predicate<Mail> condition) throws MailQueueException {
        try {
            return delayed.remove(condition);
        } catch (IOException | MessagingException e) {
            throw new MailQueueException("Delayed mails of queue " + name + " could not be removed", e);
        }
    }

    private static Predicate<Mail> matching(Type type, String value) {
        return switch (type) {
            case Name -> mail -> mail.getName().equals(value);
            case Sender -> mail -> mail.getMaybeSender().asString("").equals(value);
            case Recipient -> mail ->
                    mail.getRecipients().stream().map(MailAddress::asString).anyMatch(value::equals);
        };
    }

    @Override
    public MailQueueIterator browse() throws MailQueueException {
        MailQueueIterator ready = super.browse();
        Iterator<MailQueueItemView> waiting =
                delayed.list().stream().flatMap(DurableMailQueue::view).iterator();
        return new MailQueueIterator() {
            @Override
            public boolean hasNext() {
                return ready.hasNext() || waiting.hasNext();
            }

            @Override
            public MailQueueItemView next() {
                if (ready.hasNext()) {
                    return new DefaultMailQueueItemView(ready.next().getMail());
                }
                if (waiting.hasNext()) {
                    return waiting.next();
                }
                throw new NoSuchElementException();
            }

            @Override
            public void close() {
                ready.close();
            }
        };
    }

    private static Stream<MailQueueItemView> view(DelayedMails.Entry entry) {
        try {
            return entry.mail().stream()
                    .map(mail -> new DefaultMailQueueItemView(mail, entry.due().atZone(ZoneOffset.UTC)));
        } catch (IOException | MessagingException e) {
            LOGGER.warn(
                    "event=delayed-mail-unreadable file={} reason=\"{}\"",
                    entry.file().path(),
                    e.toString());
            return Stream.empty();
        }
    }

    @Override
    public void dispose() {
        stopDequeuing();
        senders.close();
        receivers.close();
        super.dispose();
    }
}
