/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import java.util.stream.Collectors;

import javax.mail.MessagingException;
import javax.mail.internet.MimeMessage;

import org.apache.james.queue.api.MailPrioritySupport;
import org.apache.james.server.core.MailImpl;
import org.apache.james.server.core.MimeMessageInputStream;
import org.apache.james.server.core.MimeMessageSource;
import org.apache.james.server.core.MimeMessageWrapper;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.Mail;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;
import com.google.common.util.concurrent.SettableFuture;
import com.google.common.util.concurrent.Uninterruptibles;

import dev.mailflow.gateway.storage.StoredMail;

/**
 * All queues of the gateway in one {@link Journal}, so that one commit can take a mail out of one queue and put its copies
 * into others.
 *
 * <p>Envelope and content are records of their own. A copy whose message nobody changed refers to the content that is
 * there, so a body is written once, when it comes in. Content above {@link #INLINE} bytes is a file of its own, which is
 * on disk before the record that names it. In memory are places, about 300 bytes for each mail, and what was
 * written last.
 *
 * <p>What an administrator sees when something is wrong: {@code event=queue-…} lines, of which {@code
 * queue-mail-unreadable} and {@code queue-journal-damaged} name the files in which the bytes were kept.
 */
final class MailStore implements Journal.Owner, AutoCloseable {
    private static final Logger LOGGER = LoggerFactory.getLogger(MailStore.class);

    /** Content up to this many bytes is in the journal. */
    static final int INLINE = 256 * 1024;

    private static final int MOVED_TOGETHER_BYTES = 1024 * 1024;
    /** Of contents just written, in memory: most mail is taken out again within milliseconds. */
    private static final int RECENT_CONTENT_BYTES = 16 * 1024 * 1024;
    /** Of envelopes just written; in memory each is some three times as long as on disk. */
    private static final int RECENT_ENVELOPE_BYTES = 2 * 1024 * 1024;
    /** Of a record besides envelope or content, about. */
    private static final int OVERHEAD_BYTES = 64;

    /** Of the looks for room, each how many-th tries the disk if it has refused a record. */
    private static final int LOOKS_FOR_A_TRIAL = 8;

    private static final String CONTENT = "content";
    private static final String UNREADABLE = "unreadable";

    private final Path directory;
    private final Clock clock;
    private final DiskUse disk;
    private final Room room;
    /** Tells the contents of this store from others, and from those before the last start. */
    private final String session = UUID.randomUUID().toString();

    private final AtomicLong lastId = new AtomicLong();
    private final Map<String, QueueIndex> queues = new TreeMap<>();
    private final Map<Long, Entry> entries = new HashMap<>();
    private final Map<Long, Content> contents = new HashMap<>();
    private final Cache<Long, Recent> recentMails = CacheBuilder.newBuilder()
            .concurrencyLevel(1)
            .maximumWeight(RECENT_ENVELOPE_BYTES)
            .<Long, Recent>weigher((id, recent) -> recent.bytes())
            .build();
    private final Cache<Long, byte[]> recentContents = CacheBuilder.newBuilder()
            .concurrencyLevel(1)
            .maximumWeight(RECENT_CONTENT_BYTES)
            .<Long, byte[]>weigher((id, bytes) -> bytes.length)
            .build();
    private final Deque<Entry> entriesToMove = new ArrayDeque<>();
    private final Deque<Content> contentsToMove = new ArrayDeque<>();
    private Optional<Segment> moving = Optional.empty();
    private Optional<Segment> unmovable = Optional.empty();
    private long liveBytes;
    private Journal journal;
    private int looks;

    /**
     * An envelope that was written a short time ago.
     *
     * @param mail nobody else's, without content
     * @param bytes on disk
     */
    private record Recent(MailImpl mail, int bytes) {}

    /** A mail that is to be put into a queue: its content is safe or will be with it. */
    static final class Prepared {
        private final Entry entry;
        private final byte[] envelope;
        private final Optional<byte[]> newContent;
        private final Optional<MailImpl> recent;

        private Prepared(Entry entry, byte[] envelope, Optional<byte[]> newContent, Optional<MailImpl> recent) {
            this.entry = entry;
            this.envelope = envelope;
            this.newContent = newContent;
            this.recent = recent;
        }
    }

    private MailStore(Path directory, Clock clock, DiskUse disk) {
        this.directory = directory;
        this.clock = clock;
        this.disk = disk;
        this.room = new Room(directory);
    }

    /** Opens the queues in the directory, which is made if it is missing. */
    static MailStore open(Path directory, Clock clock, DiskUse disk) throws IOException {
        Files.createDirectories(directory.resolve(CONTENT));
        MailStore store = new MailStore(directory, clock, disk);
        store.journal = Journal.open(directory, store, disk);
        store.settle();
        store.journal.start();
        return store;
    }

    // ---- what was there -----------------------------------------------------------------------------------------

    @Override
    public synchronized void replay(byte[] record, Segment segment, long offset) {
        for (Operation operation : Operation.read(record)) {
            if (operation instanceof Operation.PutContent put) {
                lastId.accumulateAndGet(put.id(), Math::max);
                Content content = contents.computeIfAbsent(put.id(), Content::new);
                content.size(put.size());
                content.inFile = put.inFile();
                settle(content, extent(segment, offset, put.content()));
            } else if (operation instanceof Operation.PutMail put) {
                lastId.accumulateAndGet(put.id(), Math::max);
                Entry entry = entries.computeIfAbsent(put.id(), id -> {
                    Content content = contents.computeIfAbsent(put.content(), Content::new);
                    content.references++;
                    return new Entry(id, index(put.queue()), content, put.priority(), put.due());
                });
                settle(entry, extent(segment, offset, put.envelope()));
            } else if (operation instanceof Operation.RemoveMail removed) {
                Optional.ofNullable(entries.get(removed.id())).ifPresent(this::forget);
            }
        }
    }

    private static Extent extent(Segment segment, long offset, Operation.Bytes bytes) {
        return new Extent(segment, offset + bytes.offset(), bytes.length(), bytes.checksum());
    }

    /** Puts into their queues what is left in the end, and removes what is left over. */
    private synchronized void settle() throws IOException {
        long now = clock.millis();
        for (Entry entry : List.copyOf(entries.values())) {
            entry.queue().add(entry, now);
        }
        List.copyOf(contents.values()).stream()
                .filter(content -> content.references == 0)
                .forEach(this::drop);
        Set<Path> needed = contents.values().stream()
                .filter(content -> content.inFile)
                .map(this::file)
                .collect(Collectors.toSet());
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory.resolve(CONTENT))) {
            for (Path file : files) {
                if (!needed.contains(file)) {
                    Files.delete(file);
                }
            }
        }
        LOGGER.info("event=queue-open directory={} mails={}", directory, entries.size());
    }

    // ---- places: under the lock -----------------------------------------------------------------------------------

    private void settle(Content content, Extent place) {
        leave(content.record);
        content.record = Optional.of(place);
        occupy(place);
    }

    private void settle(Entry entry, Extent place) {
        leave(entry.record);
        entry.record = Optional.of(place);
        occupy(place);
    }

    private void occupy(Extent place) {
        place.segment().live++;
        liveBytes += place.length() + OVERHEAD_BYTES;
    }

    private void leave(Optional<Extent> place) {
        place.ifPresent(left -> {
            left.segment().live--;
            liveBytes -= left.length() + OVERHEAD_BYTES;
        });
    }

    private void forget(Entry entry) {
        entry.queue().remove(entry);
        entries.remove(entry.id());
        recentMails.invalidate(entry.id());
        leave(entry.record);
        entry.record = Optional.empty();
        release(entry.content());
    }

    private void release(Content content) {
        content.references--;
        // during a replay its own record may be yet to come
        if (content.references == 0) {
            drop(content);
        }
    }

    private void drop(Content content) {
        contents.remove(content.id());
        recentContents.invalidate(content.id());
        leave(content.record);
        content.record = Optional.empty();
        if (content.inFile) {
            try {
                Files.deleteIfExists(file(content));
            } catch (IOException e) {
                LOGGER.warn("event=queue-room-not-reclaimed file={}", file(content), e);
            }
        }
    }

    private Path file(Content content) {
        return directory.resolve(CONTENT).resolve(Long.toString(content.id()));
    }

    private QueueIndex index(String name) {
        return queues.computeIfAbsent(name, QueueIndex::new);
    }

    // ---- queues -----------------------------------------------------------------------------------------------------

    synchronized QueueIndex queue(String name) {
        return index(name);
    }

    /** The names of the queues that hold mail or were asked for. */
    synchronized Set<String> queues() {
        return Set.copyOf(queues.keySet());
    }

    /** A mail to process, unless what becomes of it could not be written down: it would be processed again. */
    synchronized Optional<Entry> take(QueueIndex queue) {
        return journal.failure().isPresent() || journal.refusal().isPresent() || room.isAtStandstill()
                ? Optional.empty()
                : queue.take();
    }

    /**
     * Makes a mail that was taken available again, at once or later.
     *
     * @param due milliseconds of the epoch
     */
    void putBack(Entry entry, long due) {
        synchronized (this) {
            entry.due = due;
            entry.queue().putBack(entry, clock.millis());
        }
        entry.queue().signal();
    }

    synchronized int size(QueueIndex queue) {
        return queue.size();
    }

    synchronized List<Entry> list(QueueIndex queue) {
        return queue.list();
    }

    /** As {@link #list}, without those that are being processed. */
    synchronized List<Entry> waiting(QueueIndex queue) {
        return queue.list().stream()
                .filter(entry -> entry.state != Entry.State.TAKEN)
                .toList();
    }

    synchronized long due(Entry entry) {
        return entry.due;
    }

    /**
     * Removes those mails that are still waiting.
     *
     * @return how many
     */
    long removeWaiting(List<Entry> unwanted) throws IOException {
        List<Entry> taken;
        synchronized (this) {
            taken = unwanted.stream()
                    .filter(entry -> entry.queue().takeWaiting(entry))
                    .toList();
        }
        if (taken.isEmpty()) {
            return 0;
        }
        try {
            commit(List.of(), taken);
            return taken.size();
        } catch (IOException e) {
            taken.forEach(entry -> putBack(entry, due(entry)));
            throw e;
        }
    }

    /**
     * Lets every delayed mail go now.
     *
     * @return how many
     */
    int hasten(QueueIndex queue) {
        int released;
        synchronized (this) {
            released = queue.release(Long.MAX_VALUE);
        }
        queue.signal();
        return released;
    }

    /** Lets the delayed mails go whose time has come. */
    void releaseDue() {
        List<QueueIndex> released = new ArrayList<>();
        synchronized (this) {
            long now = clock.millis();
            queues.values().stream().filter(queue -> queue.release(now) > 0).forEach(released::add);
        }
        released.forEach(QueueIndex::signal);
    }

    /**
     * Why a mail cannot be taken now, as of the last {@link #lookForRoom}; empty when it can. Never blocks.
     *
     * @param bytes of the mail
     */
    Optional<QueueTrouble> trouble(long bytes) {
        return journal.failure()
                .map(reason -> new QueueTrouble(QueueTrouble.Kind.FAILED, reason))
                .or(() -> room.objectionTo(bytes).map(reason -> new QueueTrouble(QueueTrouble.Kind.NO_ROOM, reason)))
                .or(() -> journal.refusal().map(reason -> new QueueTrouble(QueueTrouble.Kind.FAILED, reason)));
    }

    /** Bytes left on the disk, as of the last {@link #lookForRoom}. */
    long room() {
        return room.usable();
    }

    /** Looks how much room is left and whether the disk takes records again, and lets mail go that it had stopped. */
    void lookForRoom() {
        if (room.look()) {
            wentOn();
        }
        if (++looks % LOOKS_FOR_A_TRIAL == 0) {
            journal.retry();
        }
    }

    @Override
    public void wentOn() {
        List<QueueIndex> stopped;
        synchronized (this) {
            stopped = List.copyOf(queues.values());
        }
        stopped.forEach(QueueIndex::signal);
    }

    /**
     * Keeps room for a mail from outside until it is written.
     *
     * @param bytes about
     * @throws Room.NoRoomException when there is too little
     */
    Room.Claim claim(long bytes) throws Room.NoRoomException {
        return room.claim(bytes);
    }

    // ---- writing
    // ------------------------------------------------------------------------------------------------------

    /**
     * Reads a mail to the end. What is returned must be committed or {@link #abandon}ed.
     *
     * @param due milliseconds of the epoch
     */
    Prepared prepare(Mail mail, QueueIndex queue, long due) throws IOException, MessagingException {
        StoredMail stored = StoredMail.of(mail);
        byte[] envelope = stored.toJson();
        Optional<MailImpl> recent = due == 0 ? stored.toMail(mail) : Optional.empty();
        int priority = AttributeUtils.getValueAndCastFromMail(mail, MailPrioritySupport.MAIL_PRIORITY, Integer.class)
                .map(wanted ->
                        Math.min(MailPrioritySupport.HIGH_PRIORITY, Math.max(MailPrioritySupport.LOW_PRIORITY, wanted)))
                .orElse(MailPrioritySupport.NORMAL_PRIORITY);
        Optional<Content> unchanged = unchangedContent(mail.getMessage());
        Content content = unchanged.orElseGet(this::newContent);
        try {
            Optional<byte[]> bytes =
                    unchanged.isPresent() ? Optional.empty() : Optional.of(read(mail.getMessage(), content));
            return new Prepared(
                    new Entry(lastId.incrementAndGet(), queue, content, priority, due), envelope, bytes, recent);
        } catch (IOException | MessagingException | RuntimeException e) {
            abandon(content);
            throw e;
        }
    }

    /** The content of this store that the message still is, with one more reference to it. */
    private Optional<Content> unchangedContent(MimeMessage message) {
        if (!(message instanceof MimeMessageWrapper wrapper)
                || wrapper.isModified()
                || wrapper.getSourceId() == null
                || !wrapper.getSourceId().startsWith(session)) {
            return Optional.empty();
        }
        long id = Long.parseLong(wrapper.getSourceId().substring(session.length() + 1));
        synchronized (this) {
            Optional<Content> content = Optional.ofNullable(contents.get(id));
            content.ifPresent(kept -> kept.references++);
            return content;
        }
    }

    private synchronized Content newContent() {
        Content content = new Content(lastId.incrementAndGet());
        content.references = 1;
        contents.put(content.id(), content);
        return content;
    }

    /** @return the bytes for the journal: none when they went into a file */
    private byte[] read(MimeMessage message, Content content) throws IOException, MessagingException {
        if (message == null) {
            return new byte[0];
        }
        // not writeTo(): that one reads the header anew and turns its 8-bit characters into question marks
        try (InputStream in = new MimeMessageInputStream(message)) {
            byte[] head = in.readNBytes(INLINE + 1);
            content.size(head.length);
            if (head.length <= INLINE) {
                return head;
            }
            content.inFile = true;
            try (FileChannel file =
                    FileChannel.open(file(content), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
                OutputStream out = Channels.newOutputStream(file);
                out.write(head);
                content.size(head.length + in.transferTo(out));
                file.force(true);
            }
            Journal.forceDirectory(directory.resolve(CONTENT));
            return new byte[0];
        }
    }

    void abandon(Prepared prepared) {
        abandon(prepared.entry.content());
    }

    private synchronized void abandon(Content content) {
        release(content);
    }

    /**
     * Puts mails into queues and takes others out, all or none. When it returns it is on disk; when it throws, nothing has
     * changed here, and what was to be added is abandoned.
     */
    void commit(List<Prepared> added, List<Entry> removed) throws IOException {
        Operation.Writer record = new Operation.Writer();
        List<Placed> places = new ArrayList<>();
        for (Prepared mail : added) {
            Entry entry = mail.entry;
            mail.newContent.ifPresent(bytes -> places.add(write(entry.content(), bytes, record)));
            places.add(write(entry, mail.envelope, record));
        }
        removed.forEach(entry -> record.removeMail(entry.id()));
        CompletableFuture<Void> done = journal.append(new Journal.Appended(record.toBytes(), (segment, offset) -> {
            Set<QueueIndex> changed = new HashSet<>();
            synchronized (this) {
                long now = clock.millis();
                places.forEach(place -> place.applied(segment, offset));
                added.forEach(mail -> {
                    remember(mail);
                    entries.put(mail.entry.id(), mail.entry);
                    mail.entry.queue().add(mail.entry, now);
                    changed.add(mail.entry.queue());
                });
                removed.stream()
                        .filter(entry -> entries.containsKey(entry.id()))
                        .forEach(this::forget);
            }
            changed.forEach(QueueIndex::signal);
        }));
        try {
            await(done);
        } catch (ExecutionException e) {
            added.forEach(this::abandon);
            throw new IOException(e.getCause().getMessage(), e.getCause());
        }
    }

    /** Whether it is written must be known, even to a thread that is told to stop. */
    @SuppressWarnings("FutureReturnValueIgnored") // what follows is waited for
    private static void await(CompletableFuture<Void> done) throws ExecutionException {
        // A CompletableFuture would have a pool of worker threads wake one for each that waits here.
        SettableFuture<Void> known = SettableFuture.create();
        done.whenComplete((nothing, thrown) -> {
            if (thrown == null) {
                known.set(null);
            } else {
                known.setException(thrown);
            }
        });
        Uninterruptibles.getUninterruptibly(known);
    }

    /** So that who takes it soon need not read it. */
    private void remember(Prepared mail) {
        mail.recent.ifPresent(kept -> recentMails.put(mail.entry.id(), new Recent(kept, mail.envelope.length)));
        mail.newContent
                .filter(bytes -> !mail.entry.content().inFile)
                .ifPresent(bytes -> recentContents.put(mail.entry.content().id(), bytes));
    }

    private Placed write(Content content, byte[] bytes, Operation.Writer record) {
        int checksum = Journal.checksum(bytes);
        int offset = record.putContent(content.id(), content.inFile, content.size(), bytes, checksum);
        return (segment, base) -> settle(content, new Extent(segment, base + offset, bytes.length, checksum));
    }

    private Placed write(Entry entry, byte[] envelope, Operation.Writer record) {
        int checksum = Journal.checksum(envelope);
        int offset = record.putMail(
                entry.id(),
                entry.content().id(),
                entry.due,
                entry.priority(),
                entry.queue().name(),
                envelope,
                checksum);
        return (segment, base) -> settle(entry, new Extent(segment, base + offset, envelope.length, checksum));
    }

    /** Something got its place in the journal. */
    private interface Placed {
        void applied(Segment segment, long offset);
    }

    // ---- reading
    // ------------------------------------------------------------------------------------------------------

    /** The mail, whose content is read when it is asked for. Empty when it is not in its queue any more. */
    Optional<MailImpl> mail(Entry entry) throws IOException, MessagingException {
        Optional<Recent> recent = Optional.ofNullable(recentMails.getIfPresent(entry.id()));
        MailImpl mail;
        if (recent.isPresent()) {
            mail = StoredMail.copy(recent.get().mail());
        } else {
            Optional<byte[]> envelope = bytes(() -> entry.record);
            if (envelope.isEmpty()) {
                return Optional.empty();
            }
            mail = StoredMail.fromJson(envelope.get()).toMail();
        }
        mail.setMessageNoCopy(new MimeMessageWrapper(new Source(entry.content())));
        return Optional.of(mail);
    }

    /** Reads from where they are now, even if they are moved meanwhile. */
    private Optional<byte[]> bytes(Supplier<Optional<Extent>> place) throws IOException {
        Optional<Extent> known = synchronizedGet(place);
        while (known.isPresent()) {
            try {
                return Optional.of(known.get().read());
            } catch (IOException e) {
                Optional<Extent> moved = synchronizedGet(place);
                if (moved.equals(known)) {
                    throw e;
                }
                known = moved;
            }
        }
        return Optional.empty();
    }

    private synchronized Optional<Extent> synchronizedGet(Supplier<Optional<Extent>> place) {
        return place.get();
    }

    /** The message of a queued mail. */
    private final class Source implements MimeMessageSource {
        private final Content content;

        Source(Content content) {
            this.content = content;
        }

        @Override
        public String getSourceId() {
            return session + "-" + content.id();
        }

        @Override
        public InputStream getInputStream() throws IOException {
            if (content.inFile) {
                return new BufferedInputStream(Files.newInputStream(file(content)));
            }
            byte[] recent = recentContents.getIfPresent(content.id());
            return new ByteArrayInputStream(
                    recent != null
                            ? recent
                            : bytes(() -> content.record)
                                    .orElseThrow(() -> new IOException("The mail is not in its queue any more")));
        }

        @Override
        public long getMessageSize() {
            return content.size();
        }
    }

    /** Takes a mail that cannot be read out of its queue and keeps its bytes for somebody to look at. */
    void setAside(Entry entry, Exception reason) {
        try {
            Path kept = Files.createDirectories(directory.resolve(UNREADABLE));
            Optional<Extent> envelope = synchronizedGet(() -> entry.record);
            Optional<Extent> content = synchronizedGet(() -> entry.content().record);
            Path file = kept.resolve(entry.id() + ".envelope");
            if (envelope.isPresent()) {
                Files.write(file, raw(envelope.get()), StandardOpenOption.CREATE, StandardOpenOption.SYNC);
            }
            Path message = kept.resolve(entry.id() + ".eml");
            if (entry.content().inFile) {
                Files.deleteIfExists(message);
                Files.createLink(message, file(entry.content()));
            } else if (content.isPresent()) {
                Files.write(message, raw(content.get()), StandardOpenOption.CREATE, StandardOpenOption.SYNC);
            }
            Journal.forceDirectory(kept);
            commit(List.of(), List.of(entry));
            LOGGER.error(
                    "event=queue-mail-unreadable queue={} reason=\"{}\" kept={} effect=\"this mail is not delivered\"",
                    entry.queue().name(),
                    reason,
                    file,
                    reason);
        } catch (IOException e) {
            LOGGER.error(
                    "event=queue-mail-unreadable queue={} effect=\"it stays in the queue and is not delivered until the"
                            + " next start\"",
                    entry.queue().name(),
                    e);
        }
    }

    private static byte[] raw(Extent place) throws IOException {
        return place.segment().read(place.offset(), place.length());
    }

    // ---- room
    // -----------------------------------------------------------------------------------------------------------

    @Override
    public synchronized boolean isDead(Segment segment) {
        return segment.live == 0;
    }

    @Override
    public Optional<Journal.Appended> moveFrom(Segment oldest, long bytes) {
        Operation.Writer record = new Operation.Writer();
        List<Placed> places = new ArrayList<>();
        synchronized (this) {
            if (bytes < 2 * liveBytes + (room.isShort() ? 0 : disk.toleratedBytes())
                    || unmovable.equals(Optional.of(oldest))) {
                return Optional.empty();
            }
            if (!moving.equals(Optional.of(oldest))) {
                moving = Optional.of(oldest);
                contentsToMove.clear();
                entriesToMove.clear();
                contents.values().stream()
                        .filter(content -> isIn(oldest, content.record))
                        .forEach(contentsToMove::add);
                entries.values().stream()
                        .filter(entry -> isIn(oldest, entry.record))
                        .forEach(entriesToMove::add);
            }
            try {
                while (record.size() < MOVED_TOGETHER_BYTES && !contentsToMove.isEmpty()) {
                    Content content = contentsToMove.remove();
                    if (isIn(oldest, content.record)) {
                        Extent place = content.record.get();
                        int offset = record.putContent(
                                content.id(), content.inFile, content.size(), raw(place), place.checksum());
                        places.add((segment, base) -> {
                            // it may be gone by now
                            if (content.record.isPresent()) {
                                settle(content, new Extent(segment, base + offset, place.length(), place.checksum()));
                            }
                        });
                    }
                }
                while (record.size() < MOVED_TOGETHER_BYTES && !entriesToMove.isEmpty()) {
                    Entry entry = entriesToMove.remove();
                    if (isIn(oldest, entry.record)) {
                        Extent place = entry.record.get();
                        int offset = record.putMail(
                                entry.id(),
                                entry.content().id(),
                                entry.due,
                                entry.priority(),
                                entry.queue().name(),
                                raw(place),
                                place.checksum());
                        places.add((segment, base) -> {
                            if (entry.record.isPresent()) {
                                settle(entry, new Extent(segment, base + offset, place.length(), place.checksum()));
                            }
                        });
                    }
                }
            } catch (IOException e) {
                unmovable = Optional.of(oldest);
                LOGGER.error(
                        "event=queue-room-not-reclaimed file={} effect=\"the queue grows until the next start\"",
                        oldest.path(),
                        e);
                return Optional.empty();
            }
        }
        if (places.isEmpty()) {
            return Optional.empty();
        }
        return Optional.of(new Journal.Appended(record.toBytes(), (segment, offset) -> {
            synchronized (this) {
                places.forEach(place -> place.applied(segment, offset));
            }
        }));
    }

    private static boolean isIn(Segment segment, Optional<Extent> place) {
        return place.isPresent() && place.get().segment() == segment;
    }

    @Override
    public void close() throws IOException {
        journal.close();
        LOGGER.info("event=queue-closed");
    }
}
