/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;

import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.inbound.SmtpReply;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.ByteToMessageDecoder;

/**
 * Guards a connection whose peer is no configured proxy: one that begins with a PROXY header, of either version, is
 * refused and closed, for its sender wants to be taken for somebody else. Anything else is let through untouched, and
 * this handler leaves the pipeline at the first byte that no PROXY header has.
 *
 * <p>The peer sees {@code 554 5.7.1 PROXY header refused…}.
 */
final class ProxyHeaderRefusal extends ByteToMessageDecoder {
    private static final byte[] VERSION_1 = "PROXY ".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] VERSION_2 = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

    private final IpAddress peer;
    private final boolean onlyProxies;
    private final MailFlowEvents events;
    private boolean refused;

    ProxyHeaderRefusal(IpAddress peer, boolean onlyProxies, MailFlowEvents events) {
        this.peer = peer;
        this.onlyProxies = onlyProxies;
        this.events = events;
    }

    /** Where only proxies may connect, a stranger does not even get the greeting. */
    @Override
    public void channelActive(ChannelHandlerContext context) throws Exception {
        if (onlyProxies) {
            refuse(context, "only proxies may connect here, and " + peer + " is none of <proxies>");
        } else {
            super.channelActive(context);
        }
    }

    @Override
    protected void decode(ChannelHandlerContext context, ByteBuf in, List<Object> out) {
        if (refused) {
            in.skipBytes(in.readableBytes());
        } else if (begins(in, VERSION_1, VERSION_1.length) || begins(in, VERSION_2, VERSION_2.length)) {
            in.skipBytes(in.readableBytes());
            refuse(context, peer + " sent a PROXY header and is none of <proxies>");
        } else if (!mayBecome(in, VERSION_1) && !mayBecome(in, VERSION_2)) {
            // hands what was read to the next handler
            context.pipeline().remove(this);
        }
    }

    private static boolean mayBecome(ByteBuf in, byte[] header) {
        return in.readableBytes() < header.length && begins(in, header, in.readableBytes());
    }

    private static boolean begins(ByteBuf in, byte[] header, int length) {
        if (in.readableBytes() < length) {
            return false;
        }
        for (int i = 0; i < length; i++) {
            if (in.getByte(in.readerIndex() + i) != header[i]) {
                return false;
            }
        }
        return true;
    }

    private void refuse(ChannelHandlerContext context, String reason) {
        refused = true;
        SmtpReply reply = SmtpReply.notAConfiguredProxy(peer);
        events.publish(new MailFlowEvent.Refused(
                new MailFlowEvent.MessageRef("session " + context.channel().id(), Optional.empty()),
                "proxy",
                peer.toString(),
                Optional.empty(),
                Optional.empty(),
                reply.toString(),
                reason));
        context.writeAndFlush(Unpooled.copiedBuffer(reply + "\r\n", StandardCharsets.US_ASCII))
                .addListener(ChannelFutureListener.CLOSE);
    }
}
