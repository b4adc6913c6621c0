/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

import javax.net.ssl.SSLException;

import org.apache.james.protocols.api.Protocol;
import org.apache.james.protocols.api.ProtocolSession;
import org.apache.james.protocols.api.ProtocolSession.State;
import org.apache.james.protocols.api.Response;
import org.apache.james.protocols.netty.CommandInjectionDetectedException;
import org.apache.james.protocols.netty.Encryption;
import org.apache.james.protocols.netty.HandlerConstants;
import org.apache.james.protocols.netty.NettyProtocolTransport;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.smtpserver.netty.SMTPChannelInboundHandler;
import org.apache.james.smtpserver.netty.SmtpMetrics;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.common.base.Throwables;

import dev.mailflow.hooks.Refusals;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.DecoderException;
import io.netty.handler.codec.TooLongFrameException;
import io.netty.handler.codec.haproxy.HAProxyCommand;
import io.netty.handler.codec.haproxy.HAProxyMessage;
import io.netty.handler.codec.haproxy.HAProxyProtocolException;
import io.netty.handler.codec.haproxy.HAProxyProxiedProtocol;

/**
 * James's SMTP dialogue, fit to run on another thread than the event loop of its connection. Every refusal is one event: of
 * those that no hook told, this tells, whether James made them or they are below SMTP. What a stranger can cause is a
 * line in the log, never a stack trace.
 */
final class SmtpDialogue extends SMTPChannelInboundHandler {
    private static final Logger LOGGER = LoggerFactory.getLogger(SmtpDialogue.class);
    private static final Complaint BY_THE_SERVER =
            new Complaint("protocol", "the SMTP server itself refused it, as its reply says");

    private final MailFlowEvents events;
    private final int longestLine;
    /** Line handlers in the place of commands: a message's content or an authentication is being read. */
    private final AtomicInteger reading = new AtomicInteger();

    private Optional<Transport> transport = Optional.empty();

    SmtpDialogue(
            Protocol protocol,
            Optional<Encryption> encryption,
            SmtpMetrics metrics,
            MailFlowEvents events,
            int longestLine) {
        super(protocol, encryption.orElse(null), false, metrics);
        this.events = events;
        this.longestLine = longestLine;
    }

    /** Why something is refused, for the event. */
    private record Complaint(String stage, String reason) {}

    @Override
    protected ProtocolSession createSession(ChannelHandlerContext context) {
        Transport created = new Transport(context.channel(), Optional.ofNullable(secure), events);
        transport = Optional.of(created);
        return protocol.newSession(created);
    }

    /** A proxy's own connection, such as a health check, names no client: its address is the proxy's. */
    @Override
    public void channelRead(ChannelHandlerContext context, Object message) throws Exception {
        if (message instanceof HAProxyMessage header) {
            boolean namesNobody = header.command() == HAProxyCommand.LOCAL
                    || header.proxiedProtocol() == HAProxyProxiedProtocol.UNKNOWN;
            boolean isTcp = header.proxiedProtocol() == HAProxyProxiedProtocol.TCP4
                    || header.proxiedProtocol() == HAProxyProxiedProtocol.TCP6;
            if (namesNobody || !isTcp) {
                HAProxyProxiedProtocol found = header.proxiedProtocol();
                header.release();
                if (!namesNobody) {
                    refuse(
                            context,
                            new Complaint("proxy", "the PROXY header is of " + found + ", expected TCP4 or TCP6"));
                }
                return;
            }
        }
        super.channelRead(context, message);
    }

    @Override
    protected void cleanup(ChannelHandlerContext context) {
        session(context)
                .filter(GatewaySmtpSession.class::isInstance)
                .map(GatewaySmtpSession.class::cast)
                .ifPresent(GatewaySmtpSession::forgetMessage);
        super.cleanup(context);
    }

    @Override
    public void pushLineHandler(ChannelInboundHandlerAdapter handler) {
        reading.incrementAndGet();
        super.pushLineHandler(handler);
    }

    @Override
    public void popLineHandler() {
        reading.updateAndGet(count -> Math.max(0, count - 1));
        super.popLineHandler();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable failure) throws Exception {
        Throwable cause = Throwables.getRootCause(failure);
        if (failure instanceof TooLongFrameException) {
            lineTooLong(context);
        } else if (failure instanceof HAProxyProtocolException) {
            refuse(context, new Complaint("proxy", "the PROXY header cannot be read: " + failure.getMessage()));
        } else if (cause instanceof CommandInjectionDetectedException) {
            refuse(context, new Complaint("protocol", "commands came in plaintext along with STARTTLS"));
        } else if (cause instanceof SSLException) {
            events.publish(new MailFlowEvent.Refused(
                    new MailFlowEvent.MessageRef("session " + context.channel().id(), Optional.empty()),
                    "tls",
                    transport.map(Transport::client).orElse("unknown"),
                    Optional.empty(),
                    Optional.empty(),
                    "connection closed",
                    "TLS failed: " + cause.getMessage()));
            close(context);
        } else if (failure instanceof DecoderException && cause instanceof IndexOutOfBoundsException) {
            // Netty's decoder believes the lengths that the fields of version 2 state
            refuse(context, new Complaint("proxy", "the PROXY header ends before one of its fields does"));
        } else if (cause instanceof IOException) {
            LOGGER.info(
                    "event=connection-lost client={} reason=\"{}\"",
                    transport.map(Transport::client).orElse("unknown"),
                    cause.getMessage());
            close(context);
        } else {
            super.exceptionCaught(context, failure);
        }
    }

    /**
     * A command that is too long is refused by itself. A message of which a line is missing must not be taken, and what its
     * client sends before it reads the reply must not be taken for commands: the connection ends.
     */
    private void lineTooLong(ChannelHandlerContext context) {
        Complaint complaint = new Complaint("protocol", "a line is longer than " + longestLine + " bytes");
        if (reading.get() > 0) {
            refuse(context, complaint, ProtocolSession::newLineTooLongResponse);
        } else {
            answer(context, complaint, ProtocolSession::newLineTooLongResponse);
        }
    }

    private void refuse(ChannelHandlerContext context, Complaint complaint) {
        refuse(context, complaint, ProtocolSession::newFatalErrorResponse);
    }

    private void refuse(ChannelHandlerContext context, Complaint complaint, Reply reply) {
        answer(context, complaint, reply);
        session(context)
                .ifPresentOrElse(
                        session -> transport.ifPresent(known -> known.writeResponse(Response.DISCONNECT, session)),
                        () -> close(context));
    }

    private static void close(ChannelHandlerContext context) {
        context.writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(ChannelFutureListener.CLOSE);
    }

    private void answer(ChannelHandlerContext context, Complaint complaint, Reply reply) {
        session(context)
                .ifPresent(session -> transport.ifPresent(known -> {
                    known.complaint = complaint;
                    known.writeResponse(reply.of(session), session);
                }));
    }

    private static Optional<ProtocolSession> session(ChannelHandlerContext context) {
        return Optional.ofNullable(context.channel().attr(SESSION_ATTRIBUTE_KEY).get())
                .filter(ProtocolSession.class::isInstance)
                .map(ProtocolSession.class::cast);
    }

    private interface Reply {
        Response of(ProtocolSession session);
    }

    private static final class Transport extends NettyProtocolTransport {
        private final Channel channel;
        private final Optional<Encryption> encryption;
        private final MailFlowEvents events;
        private Complaint complaint = BY_THE_SERVER;
        /** James forgets the sender before it answers to the end of the content. */
        private Optional<String> sender = Optional.empty();

        private Optional<ProtocolSession> session = Optional.empty();

        Transport(Channel channel, Optional<Encryption> encryption, MailFlowEvents events) {
            super(channel, encryption.orElse(null), false);
            this.channel = channel;
            this.encryption = encryption;
            this.events = events;
        }

        /** The address that the PROXY header named, if there was one. */
        String client() {
            return IpAddress.of(session.map(ProtocolSession::getRemoteAddress)
                            .orElseGet(this::getRemoteAddress)
                            .getAddress())
                    .toString();
        }

        /** The reply to STARTTLS leaves in plaintext and everything after it in TLS: one step of the event loop does both. */
        @Override
        protected void writeToClient(byte[] bytes, ProtocolSession answered, boolean startTls) {
            session = Optional.of(answered);
            tell(bytes, answered);
            if (!startTls) {
                super.writeToClient(bytes, answered, false);
                return;
            }
            StartTlsFramer.awaitTls(channel);
            channel.eventLoop().execute(() -> {
                channel.writeAndFlush(Unpooled.wrappedBuffer(bytes))
                        .addListener(ChannelFutureListener.CLOSE_ON_FAILURE);
                channel.pipeline()
                        .addFirst(
                                HandlerConstants.SSL_HANDLER,
                                encryption.orElseThrow().sslHandler());
            });
        }

        private void tell(byte[] bytes, ProtocolSession answered) {
            Optional<String> current = answered.getAttachment(SMTPSession.SENDER, State.Transaction)
                    .map(known -> known.asString("<>"));
            boolean refusal = bytes.length > 0 && (bytes[0] == '4' || bytes[0] == '5');
            if (refusal) {
                String reply = new String(bytes, StandardCharsets.US_ASCII).strip();
                if (!Refusals.isTold(answered, reply)) {
                    events.publish(new MailFlowEvent.Refused(
                            new MailFlowEvent.MessageRef("session " + answered.getSessionID(), Optional.empty()),
                            complaint.stage(),
                            client(),
                            current.or(() -> sender),
                            Optional.empty(),
                            reply,
                            complaint.reason()));
                }
            }
            complaint = BY_THE_SERVER;
            sender = current;
        }
    }
}
