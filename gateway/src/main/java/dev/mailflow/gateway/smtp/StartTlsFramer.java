/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import org.apache.james.protocols.netty.AllButStartTlsLineBasedChannelHandler;
import org.apache.james.protocols.netty.CommandInjectionDetectedException;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPipeline;
import io.netty.handler.ssl.SslHandshakeCompletionEvent;
import io.netty.util.AttributeKey;

/**
 * Cuts the client's bytes into lines, and takes none between the reply to STARTTLS and the end of the handshake: what
 * arrives there was sent in plaintext, by whoever stands in between, to be taken for a command of the encrypted session
 * (RFC 3207 section 5). Bytes and the handshake's end come to this handler in the order in which the connection saw
 * them, so nothing slips through while the dialogue is busy.
 */
final class StartTlsFramer extends AllButStartTlsLineBasedChannelHandler {
    private static final AttributeKey<Boolean> AWAITING_TLS = AttributeKey.valueOf("mailflow.awaitingTls");

    StartTlsFramer(ChannelPipeline pipeline, int longestLine) {
        super(pipeline, longestLine, false, "starttls");
    }

    /** From here on only TLS; called on the connection's thread. */
    static void awaitTls(io.netty.channel.Channel channel) {
        channel.attr(AWAITING_TLS).set(true);
    }

    @Override
    protected Object decode(ChannelHandlerContext context, ByteBuf buffer) throws Exception {
        if (Boolean.TRUE.equals(context.channel().attr(AWAITING_TLS).get())) {
            buffer.skipBytes(buffer.readableBytes());
            throw new CommandInjectionDetectedException();
        }
        return super.decode(context, buffer);
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext context, Object event) throws Exception {
        if (event instanceof SslHandshakeCompletionEvent handshake && handshake.isSuccess()) {
            context.channel().attr(AWAITING_TLS).set(false);
        }
        super.userEventTriggered(context, event);
    }
}
