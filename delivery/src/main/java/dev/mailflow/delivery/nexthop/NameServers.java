/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.nexthop;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

import org.xbill.DNS.Address;
import org.xbill.DNS.EDNSOption;
import org.xbill.DNS.ExtendedResolver;
import org.xbill.DNS.Flags;
import org.xbill.DNS.Message;
import org.xbill.DNS.OPTRecord;
import org.xbill.DNS.Rcode;
import org.xbill.DNS.Record;
import org.xbill.DNS.Resolver;
import org.xbill.DNS.SimpleResolver;
import org.xbill.DNS.TSIG;

import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufHolder;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.FixedRecvByteBufAllocator;
import io.netty.channel.socket.nio.NioDatagramChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.LengthFieldBasedFrameDecoder;
import io.netty.handler.codec.LengthFieldPrepender;
import io.netty.util.ReferenceCountUtil;

/**
 * Asks recursive name servers, one after the other, over UDP, and over TCP where an answer does not fit. Each query has
 * a socket of its own, hence an unpredictable port, and an unpredictable identifier; an answer to anything else is not
 * looked at (RFC 5452).
 *
 * <p>The messages are dnsjava's; its own sockets are not used because in the version that James ships a query that is
 * sent while an answer arrives may wait up to a second before it leaves.
 */
// the chains that are not kept end in a future that is
@SuppressWarnings("FutureReturnValueIgnored")
public final class NameServers implements Resolver {
    /** The largest answer that is not fragmented on common networks (DNS flag day 2020). */
    private static final int UDP_PAYLOAD = 1232;

    private static final int LARGEST_MESSAGE = 65_535;
    private static final Pattern WRITTEN = Pattern.compile("(?:\\[([0-9A-Fa-f:.]+)\\]|([0-9.]+))(?::([0-9]{1,5}))?");
    private static final int ROUNDS = 2;
    private static final SecureRandom IDENTIFIERS = new SecureRandom();

    private final EventLoopGroup eventLoops;
    private final List<InetSocketAddress> servers;
    private final Executor executor;
    private volatile Duration patience;
    /** For queries without an OPT record of their own; a validator asks for signatures by them. */
    private volatile int ednsFlags;

    /**
     * @param servers asked in this order; one that does not answer, or cannot, is asked once more after the others
     * @param patience how long one server is waited for
     * @param executor completes the answers
     */
    public NameServers(
            EventLoopGroup eventLoops, List<InetSocketAddress> servers, Duration patience, Executor executor) {
        if (servers.isEmpty()) {
            throw new IllegalArgumentException("servers: found none, expected at least one name server");
        }
        this.eventLoops = eventLoops;
        this.servers = List.copyOf(servers);
        this.patience = patience;
        this.executor = executor;
    }

    /** The servers that a resolver of dnsjava asks; empty: it asks in a way of its own. */
    public static List<InetSocketAddress> of(Resolver resolver) {
        if (resolver instanceof SimpleResolver simple) {
            return List.of(simple.getAddress());
        }
        if (resolver instanceof ExtendedResolver extended) {
            List<InetSocketAddress> all = new ArrayList<>();
            for (Resolver each : extended.getResolvers()) {
                List<InetSocketAddress> addresses = of(each);
                if (addresses.isEmpty()) {
                    return List.of();
                }
                all.addAll(addresses);
            }
            return all;
        }
        return List.of();
    }

    /** A name server as written in a configuration: {@code address} or {@code address:port}, IPv6 in brackets. */
    public static Optional<InetSocketAddress> address(String text) {
        Matcher written = WRITTEN.matcher(text.strip());
        if (!written.matches()) {
            return Optional.empty();
        }
        String literal = written.group(1) == null ? written.group(2) : written.group(1);
        int port = written.group(3) == null ? 53 : Integer.parseInt(written.group(3));
        try {
            return port < 1 || port > LARGEST_MESSAGE
                    ? Optional.empty()
                    : Optional.of(new InetSocketAddress(
                            written.group(1) == null
                                    ? Address.getByAddress(literal)
                                    : Address.getByAddress(literal, Address.IPv6),
                            port));
        } catch (UnknownHostException e) {
            return Optional.empty();
        }
    }

    @Override
    public CompletionStage<Message> sendAsync(Message query) {
        CompletableFuture<Message> answer = new CompletableFuture<>();
        ask(query, 0, Optional.empty(), answer);
        return answer;
    }

    @Override
    public CompletionStage<Message> sendAsync(Message query, Executor unused) {
        return sendAsync(query);
    }

    private void ask(Message query, int attempt, Optional<Message> better, CompletableFuture<Message> answer) {
        InetSocketAddress server = servers.get(attempt % servers.size());
        exchange(query, server, true).whenComplete((message, thrown) -> {
            boolean last = attempt + 1 >= ROUNDS * servers.size();
            if (thrown == null && (!isUnable(message) || last)) {
                complete(answer, () -> answer.complete(message));
            } else if (last) {
                complete(
                        answer,
                        () -> better.ifPresentOrElse(answer::complete, () -> answer.completeExceptionally(thrown)));
            } else if (thrown == null && attempt + 1 >= servers.size()) {
                // an answer all the same: asking again the server that gave it would not change it
                complete(answer, () -> answer.complete(message));
            } else {
                ask(query, attempt + 1, thrown == null ? Optional.of(message) : better, answer);
            }
        });
    }

    private static boolean isUnable(Message message) {
        int rcode = message.getRcode();
        return rcode == Rcode.SERVFAIL || rcode == Rcode.REFUSED || rcode == Rcode.NOTIMP;
    }

    private void complete(CompletableFuture<Message> answer, Runnable completion) {
        try {
            executor.execute(completion);
        } catch (RejectedExecutionException e) {
            answer.completeExceptionally(new IOException("name lookup is shutting down", e));
        }
    }

    private CompletableFuture<Message> exchange(Message query, InetSocketAddress server, boolean extended) {
        Message asked = query.clone();
        asked.getHeader().setID(IDENTIFIERS.nextInt(1 << 16));
        if (extended && asked.getOPT() == null) {
            asked.addRecord(new OPTRecord(UDP_PAYLOAD, 0, 0, ednsFlags), org.xbill.DNS.Section.ADDITIONAL);
        }
        return new Exchange(asked, server, false)
                .result
                .thenCompose(message -> message.getHeader().getFlag(Flags.TC)
                        ? new Exchange(asked, server, true).result
                        : CompletableFuture.completedFuture(message))
                .thenCompose(message -> {
                    // a server from before RFC 6891
                    boolean again = extended && query.getOPT() == null && message.getRcode() == Rcode.FORMERR;
                    if (again) {
                        return exchange(query, server, false);
                    }
                    message.getHeader().setID(query.getHeader().getID());
                    return CompletableFuture.completedFuture(message);
                });
    }

    /** One query to one server over one socket. */
    private final class Exchange {
        private final Message asked;
        private final InetSocketAddress server;
        private final CompletableFuture<Message> result = new CompletableFuture<>();

        Exchange(Message asked, InetSocketAddress server, boolean tcp) {
            this.asked = asked;
            this.server = server;
            ChannelHandler answers = new ChannelInboundHandlerAdapter() {
                @Override
                public void channelRead(ChannelHandlerContext context, Object read) {
                    try {
                        ByteBuf bytes = read instanceof ByteBufHolder holder ? holder.content() : (ByteBuf) read;
                        received(ByteBufUtil.getBytes(bytes));
                    } finally {
                        ReferenceCountUtil.release(read);
                    }
                }

                @Override
                public void channelInactive(ChannelHandlerContext context) {
                    failed(new IOException("closed the connection"));
                }

                @Override
                public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
                    failed(cause);
                }
            };
            Bootstrap bootstrap = new Bootstrap().group(eventLoops);
            if (tcp) {
                bootstrap
                        .channel(NioSocketChannel.class)
                        .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, (int) patience.toMillis())
                        .handler(new ChannelInitializer<>() {
                            @Override
                            protected void initChannel(Channel channel) {
                                channel.pipeline()
                                        .addLast(
                                                new LengthFieldPrepender(2),
                                                new LengthFieldBasedFrameDecoder(LARGEST_MESSAGE + 2, 0, 2, 0, 2),
                                                answers);
                            }
                        });
            } else {
                bootstrap
                        .channel(NioDatagramChannel.class)
                        .option(ChannelOption.RCVBUF_ALLOCATOR, new FixedRecvByteBufAllocator(LARGEST_MESSAGE))
                        .handler(answers);
            }
            ChannelFuture connect = bootstrap.connect(server);
            connect.addListener(done -> {
                if (!done.isSuccess()) {
                    failed(done.cause());
                    return;
                }
                connect.channel()
                        .writeAndFlush(Unpooled.wrappedBuffer(asked.toWire(LARGEST_MESSAGE)))
                        .addListener(sent -> {
                            if (!sent.isSuccess()) {
                                failed(sent.cause());
                            }
                        });
            });
            var limit = connect.channel()
                    .eventLoop()
                    .schedule(
                            () -> failed(new SocketTimeoutException("no answer within " + patience.toMillis() + " ms")),
                            patience.toMillis(),
                            TimeUnit.MILLISECONDS);
            result.whenComplete((message, thrown) -> {
                limit.cancel(false);
                connect.channel().close();
            });
        }

        private void received(byte[] bytes) {
            Message message;
            try {
                message = new Message(bytes);
            } catch (IOException e) {
                // not DNS at all: whoever sent it, the answer may still come
                return;
            }
            Record question = message.getQuestion();
            boolean ours = message.getHeader().getFlag(Flags.QR)
                    && message.getHeader().getID() == asked.getHeader().getID()
                    // some servers repeat no question with an error
                    && (question == null ? message.getRcode() != Rcode.NOERROR : question.equals(asked.getQuestion()));
            if (ours) {
                result.complete(message);
            }
        }

        private void failed(Throwable cause) {
            result.completeExceptionally(new IOException(
                    "name server " + server.getAddress().getHostAddress() + ":" + server.getPort() + ": "
                            + (cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage()),
                    cause));
        }
    }

    @Override
    public Duration getTimeout() {
        return patience.multipliedBy((long) ROUNDS * servers.size());
    }

    @Override
    public void setTimeout(Duration timeout) {
        patience = timeout;
    }

    @Override
    public void setPort(int port) {
        throw new UnsupportedOperationException("each server has its port");
    }

    @Override
    public void setTCP(boolean flag) {
        throw new UnsupportedOperationException("TCP is used where it is needed");
    }

    @Override
    public void setIgnoreTruncation(boolean flag) {
        if (flag) {
            throw new UnsupportedOperationException("truncated answers are asked for again over TCP");
        }
    }

    @Override
    public void setEDNS(int version, int payloadSize, int flags, List<EDNSOption> options) {
        if (version != 0 || !options.isEmpty()) {
            throw new UnsupportedOperationException("a query with options brings its own OPT record");
        }
        // the size of answers stays as it is: more would be fragmented
        ednsFlags = flags;
    }

    @Override
    public void setTSIGKey(TSIG key) {
        throw new UnsupportedOperationException("queries are not signed");
    }

    @Override
    public String toString() {
        return servers.stream()
                .map(each -> each.getAddress().getHostAddress() + ":" + each.getPort())
                .collect(Collectors.joining(", "));
    }
}
