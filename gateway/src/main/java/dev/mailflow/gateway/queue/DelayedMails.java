/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.UUID;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import javax.mail.MessagingException;

import org.apache.mailet.Mail;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import dev.mailflow.gateway.storage.MailFile;

/**
 * The mails of one queue whose time has not come: one {@link MailFile} each, with the time in its name, and in memory
 * only the names, ordered by time.
 *
 * <p>A JMS queue is no place for them. Consumers would have to skip them with a selector, which the broker evaluates for
 * every one of them on every receive, and only for as many as it holds in memory; enough deferred mail would hide new
 * mail behind it. Here a hundred thousand deferred mails cost new mail nothing.
 *
 * <p>A mail is handed on before its file is removed: a crash in between delivers it twice rather than never.
 */
final class DelayedMails {
    private static final Logger LOGGER = LoggerFactory.getLogger(DelayedMails.class);
    private static final String SUFFIX = ".mail";
    private static final Pattern NAME = Pattern.compile("(?<due>\\d{1,18})-[^/]+\\.mail");

    /** The latest time a name can hold, year 5138; nobody waits longer. */
    private static final Instant LATEST = Instant.ofEpochMilli(99_999_999_999_999L);

    private final Path directory;
    private final Clock clock;
    private final PriorityQueue<Entry> entries = new PriorityQueue<>(Comparator.comparing(Entry::due));

    /** One waiting mail. */
    record Entry(Instant due, MailFile file) {
        /** Empty when it was handed on or removed in the meantime. */
        Optional<Mail> mail() throws IOException, MessagingException {
            try {
                return Optional.of(file.read());
            } catch (NoSuchFileException e) {
                return Optional.empty();
            }
        }
    }

    /** Takes a mail on; when it returns, the mail is on disk elsewhere. */
    interface Receiver {
        void accept(Mail mail) throws MessagingException;
    }

    DelayedMails(Path directory, Clock clock) throws IOException {
        this.directory = directory;
        this.clock = clock;
        MailFile.prepare(directory);
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, "*" + SUFFIX)) {
            for (Path file : files) {
                Matcher name = NAME.matcher(file.getFileName().toString());
                if (name.matches()) {
                    entries.add(new Entry(Instant.ofEpochMilli(Long.parseLong(name.group("due"))), new MailFile(file)));
                }
            }
        }
    }

    /** Keeps the mail for that long; it is on disk when this returns. */
    void add(Mail mail, Duration delay) throws IOException, MessagingException {
        Instant due = due(delay);
        MailFile file = new MailFile(directory.resolve(due.toEpochMilli() + "-" + UUID.randomUUID() + SUFFIX));
        file.write(mail);
        synchronized (entries) {
            entries.add(new Entry(due, file));
        }
    }

    private Instant due(Duration delay) {
        Instant now = clock.instant();
        return delay.compareTo(Duration.between(now, LATEST)) < 0 ? now.plus(delay) : LATEST;
    }

    /** Hands on every mail whose time has come; one that is not taken waits for the next call. */
    void release(Receiver receiver) {
        Instant now = clock.instant();
        List<Entry> refused = new ArrayList<>();
        for (Optional<Entry> next = poll(now); next.isPresent(); next = poll(now)) {
            if (!release(next.get(), receiver)) {
                refused.add(next.get());
            }
        }
        synchronized (entries) {
            entries.addAll(refused);
        }
    }

    private Optional<Entry> poll(Instant now) {
        synchronized (entries) {
            Entry first = entries.peek();
            return first == null || first.due().isAfter(now) ? Optional.empty() : Optional.of(entries.remove());
        }
    }

    private static boolean release(Entry entry, Receiver receiver) {
        try {
            Optional<Mail> mail = entry.mail();
            if (mail.isPresent()) {
                receiver.accept(mail.get());
                Files.deleteIfExists(entry.file().path());
            }
            return true;
        } catch (IOException | MessagingException e) {
            LOGGER.warn(
                    "event=delayed-mail-stuck file={} reason=\"{}\"",
                    entry.file().path(),
                    e.toString());
            return false;
        }
    }

    /** Lets every mail's time come now. @return how many */
    long hasten() {
        synchronized (entries) {
            List<Entry> all = List.copyOf(entries);
            entries.clear();
            all.forEach(entry -> entries.add(new Entry(Instant.EPOCH, entry.file())));
            return all.size();
        }
    }

    /** Removes the mails that match. @return how many */
    long remove(Predicate<Mail> condition) throws IOException, MessagingException {
        long removed = 0;
        for (Entry entry : list()) {
            Optional<Mail> mail = entry.mail();
            if (mail.isPresent() && condition.test(mail.get()) && forget(entry)) {
                Files.deleteIfExists(entry.file().path());
                removed++;
            }
        }
        return removed;
    }

    private boolean forget(Entry entry) {
        synchronized (entries) {
            return entries.remove(entry);
        }
    }

    /** What waits now, in no order. */
    List<Entry> list() {
        synchronized (entries) {
            return List.copyOf(entries);
        }
    }

    int size() {
        synchronized (entries) {
            return entries.size();
        }
    }
}
