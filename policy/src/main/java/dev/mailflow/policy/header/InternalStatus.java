/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.header;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.Origin;

/**
 * What Exchange's internal headers say about where a message was submitted. {@link InternalHeaderScreen} has removed every
 * such header that a stranger wrote before anything here is asked: what is left was written by us or by a peer whose word
 * counts.
 */
public final class InternalStatus {
    private static final String AUTH_AS = "X-MS-Exchange-Organization-AuthAs";
    private static final String AUTH_SOURCE = "X-MS-Exchange-Organization-AuthSource";
    private static final String AUTH_MECHANISM = "X-MS-Exchange-Organization-AuthMechanism";
    private static final String DIRECTIONALITY = "X-MS-Exchange-Organization-MessageDirectionality";
    private static final String SCL = "X-MS-Exchange-Organization-SCL";

    private static final String INTERNAL = "Internal";
    private static final String ANONYMOUS = "Anonymous";
    /** How Exchange marks mail that a user of a mailbox submitted. */
    private static final String BY_MAILBOX_USER = "04";

    private static final int LEAST_SCL = -1;
    private static final int MOST_SCL = 9;

    private InternalStatus() {}

    /**
     * Whether a message comes from inside the organization. A peer that keeps internal status says so of each message: what
     * it took from a stranger and hands on is not internal for that.
     *
     * @param facts empty: nobody at the SMTP door vouches for it
     */
    public static boolean isInternal(Optional<InboundFacts> facts, HeaderSection headers) {
        return facts.filter(known -> known.origin() == Origin.INTERNAL).isPresent()
                && value(headers, AUTH_AS).map(INTERNAL::equalsIgnoreCase).orElse(true);
    }

    /** The spam confidence level that an internal peer stated; empty: none that can be read. */
    public static OptionalInt scl(HeaderSection headers) {
        return value(headers, SCL)
                .filter(text -> text.matches("-?\\d"))
                .map(Integer::parseInt)
                .filter(level -> level >= LEAST_SCL && level <= MOST_SCL)
                .map(OptionalInt::of)
                .orElse(OptionalInt.empty());
    }

    /**
     * States on a message for the other premises how it was submitted; one that says so already keeps what it says.
     *
     * @param authSource our host name, which vouches for it
     */
    public static HeaderSection stamped(HeaderSection headers, boolean internal, String authSource) {
        if (value(headers, AUTH_AS).isPresent()) {
            return headers;
        }
        List<HeaderField> fields = new ArrayList<>();
        fields.add(HeaderField.of(AUTH_AS, internal ? INTERNAL : ANONYMOUS));
        fields.add(HeaderField.of(AUTH_SOURCE, authSource));
        if (internal) {
            fields.add(HeaderField.of(AUTH_MECHANISM, BY_MAILBOX_USER));
        }
        fields.add(HeaderField.of(DIRECTIONALITY, internal ? "Originating" : "Incoming"));
        if (internal && value(headers, SCL).isEmpty()) {
            fields.add(HeaderField.of(SCL, String.valueOf(LEAST_SCL)));
        }
        fields.addAll(headers.fields());
        return headers.with(fields);
    }

    private static Optional<String> value(HeaderSection headers, String name) {
        return headers.fields().stream()
                .filter(field -> field.name().equalsIgnoreCase(name))
                .map(field ->
                        field.raw().substring(field.raw().indexOf(':') + 1).strip())
                .findFirst();
    }
}
