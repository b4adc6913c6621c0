/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.event;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.inject.Inject;
import com.google.inject.Singleton;

/** Hands each event to every sink, on the publishing thread. The structured log is always one of them. */
@Singleton
public final class MailFlowEvents {
    private static final Logger LOGGER = LoggerFactory.getLogger(MailFlowEvents.class);

    private final List<Sink> sinks = new CopyOnWriteArrayList<>();

    @Inject
    public MailFlowEvents() {
        sinks.add(new EventLog());
    }

    /** Adds a sink; it must be quick and thread-safe. */
    public void add(Sink sink) {
        sinks.add(sink);
    }

    /** Tells every sink. A sink that throws changes nothing for the message or for other sinks. */
    public void publish(MailFlowEvent event) {
        for (Sink sink : sinks) {
            try {
                sink.accept(event);
            } catch (RuntimeException e) {
                LOGGER.warn("Event sink {} failed on {}", sink.getClass().getName(), event.kind(), e);
            }
        }
    }

    /** Where events go. */
    @FunctionalInterface
    public interface Sink {
        void accept(MailFlowEvent event);
    }
}
