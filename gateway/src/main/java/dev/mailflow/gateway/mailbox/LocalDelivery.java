/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.mailbox;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

import javax.mail.MessagingException;

import org.apache.james.core.MailAddress;
import org.apache.james.mailbox.MailboxManager;
import org.apache.james.metrics.api.MetricFactory;
import org.apache.james.transport.mailets.delivery.MailDispatcher;
import org.apache.james.transport.mailets.delivery.MailStore;
import org.apache.james.transport.mailets.delivery.MailboxAppenderImpl;
import org.apache.james.transport.mailets.delivery.SimpleMailStore;
import org.apache.james.user.api.UsersRepository;
import org.apache.mailet.Mail;
import org.apache.mailet.base.GenericMailet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.inject.Inject;

import dev.mailflow.delivery.queue.DeliveryService;
import reactor.core.publisher.Mono;

/**
 * James's {@code LocalDelivery}, which puts mail into inboxes, and tells senders who asked for it ({@code NOTIFY=SUCCESS},
 * RFC 3461) that it is there: of those recipients in whose inbox it is, in one report.
 *
 * <pre>{@code
 * <mailet match="RecipientIsLocal" class="dev.mailflow.gateway.mailbox.LocalDelivery">
 *   <consume>true</consume>                     <!-- default true: the mail ends here -->
 *   <onMailetException>error</onMailetException><!-- default: the processor for recipients whose inbox took nothing -->
 * </mailet>
 * }</pre>
 *
 * <p>A report that cannot be queued is an {@code event=confirmation-lost} line: the mail is delivered, and must not be again.
 */
public final class LocalDelivery extends GenericMailet {
    private static final Logger LOGGER = LoggerFactory.getLogger(LocalDelivery.class);

    private final UsersRepository users;
    private final MailboxManager mailboxes;
    private final MetricFactory metrics;
    private final DeliveryService delivery;

    private MailStore inboxes;
    private boolean consume;
    private String onMailetException;

    @Inject
    LocalDelivery(UsersRepository users, MailboxManager mailboxes, MetricFactory metrics, DeliveryService delivery) {
        this.users = users;
        this.mailboxes = mailboxes;
        this.metrics = metrics;
        this.delivery = delivery;
    }

    @Override
    public void init() {
        inboxes = SimpleMailStore.builder()
                .mailboxAppender(new MailboxAppenderImpl(mailboxes))
                .usersRepository(users)
                .folder("INBOX")
                .metric(metrics.generate(
                        org.apache.james.transport.mailets.LocalDelivery.LOCAL_DELIVERED_MAILS_METRIC_NAME))
                .build();
        consume = getInitParameter("consume", true);
        onMailetException = getInitParameter("onMailetException", Mail.ERROR);
    }

    @Override
    public void service(Mail mail) throws MessagingException {
        Set<MailAddress> delivered = ConcurrentHashMap.newKeySet();
        MailDispatcher.builder()
                .mailStore((recipient, copy) ->
                        Mono.from(inboxes.storeMail(recipient, copy)).doOnSuccess(done -> delivered.add(recipient)))
                .consume(consume)
                .onMailetException(onMailetException)
                .retries(MailDispatcher.RETRIES)
                .mailetContext(getMailetContext())
                .build()
                .dispatch(mail);
        try {
            delivery.confirm(getMailetContext(), mail, delivered);
        } catch (MessagingException | RuntimeException e) {
            LOGGER.error("event=confirmation-lost mail={} recipients={}", mail.getName(), delivered, e);
        }
    }

    @Override
    public String getMailetInfo() {
        return "Delivery into inboxes, confirmed to senders who ask for it";
    }
}
