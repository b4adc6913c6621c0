/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import java.util.Optional;

import org.apache.james.protocols.api.Protocol;
import org.apache.james.protocols.api.ProtocolSession;
import org.apache.james.protocols.netty.Encryption;
import org.apache.james.protocols.netty.HandlerConstants;
import org.apache.james.protocols.netty.NettyProtocolTransport;
import org.apache.james.smtpserver.netty.SMTPChannelInboundHandler;
import org.apache.james.smtpserver.netty.SmtpMetrics;

import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.haproxy.HAProxyCommand;
import io.netty.handler.codec.haproxy.HAProxyMessage;
import io.netty.handler.codec.haproxy.HAProxyProxiedProtocol;

/** James's SMTP dialogue, fit to run on another thread than the event loop of its connection. */
final class SmtpDialogue extends SMTPChannelInboundHandler {

    SmtpDialogue(Protocol protocol, Optional<Encryption> encryption, SmtpMetrics metrics) {
        super(protocol, encryption.orElse(null), false, metrics);
    }

    @Override
    protected ProtocolSession createSession(ChannelHandlerContext context) {
        return protocol.newSession(new Transport(context.channel(), Optional.ofNullable(secure)));
    }

    /** A proxy's own connection, such as a health check, names no client: its address is the proxy's. */
    @Override
    public void channelRead(ChannelHandlerContext context, Object message) throws Exception {
        if (message instanceof HAProxyMessage header
                && (header.command() == HAProxyCommand.LOCAL
                        || header.proxiedProtocol() == HAProxyProxiedProtocol.UNKNOWN)) {
            header.release();
            return;
        }
        super.channelRead(context, message);
    }

    private static final class Transport extends NettyProtocolTransport {
        private final Channel channel;
        private final Optional<Encryption> encryption;

        Transport(Channel channel, Optional<Encryption> encryption) {
            super(channel, encryption.orElse(null), false);
            this.channel = channel;
            this.encryption = encryption;
        }

        /** The reply to STARTTLS leaves in plaintext and everything after it in TLS: one step of the event loop does both. */
        @Override
        protected void writeToClient(byte[] bytes, ProtocolSession session, boolean startTls) {
            if (!startTls) {
                super.writeToClient(bytes, session, false);
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
    }
}
