/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * The mails of one queue in the order in which they are to be delivered. Guarded by the {@link MailStore}, but for the
 * listeners.
 */
final class QueueIndex {
    private static final Comparator<Entry> BY_AGE = Comparator.comparingLong(Entry::id);

    private final String name;
    private final TreeSet<Entry> ready =
            new TreeSet<>(Comparator.comparingInt(Entry::priority).reversed().thenComparing(BY_AGE));
    private final TreeSet<Entry> delayed =
            new TreeSet<>(Comparator.<Entry>comparingLong(entry -> entry.due).thenComparing(BY_AGE));
    private final Set<Entry> taken = new HashSet<>();
    private final List<Runnable> listeners = new CopyOnWriteArrayList<>();

    QueueIndex(String name) {
        this.name = name;
    }

    String name() {
        return name;
    }

    void add(Entry entry, long now) {
        if (entry.due > now) {
            entry.state = Entry.State.DELAYED;
            delayed.add(entry);
        } else {
            entry.state = Entry.State.READY;
            ready.add(entry);
        }
    }

    Optional<Entry> take() {
        Optional<Entry> first = Optional.ofNullable(ready.pollFirst());
        first.ifPresent(entry -> {
            entry.state = Entry.State.TAKEN;
            taken.add(entry);
        });
        return first;
    }

    /** Whether the mail was waiting, and is taken now. */
    boolean takeWaiting(Entry entry) {
        boolean waited = ready.remove(entry) || delayed.remove(entry);
        if (waited) {
            entry.state = Entry.State.TAKEN;
            taken.add(entry);
        }
        return waited;
    }

    void putBack(Entry entry, long now) {
        taken.remove(entry);
        add(entry, now);
    }

    void remove(Entry entry) {
        switch (entry.state) {
            case READY -> ready.remove(entry);
            case DELAYED -> delayed.remove(entry);
            case TAKEN -> taken.remove(entry);
            case UNWRITTEN, GONE -> {}
        }
        entry.state = Entry.State.GONE;
    }

    /**
     * Lets those go whose time has come.
     *
     * @return how many
     */
    int release(long now) {
        int released = 0;
        while (!delayed.isEmpty() && delayed.first().due <= now) {
            Entry first = delayed.pollFirst();
            first.due = 0;
            add(first, now);
            released++;
        }
        return released;
    }

    /** All, those first that are delivered first. */
    List<Entry> list() {
        List<Entry> all = new ArrayList<>(taken);
        all.sort(BY_AGE);
        all.addAll(ready);
        all.addAll(delayed);
        return all;
    }

    int size() {
        return ready.size() + delayed.size() + taken.size();
    }

    /** To be called, on any thread, when there may be a mail to take. */
    void listen(Runnable listener) {
        listeners.add(listener);
    }

    void forget(Runnable listener) {
        listeners.remove(listener);
    }

    void signal() {
        listeners.forEach(Runnable::run);
    }
}
