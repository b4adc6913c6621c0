/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.util.Optional;

import org.apache.james.protocols.api.ProtocolSession;
import org.apache.james.protocols.api.ProtocolSession.AttachmentKey;
import org.apache.james.protocols.api.ProtocolSession.State;

import dev.mailflow.policy.inbound.SmtpReply;

/**
 * Which refusal of a session has its event already: the hooks of this package tell of theirs with the reason, and a server
 * that sees every reply tells of the others, so that each refusal is told once.
 */
public final class Refusals {
    private static final AttachmentKey<String> TOLD = AttachmentKey.of("mailflow.refusalTold", String.class);

    private Refusals() {}

    static void told(ProtocolSession session, SmtpReply reply) {
        session.setAttachment(TOLD, reply.toString(), State.Connection);
    }

    /**
     * Whether a hook has told of the refusal that is about to be sent; asked once for each reply.
     *
     * @param reply the whole line, without its end
     */
    public static boolean isTold(ProtocolSession session, String reply) {
        Optional<String> told = session.removeAttachment(TOLD, State.Connection);
        return told.filter(reply::equals).isPresent();
    }
}
