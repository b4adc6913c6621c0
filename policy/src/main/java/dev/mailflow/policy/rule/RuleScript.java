/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rule;

import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.SourceLocation;

/** A compiled script: immutable, thread-safe, and pure but for reading the message's body. */
public interface RuleScript {

    /**
     * Whether the verdict may differ among the recipients of one message. Such a script is asked once for each recipient,
     * any other once for all.
     */
    boolean dependsOnRecipient();

    /**
     * Runs the script.
     *
     * @throws RuleScriptException when it fails at run time; nothing it did counts
     */
    RuleVerdict run(Run run) throws RuleScriptException;

    /** What can be said of the script without a message. */
    Inspection inspection();

    /**
     * One run.
     *
     * @param message as the rules before left it
     * @param recipients those the verdict is for: one when the script depends on it
     * @param now the time at which the message is judged
     * @param trace told of each test, for people who ask why
     */
    record Run(RuleMessage message, List<MailAddress> recipients, Instant now, Trace trace) {
        public Run {
            recipients = List.copyOf(recipients);
        }
    }

    /** Hears of each test that was made, in order. */
    @FunctionalInterface
    interface Trace {
        /** Costs nothing. */
        Trace NONE = new Trace() {
            @Override
            public void tested(SourceLocation where, String test, boolean result) {
                // nobody asked
            }

            @Override
            public boolean isWanted() {
                return false;
            }
        };

        /**
         * @param test as in the script, shortened
         */
        void tested(SourceLocation where, String test, boolean result);

        default boolean isWanted() {
            return true;
        }
    }

    /**
     * What {@code check} needs to know.
     *
     * @param connectors names that {@code route} uses, each with its place
     * @param neverActs no message can make it act
     * @param alwaysStops every message stops at it
     * @param neverWhy why it never acts, for people
     */
    record Inspection(
            List<Named> connectors,
            Set<String> extensions,
            boolean neverActs,
            boolean alwaysStops,
            Optional<String> neverWhy) {
        public Inspection {
            connectors = List.copyOf(connectors);
            extensions = Set.copyOf(extensions);
        }

        /** A name and where it stands. */
        public record Named(String name, SourceLocation location) {}
    }
}
