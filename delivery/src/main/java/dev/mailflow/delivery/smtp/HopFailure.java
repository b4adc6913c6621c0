/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import java.net.InetAddress;
import java.util.Optional;
import java.util.concurrent.CompletionException;

import dev.mailflow.delivery.HopUsed;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.SmtpReply;
import dev.mailflow.delivery.tls.TlsFault;

/**
 * Why a next hop, or a connection to it, could not be used. Always worth another attempt, here or elsewhere.
 *
 * @param enhancedStatus RFC 3463, {@code 4.x.x}
 * @param reason one sentence for people
 * @param fault what was wrong with TLS, for reports; only with kind {@link Kind#TLS}
 * @param lasting the next hop has no TLS or is not shown to be the right one, and says so itself; not a connection that
 *     broke, a "not now" or a question that was not answered
 * @param ourAddress where the connection came from, if there was one
 */
public record HopFailure(
        Kind kind,
        String enhancedStatus,
        String reason,
        Optional<SmtpReply> reply,
        Optional<HopUsed> hop,
        Optional<TlsFault> fault,
        boolean lasting,
        Optional<InetAddress> ourAddress) {

    public HopFailure(
            Kind kind, String enhancedStatus, String reason, Optional<SmtpReply> reply, Optional<HopUsed> hop) {
        this(
                kind,
                enhancedStatus,
                reason,
                reply,
                hop,
                kind == Kind.TLS ? Optional.of(TlsFault.VALIDATION_FAILURE) : Optional.empty(),
                false,
                Optional.empty());
    }

    /** The same failure, for a reason that reports know. */
    public HopFailure because(TlsFault known) {
        return new HopFailure(kind, enhancedStatus, reason, reply, hop, Optional.of(known), lasting, ourAddress);
    }

    /** The same failure, which the next hop will have until somebody changes it. */
    public HopFailure forGood() {
        return new HopFailure(kind, enhancedStatus, reason, reply, hop, fault, true, ourAddress);
    }

    /** The same failure in other words. */
    public HopFailure with(String otherReason) {
        return new HopFailure(kind, enhancedStatus, otherReason, reply, hop, fault, lasting, ourAddress);
    }

    /** The same failure, of a connection from this address. */
    HopFailure from(Optional<InetAddress> address) {
        return new HopFailure(kind, enhancedStatus, reason, reply, hop, fault, lasting, address);
    }

    /** What went wrong; where several hops failed, the reason of the later kind is the clearest to report. */
    public enum Kind {
        /** The next hop does not offer REQUIRETLS, which the message demands. */
        REQUIRETLS,
        /** The engine is closing, or waited too long for a free connection. */
        BUSY,
        /** No TCP connection. */
        UNREACHABLE,
        /** The connection broke, or the next hop fell silent. */
        LOST,
        /** The next hop does not speak SMTP. */
        PROTOCOL,
        /** The next hop said no to the session or to MAIL, for now. */
        REFUSED,
        /** The next hop does not accept our credentials, or may not be shown them. */
        AUTHENTICATION,
        /** The TLS that the connector demands could not be had. */
        TLS,
        /** The message could not be read; nothing to do with the next hop. */
        CONTENT,
        /** The connection broke after the whole message was sent: it may or may not have been accepted. */
        UNCERTAIN
    }

    /** Whether another next hop may do better. */
    public boolean mayTryNextHop() {
        return kind != Kind.CONTENT && kind != Kind.UNCERTAIN;
    }

    public RecipientOutcome asOutcome() {
        return new RecipientOutcome.Deferred(enhancedStatus, reason, reply, hop, kind == Kind.BUSY);
    }

    public HopFailureException asException() {
        return new HopFailureException(this);
    }

    /** The failure behind an exception of a completion stage. */
    public static HopFailure of(Throwable thrown, Optional<HopUsed> hop) {
        Throwable cause =
                thrown instanceof CompletionException && thrown.getCause() != null ? thrown.getCause() : thrown;
        return cause instanceof HopFailureException known
                ? known.failure()
                : new HopFailure(Kind.LOST, "4.3.0", "internal error: " + cause, Optional.empty(), hop);
    }

    /** Carries a failure through a completion stage. */
    public static final class HopFailureException extends Exception {
        private static final long serialVersionUID = 1;
        private final transient HopFailure failure;

        private HopFailureException(HopFailure failure) {
            super(failure.reason(), null, false, false);
            this.failure = failure;
        }

        public HopFailure failure() {
            return failure;
        }
    }
}
