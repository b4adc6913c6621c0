/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

import org.apache.james.queue.api.MailQueue;
import org.apache.james.queue.api.MailQueue.MailQueueException;
import org.apache.james.queue.api.MailQueue.MailQueueItem;
import org.apache.mailet.Mail;

/**
 * A mail that was taken out of a queue to be processed. Mail that is queued on the way, copies for connectors or the same
 * mail for a later attempt, joins it: it comes into its queue in the same commit that takes this one out, or not at all.
 * So a crash can neither lose nor double it.
 */
final class Delivery implements MailQueueItem {
    /** How long a mail rests whose outcome the disk refused: it may soon take smaller records, and refuse this one again. */
    private static final Duration REST = Duration.ofSeconds(10);

    private final MailStore store;
    private final Clock clock;
    private final Entry entry;
    private final Mail mail;
    private final Runnable whenDone;
    private final List<MailStore.Prepared> joined = new ArrayList<>();
    private boolean done;
    private boolean failed;

    /** @param whenDone called once */
    Delivery(MailStore store, Clock clock, Entry entry, Mail mail, Runnable whenDone) {
        this.store = store;
        this.clock = clock;
        this.entry = entry;
        this.mail = mail;
        this.whenDone = whenDone;
    }

    @Override
    public Mail getMail() {
        return mail;
    }

    /** Whether the mail will be queued when this one is done; if not, it is done already. */
    synchronized boolean join(MailStore.Prepared other) {
        if (!done) {
            joined.add(other);
        }
        return !done;
    }

    /**
     * {@inheritDoc}
     *
     * @throws MailQueueException when the journal did not take it: this mail is still taken, what had joined is dropped, and
     *     the caller says once more what is to be done
     */
    @Override
    public synchronized void done(CompletionStatus status) throws MailQueueException {
        if (done) {
            return;
        }
        List<MailStore.Prepared> others = List.copyOf(joined);
        joined.clear();
        if (status == CompletionStatus.SUCCESS) {
            try {
                store.commit(others, List.of(entry));
            } catch (IOException e) {
                failed = true;
                throw new MailQueue.MailQueueException(
                        "Mail " + mail.getName() + " could not be taken out of queue "
                                + entry.queue().name(),
                        e);
            }
        } else {
            others.forEach(store::abandon);
            store.putBack(entry, failed ? clock.instant().plus(REST).toEpochMilli() : 0);
        }
        done = true;
        whenDone.run();
    }
}
