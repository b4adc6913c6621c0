/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;

import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSession;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import dev.mailflow.delivery.HopUsed;
import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.OutboundRecipient;
import dev.mailflow.delivery.SmtpReply;
import dev.mailflow.delivery.SmtpTimeouts;
import dev.mailflow.delivery.TlsUsed;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.DecoderException;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.ScheduledFuture;

/**
 * One connection to one next hop, and the order of what is said on it.
 *
 * <p>All state belongs to the channel's event loop; every future completes there. Each command that was sent waits in
 * {@code expected} for its reply; replies are matched in order, so a flight of pipelined commands is no special case.
 * One timer runs, for the oldest command. What ends the connection ends every waiting command with the same reason:
 * nothing is left hanging.
 *
 * <p>A byte that the peer sends unasked is an error that closes the connection. That covers the command injection of
 * CVE-2011-0411: anything after the reply to STARTTLS and before TLS would have been read as if it came over TLS.
 */
// what goes wrong with a write or a close reaches the channel's handler, which ends the connection
@SuppressWarnings("FutureReturnValueIgnored")
public final class SmtpConnection {
    private static final Logger LOGGER = LoggerFactory.getLogger(SmtpConnection.class);
    private static final Duration QUIT_TIMEOUT = Duration.ofSeconds(2);

    private final HopAddress hop;
    private final String connector;
    private final SmtpTimeouts timeouts;
    private final Executor workers;
    private final boolean tlsGivenUp;
    private final ReplyReader reader = new ReplyReader();
    private final ArrayDeque<Expected> expected = new ArrayDeque<>();
    private final CompletableFuture<Void> closed = new CompletableFuture<>();

    private Channel channel;
    private Optional<ScheduledFuture<?>> timer = Optional.empty();
    private Optional<HopFailure> failure = Optional.empty();
    private Optional<Transaction> transaction = Optional.empty();
    private volatile EhloCapabilities capabilities = EhloCapabilities.NONE;
    private volatile HopUsed used;
    private volatile Optional<InetAddress> ourAddress = Optional.empty();
    private volatile Optional<SSLSession> tlsSession = Optional.empty();
    private boolean tlsUnconfirmed;
    private boolean needsReset;
    private boolean quitting;
    private volatile boolean retired;
    private final AtomicInteger messages = new AtomicInteger();
    private final AtomicLong progress = new AtomicLong();

    /** @param tlsGivenUp it is plaintext only because TLS had failed on the connection before */
    SmtpConnection(HopAddress hop, String connector, SmtpTimeouts timeouts, Executor workers, boolean tlsGivenUp) {
        this.hop = hop;
        this.connector = connector;
        this.timeouts = timeouts;
        this.workers = workers;
        this.tlsGivenUp = tlsGivenUp;
        this.used = hop.used();
    }

    private record Expected(String command, CompletableFuture<SmtpReply> reply, Optional<Duration> timeout) {}

    /**
     * Sends one message to some of its recipients. One message at a time.
     *
     * @return never completes exceptionally; completes on the event loop
     */
    public CompletionStage<TransactionResult> send(
            OutboundMessage message, List<OutboundRecipient> recipients, PreparedContent content) {
        CompletableFuture<TransactionResult> result = new CompletableFuture<>();
        inLoop(() -> {
            Transaction next = new Transaction(this, message, recipients, content, needsReset, result);
            if (failure.isPresent()) {
                next.abort(failure.get());
                return;
            }
            messages.incrementAndGet();
            transaction = Optional.of(next);
            next.start();
        });
        return result;
    }

    /** What the next hop offers now. */
    public EhloCapabilities capabilities() {
        return capabilities;
    }

    public HopUsed hop() {
        return used;
    }

    /** How many messages were begun on it. */
    public int messages() {
        return messages.get();
    }

    /** Changes whenever the peer has said something or taken a part of a message. */
    public long progress() {
        return progress.get();
    }

    /** Whether another message may be sent on it. */
    public boolean isReusable() {
        return !retired && channel.isActive();
    }

    /** Completes when the connection is no more; never exceptionally. */
    public CompletionStage<Void> closed() {
        return closed;
    }

    /** Says QUIT and closes; a connection on which a message is under way is closed at once. */
    public void quit() {
        inLoop(() -> {
            if (quitting || failure.isPresent()) {
                return;
            }
            retired = true;
            if (transaction.isPresent() || !expected.isEmpty()) {
                abort(Optional.empty());
                return;
            }
            quitting = true;
            command("QUIT", QUIT_TIMEOUT).whenComplete((reply, thrown) -> channel.close());
        });
    }

    /** Closes at once; what is under way fails with the given failure. */
    public void close(HopFailure reason) {
        inLoop(() -> abort(Optional.of(reason)));
    }

    private void inLoop(Runnable action) {
        if (channel.eventLoop().inEventLoop()) {
            action.run();
        } else {
            channel.eventLoop().execute(action);
        }
    }

    // --- everything below runs on the event loop ---

    /** The handler to be added to the channel's pipeline, before the channel is connected. */
    ChannelInboundHandlerAdapter handler(Channel owner) {
        this.channel = owner;
        return new Inbound();
    }

    Channel channel() {
        return channel;
    }

    SmtpTimeouts timeouts() {
        return timeouts;
    }

    Executor workers() {
        return workers;
    }

    HopAddress address() {
        return hop;
    }

    String connector() {
        return connector;
    }

    void capabilities(EhloCapabilities now) {
        capabilities = now;
    }

    /** Waits for a reply without a command of its own. */
    CompletableFuture<SmtpReply> expect(String awaited, Optional<Duration> timeout) {
        CompletableFuture<SmtpReply> reply = new CompletableFuture<>();
        if (failure.isPresent()) {
            reply.completeExceptionally(failure.get().asException());
            return reply;
        }
        Expected entry = new Expected(awaited, reply, timeout);
        expected.add(entry);
        if (expected.size() == 1) {
            armFor(entry);
        }
        return reply;
    }

    /** Sends one command; {@code line} must hold no control character. */
    CompletableFuture<SmtpReply> command(String line, Duration timeout) {
        return command(line, line, timeout);
    }

    /** Sends one command that must not be told to anybody; {@code shown} stands for it in errors. */
    CompletableFuture<SmtpReply> command(String line, String shown, Duration timeout) {
        CompletableFuture<SmtpReply> reply = expect(shown, Optional.of(timeout));
        write(line + "\r\n");
        return reply;
    }

    void write(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        channel.writeAndFlush(channel.alloc().buffer(bytes.length).writeBytes(bytes))
                .addListener(ChannelFutureListener.CLOSE_ON_FAILURE);
    }

    /** Adds TLS to the pipeline and completes when the handshake has ended. */
    CompletableFuture<SSLSession> startTls(SSLEngine engine, Executor tasks) {
        CompletableFuture<SSLSession> done = new CompletableFuture<>();
        SslHandler handler = new SslHandler(engine, tasks);
        handler.setHandshakeTimeoutMillis(timeouts.tls().toMillis());
        // a close_notify that the peer does not answer must not keep the connection
        handler.setCloseNotifyReadTimeoutMillis(0);
        handler.setCloseNotifyFlushTimeoutMillis(QUIT_TIMEOUT.toMillis());
        tlsUnconfirmed = true;
        channel.pipeline().addFirst(handler);
        handler.handshakeFuture().addListener(result -> {
            if (result.isSuccess()) {
                done.complete(engine.getSession());
            } else {
                abort(Optional.of(tlsFailure(result.cause())));
                done.completeExceptionally(
                        failure.orElseGet(() -> tlsFailure(result.cause())).asException());
            }
        });
        return done;
    }

    /** Whether what is said now is inside TLS. */
    boolean isSecured() {
        return used.tls().isPresent();
    }

    /** Whether it is plaintext only because TLS had failed on the connection before. */
    boolean isTlsGivenUp() {
        return tlsGivenUp;
    }

    void tlsEstablished(TlsUsed tls, SSLSession session) {
        used = hop.used(tls);
        tlsSession = Optional.of(session);
    }

    /** Where it comes from; empty: it is not there. */
    public Optional<InetAddress> ourAddress() {
        return ourAddress;
    }

    /** Empty: plaintext. */
    public Optional<SSLSession> tlsSession() {
        return tlsSession;
    }

    HopFailure failure(HopFailure.Kind kind, String status, String reason) {
        return new HopFailure(kind, status, reason, Optional.empty(), Optional.of(used)).from(ourAddress());
    }

    HopFailure failure(HopFailure.Kind kind, SmtpReply reply, String reason) {
        return new HopFailure(kind, transientStatus(reply), reason, Optional.of(reply), Optional.of(used))
                .from(ourAddress());
    }

    /** The status of a reply that defers, whatever its class. */
    static String transientStatus(SmtpReply reply) {
        return reply.enhancedStatus().map(status -> "4" + status.substring(1)).orElse("4.0.0");
    }

    HopFailure tlsFailure(Throwable cause) {
        HopFailure failed = failure(HopFailure.Kind.TLS, "4.7.5", TlsFailureText.describe(connector, hop, cause));
        return TlsFailureText.refusal(cause)
                .map(refused -> {
                    HopFailure known = failed.because(refused.fault());
                    return refused.isOfPeer() ? known.forGood() : known;
                })
                .orElse(failed);
    }

    /** The transaction is over; {@code reset}: the next one must begin with RSET. */
    void transactionOver(boolean reset) {
        transaction = Optional.empty();
        needsReset = reset;
    }

    /** No further message after this one. */
    void retire() {
        retired = true;
    }

    /** Ends the connection at once. */
    void abort(Optional<HopFailure> reason) {
        if (failure.isPresent()) {
            return;
        }
        HopFailure why = reason.orElseGet(() -> failure(
                HopFailure.Kind.LOST, "4.4.2", "the connection to " + hop + " was closed while idle or by our side"));
        failure = Optional.of(why);
        retired = true;
        disarm();
        channel.close();
        LOGGER.debug("connector={} nextHop={} connection ends: {}", connector, hop, why.reason());
        while (!expected.isEmpty()) {
            expected.poll().reply().completeExceptionally(why.asException());
        }
        transaction.ifPresent(current -> current.abort(why));
        transaction = Optional.empty();
    }

    /** Runs until {@link #disarm()} or the next arming. */
    void arm(Duration timeout, Supplier<HopFailure> onTimeout) {
        disarm();
        timer = Optional.of(channel.eventLoop()
                .schedule(() -> abort(Optional.of(onTimeout.get())), timeout.toNanos(), TimeUnit.NANOSECONDS));
    }

    void disarm() {
        timer.ifPresent(running -> running.cancel(false));
        timer = Optional.empty();
    }

    private void armFor(Expected entry) {
        entry.timeout()
                .ifPresent(timeout -> arm(
                        timeout,
                        () -> failure(
                                tlsUnconfirmed ? HopFailure.Kind.TLS : HopFailure.Kind.LOST,
                                "4.4.2",
                                "timed out after " + timeout.toMillis() / 1000.0 + " s waiting for the reply of " + hop
                                        + " to " + entry.command())));
    }

    private void onReply(SmtpReply reply, boolean more) {
        Optional<Expected> awaited = Optional.ofNullable(expected.poll());
        progress.incrementAndGet();
        tlsUnconfirmed = false;
        if (reply.code() == 421) {
            // RFC 5321 section 3.8: the next hop is closing
            retired = true;
        }
        if (awaited.isEmpty()) {
            // a 421 to an idle client is how a next hop ends a connection that it finds too old, as by closing it
            abort(Optional.of(failure(
                    reply.code() == 421 ? HopFailure.Kind.LOST : HopFailure.Kind.PROTOCOL,
                    "4.5.0",
                    hop + " sent a reply that was not asked for: " + reply)));
            return;
        }
        if (awaited.get().command().equals("STARTTLS") && reply.isPositive() && more) {
            abort(Optional.of(failure(
                    HopFailure.Kind.TLS,
                    "4.7.5",
                    hop + " sent plaintext after its reply to STARTTLS: the connection may be under attack")));
            awaited.get().reply().completeExceptionally(failure.orElseThrow().asException());
            return;
        }
        disarm();
        Optional.ofNullable(expected.peek()).ifPresent(this::armFor);
        awaited.get().reply().complete(reply);
    }

    private final class Inbound extends ChannelInboundHandlerAdapter {

        @Override
        public void channelActive(ChannelHandlerContext context) throws Exception {
            // a channel that is closed has forgotten it
            if (context.channel().localAddress() instanceof InetSocketAddress address) {
                ourAddress = Optional.of(address.getAddress());
            }
            super.channelActive(context);
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            try {
                if (failure.isEmpty()) {
                    reader.read((ByteBuf) message, SmtpConnection.this::onReply);
                }
            } catch (ReplyReader.ReplySyntaxException e) {
                abort(Optional.of(failure(HopFailure.Kind.PROTOCOL, "4.5.0", hop + " sent " + e.getMessage())));
            } finally {
                ReferenceCountUtil.release(message);
            }
        }

        @Override
        public void channelWritabilityChanged(ChannelHandlerContext context) {
            progress.incrementAndGet();
            transaction.ifPresent(Transaction::writabilityChanged);
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            abort(Optional.of(tlsUnconfirmed ? tlsFailure(new IOException("closed by the peer")) : lost("was closed")));
            closed.complete(null);
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable thrown) {
            Throwable cause =
                    thrown instanceof DecoderException && thrown.getCause() != null ? thrown.getCause() : thrown;
            // With TLS 1.3 the peer judges our certificate after our side has finished the handshake: until the first
            // reply has come, whatever breaks is a TLS failure.
            if (tlsUnconfirmed) {
                abort(Optional.of(tlsFailure(cause)));
            } else if (cause instanceof SSLException || cause instanceof IOException) {
                abort(Optional.of(lost("broke (" + cause.getMessage() + ")")));
            } else {
                LOGGER.error("connector={} nextHop={} internal error", connector, hop, cause);
                abort(Optional.of(lost("was given up after an internal error (" + cause + ")")));
            }
        }

        private HopFailure lost(String how) {
            String waiting = Optional.ofNullable(expected.peek())
                    .map(entry -> " while waiting for the reply to " + entry.command())
                    .orElse("");
            return failure(HopFailure.Kind.LOST, "4.4.2", "the connection to " + hop + " " + how + waiting);
        }
    }
}
