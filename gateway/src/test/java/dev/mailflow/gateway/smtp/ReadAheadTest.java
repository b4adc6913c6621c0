/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.util.concurrent.DefaultEventExecutorGroup;
import io.netty.util.concurrent.EventExecutorGroup;

class ReadAheadTest {
    private static final long SENT = 256L * 1024 * 1024;
    private static final Duration PATIENCE = Duration.ofMinutes(1);

    private final NioEventLoopGroup loops = new NioEventLoopGroup(1);
    private final EventExecutorGroup mayBlock = new DefaultEventExecutorGroup(1);
    private final CountDownLatch blocked = new CountDownLatch(1);
    private final AtomicLong handedOn = new AtomicLong();
    private final AtomicLong workedOff = new AtomicLong();
    private final AtomicReference<Channel> connection = new AtomicReference<>();
    private Channel server;

    @BeforeEach
    void serve() {
        server = new ServerBootstrap()
                .group(loops)
                .channel(NioServerSocketChannel.class)
                .childHandler(new ChannelInitializer<>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        connection.set(channel);
                        ReadAhead readAhead = new ReadAhead();
                        channel.pipeline().addLast(new ChannelInboundHandlerAdapter() {
                            @Override
                            public void channelRead(ChannelHandlerContext context, Object message) {
                                handedOn.addAndGet(((ByteBuf) message).readableBytes());
                                context.fireChannelRead(message);
                            }
                        });
                        channel.pipeline().addLast(readAhead.loop());
                        channel.pipeline().addLast(mayBlock, readAhead.dialogue());
                        channel.pipeline().addLast(mayBlock, new SlowDialogue());
                    }
                })
                .bind(InetAddress.getLoopbackAddress(), 0)
                .syncUninterruptibly()
                .channel();
    }

    @AfterEach
    void stop() {
        blocked.countDown();
        server.close().syncUninterruptibly();
        loops.shutdownGracefully(0, 1, TimeUnit.SECONDS).syncUninterruptibly();
        mayBlock.shutdownGracefully(0, 1, TimeUnit.SECONDS).syncUninterruptibly();
    }

    private final class SlowDialogue extends ChannelInboundHandlerAdapter {
        @Override
        public void channelRead(ChannelHandlerContext context, Object message) throws InterruptedException {
            ByteBuf bytes = (ByteBuf) message;
            try {
                blocked.await();
                workedOff.addAndGet(bytes.readableBytes());
            } finally {
                bytes.release();
            }
        }
    }

    @Test
    void shouldLetAClientWaitWhoseDialogueIsBlockedAndLoseNothing() throws IOException {
        try (SocketChannel client = SocketChannel.open((InetSocketAddress) server.localAddress())) {
            client.configureBlocking(false);
            long sent = 0;
            ByteBuffer piece = ByteBuffer.allocate(64 * 1024);
            boolean full = false;
            while (sent < SENT && !full) {
                int written = client.write(piece.clear());
                sent += written;
                full = written == 0 && isHeldBack();
            }

            assertThat(sent).isLessThan(SENT);
            // what one read of a socket brings may come on top
            assertThat(handedOn).hasValueLessThanOrEqualTo(ReadAhead.MOST_BYTES + 64 * 1024);

            blocked.countDown();
            client.configureBlocking(true);
            long goal = sent + 4L * ReadAhead.MOST_BYTES;
            while (sent < goal) {
                sent += client.write(piece.clear());
            }
            long all = sent;
            await().atMost(PATIENCE).until(() -> workedOff.get() == all);
            await().atMost(PATIENCE).until(() -> connection.get().config().isAutoRead());
        }
    }

    private boolean isHeldBack() {
        Channel channel = connection.get();
        return channel != null && !channel.config().isAutoRead();
    }
}
