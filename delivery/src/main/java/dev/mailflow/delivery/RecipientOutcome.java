/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

import java.util.Optional;

/** What became of one recipient in one attempt. */
public sealed interface RecipientOutcome {

    /** The next hop that decided; empty when none was reached. */
    Optional<HopUsed> hop();

    /**
     * The next hop has taken responsibility.
     *
     * @param confirms whether it also took over what the sender wants to be told of (it offers DSN)
     */
    record Delivered(SmtpReply reply, HopUsed used, boolean confirms) implements RecipientOutcome {
        @Override
        public Optional<HopUsed> hop() {
            return Optional.of(used);
        }
    }

    /**
     * Not now; worth another attempt.
     *
     * @param enhancedStatus RFC 3463, {@code 4.x.x}
     * @param reason one sentence for people
     * @param reply what the next hop answered, if it is the reason
     * @param turnedAway there was no connection for it, by our own limits: no next hop has been asked, so it was no attempt
     */
    record Deferred(
            String enhancedStatus, String reason, Optional<SmtpReply> reply, Optional<HopUsed> hop, boolean turnedAway)
            implements RecipientOutcome {

        public Deferred(String enhancedStatus, String reason, Optional<SmtpReply> reply, Optional<HopUsed> hop) {
            this(enhancedStatus, reason, reply, hop, false);
        }
    }

    /**
     * Never.
     *
     * @param enhancedStatus RFC 3463, {@code 5.x.x}
     * @param reason one sentence for people
     * @param reply what the next hop answered, if it is the reason
     */
    record Failed(String enhancedStatus, String reason, Optional<SmtpReply> reply, Optional<HopUsed> hop)
            implements RecipientOutcome {}
}
