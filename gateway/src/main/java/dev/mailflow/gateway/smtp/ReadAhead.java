/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import java.util.concurrent.atomic.AtomicInteger;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;

/**
 * Bounds what is read from a client before its dialogue gets to it. The event loop reads as fast as a client sends and
 * hands on to threads that may block; without a bound, clients who send faster than these threads work would fill the
 * memory of the process, and every connection of it would suffer. Beyond {@value #MOST_BYTES} bytes the connection is not
 * read until less than {@value #FEW_BYTES} are left: TCP tells the client to wait.
 *
 * <p>The two handlers of one connection stand where its bytes change threads: {@link #loop} is the last on the event loop,
 * {@link #dialogue} the first on the thread that may block.
 */
final class ReadAhead {
    static final int MOST_BYTES = 128 * 1024;
    static final int FEW_BYTES = 32 * 1024;

    private final AtomicInteger waiting = new AtomicInteger();

    /** Counts what is handed on, on the event loop. */
    ChannelHandler loop() {
        return new ChannelInboundHandlerAdapter() {
            @Override
            public void channelRead(ChannelHandlerContext context, Object message) {
                // before it is handed on: whoever has worked it off sees that reading has stopped
                if (waiting.addAndGet(size(message)) > MOST_BYTES) {
                    context.channel().config().setAutoRead(false);
                }
                context.fireChannelRead(message);
            }
        };
    }

    /** Counts what is worked off when it comes back, on the thread that may block. */
    ChannelHandler dialogue() {
        return new ChannelInboundHandlerAdapter() {
            @Override
            public void channelRead(ChannelHandlerContext context, Object message) {
                int size = size(message);
                try {
                    context.fireChannelRead(message);
                } finally {
                    if (waiting.addAndGet(-size) < FEW_BYTES
                            && !context.channel().config().isAutoRead()) {
                        context.channel().eventLoop().execute(() -> goOn(context));
                    }
                }
            }
        };
    }

    private void goOn(ChannelHandlerContext context) {
        if (waiting.get() < FEW_BYTES) {
            context.channel().config().setAutoRead(true);
        }
    }

    private static int size(Object message) {
        return message instanceof ByteBuf bytes ? bytes.readableBytes() : 0;
    }
}
