/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.https;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.cert.CertificateException;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

import javax.net.ssl.SSLEngine;

import dev.mailflow.delivery.nexthop.NextHopResolver;
import dev.mailflow.delivery.nexthop.NextHopResolver.Family;
import dev.mailflow.delivery.nexthop.Resolution;
import dev.mailflow.delivery.tls.CertificateRefusedException;
import dev.mailflow.delivery.tls.PeerIdentity;
import dev.mailflow.delivery.tls.TlsClients;
import dev.mailflow.delivery.tls.TlsFault;
import dev.mailflow.policy.connector.TlsRequirement;
import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.ssl.SslHandler;

/**
 * The little of HTTPS that mail needs: one request, one bounded answer, over a verified connection to an address that our
 * own DNS gave. Redirects are answers like any other. Nothing blocks an event loop.
 */
// the chains that are not kept end in a future that is
@SuppressWarnings("FutureReturnValueIgnored")
public final class HttpsClient {
    private static final Duration CONNECT = Duration.ofSeconds(10);
    private static final int MOST_ADDRESSES = 3;

    private final EventLoopGroup eventLoops;
    private final NextHopResolver resolver;
    private final TlsClients tls;
    private final Executor tlsTasks;
    private final TlsRequirement requirement;
    private final int port;
    private final Duration limit;

    /**
     * @param tlsTasks checks certificates, which may block
     * @param requirement level {@code domain} with the authorities trusted
     * @param port where HTTPS servers listen
     * @param limit for a whole exchange
     */
    public HttpsClient(
            EventLoopGroup eventLoops,
            NextHopResolver resolver,
            TlsClients tls,
            Executor tlsTasks,
            TlsRequirement requirement,
            int port,
            Duration limit) {
        this.eventLoops = eventLoops;
        this.resolver = resolver;
        this.tls = tls;
        this.tlsTasks = tlsTasks;
        this.requirement = requirement;
        this.port = port;
        this.limit = limit;
    }

    /** @param mediaType in lower case, without parameters; empty: not said */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    public record Response(int status, String mediaType, byte[] content) {
        public String text() {
            return new String(content, StandardCharsets.UTF_8);
        }
    }

    /** The port of URLs that name none. */
    public int port() {
        return port;
    }

    /** @param most bytes of an answer; a larger one is an error */
    public CompletionStage<Response> get(String host, String path, int most) {
        return exchange(host, port, most, new DefaultFullHttpRequest(HttpVersion.HTTP_1_1, HttpMethod.GET, path));
    }

    public CompletionStage<Response> post(String host, int hostPort, String path, String mediaType, byte[] content) {
        DefaultFullHttpRequest request = new DefaultFullHttpRequest(
                HttpVersion.HTTP_1_1, HttpMethod.POST, path, Unpooled.wrappedBuffer(content));
        request.headers()
                .set(HttpHeaderNames.CONTENT_TYPE, mediaType)
                .set(HttpHeaderNames.CONTENT_LENGTH, content.length);
        return exchange(host, hostPort, 64 * 1024, request);
    }

    /** Whether an exchange failed because the server's certificate is not to be trusted. */
    public static boolean isCertificateFault(Throwable thrown) {
        for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
            if (cause instanceof CertificateException) {
                return true;
            }
        }
        return false;
    }

    private CompletionStage<Response> exchange(String host, int hostPort, int most, DefaultFullHttpRequest request) {
        request.headers()
                .set(HttpHeaderNames.HOST, hostPort == 443 ? host : host + ":" + hostPort)
                .set(HttpHeaderNames.CONNECTION, "close")
                .set(HttpHeaderNames.USER_AGENT, "Mailflow");
        CompletableFuture<Response> whole = resolver.addresses(host, Family.IPV4)
                .thenCompose(four -> four instanceof Resolution.Found<InetAddress>
                        ? CompletableFuture.completedFuture(four)
                        : resolver.addresses(host, Family.IPV6))
                .thenCompose(addresses -> {
                    if (addresses instanceof Resolution.Nowhere<InetAddress>) {
                        return CompletableFuture.failedFuture(new IOException("host '" + host + "' has no address"));
                    }
                    List<InetAddress> few = addresses
                            .choices()
                            .subList(
                                    0,
                                    Math.min(MOST_ADDRESSES, addresses.choices().size()));
                    return first(few, host, hostPort, most, request);
                })
                .toCompletableFuture()
                .orTimeout(limit.toMillis(), TimeUnit.MILLISECONDS);
        return whole.whenComplete((response, thrown) -> request.release());
    }

    private CompletableFuture<Response> first(
            List<InetAddress> addresses, String host, int hostPort, int most, DefaultFullHttpRequest request) {
        CompletableFuture<Response> response =
                once(new InetSocketAddress(addresses.get(0), hostPort), host, most, request.copy());
        if (addresses.size() == 1) {
            return response;
        }
        return response.handle((answer, thrown) -> thrown == null || isCertificateFault(thrown)
                        ? response
                        : first(addresses.subList(1, addresses.size()), host, hostPort, most, request))
                .thenCompose(next -> next);
    }

    private CompletableFuture<Response> once(
            InetSocketAddress address, String host, int most, io.netty.handler.codec.http.FullHttpRequest request) {
        CompletableFuture<Response> response = new CompletableFuture<>();
        PeerIdentity identity;
        SSLEngine engine;
        try {
            identity = PeerIdentity.alternativeName(host)
                    .orElseThrow(() -> new CertificateRefusedException(
                            TlsFault.CERTIFICATE_HOST_MISMATCH, "no certificate can be named '" + host + "'"));
            engine = tls.engine(requirement, Optional.empty(), host, address.getPort());
        } catch (GeneralSecurityException e) {
            request.release();
            return CompletableFuture.failedFuture(e);
        }
        Bootstrap bootstrap = new Bootstrap()
                .group(eventLoops)
                .channel(NioSocketChannel.class)
                .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, (int) CONNECT.toMillis())
                .handler(new ChannelInitializer<>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        SslHandler secured = new SslHandler(engine, tlsTasks);
                        secured.setHandshakeTimeoutMillis(CONNECT.toMillis());
                        channel.pipeline()
                                .addLast(
                                        secured,
                                        new HttpClientCodec(),
                                        new HttpObjectAggregator(most),
                                        new Answer(response));
                        secured.handshakeFuture().addListener(done -> {
                            if (!done.isSuccess()) {
                                request.release();
                                response.completeExceptionally(done.cause());
                                return;
                            }
                            try {
                                tls.verify(engine.getSession(), requirement, Optional.of(identity), Optional.empty());
                            } catch (CertificateRefusedException e) {
                                engine.getSession().invalidate();
                                request.release();
                                response.completeExceptionally(e);
                                return;
                            }
                            channel.writeAndFlush(request);
                        });
                    }
                });
        var connect = bootstrap.connect(address);
        connect.addListener(done -> {
            if (!done.isSuccess()) {
                response.completeExceptionally(done.cause());
            }
        });
        // also when the whole exchange is given up: the connection has no life of its own
        connect.channel()
                .eventLoop()
                .schedule(
                        () -> response.completeExceptionally(
                                new IOException("no answer within " + limit.toSeconds() + " s")),
                        limit.toMillis(),
                        TimeUnit.MILLISECONDS);
        return response.whenComplete((answer, thrown) -> connect.channel().close());
    }

    private static final class Answer extends SimpleChannelInboundHandler<FullHttpResponse> {
        private final CompletableFuture<Response> response;

        private Answer(CompletableFuture<Response> response) {
            this.response = response;
        }

        @Override
        protected void channelRead0(ChannelHandlerContext context, FullHttpResponse message) {
            if (message.decoderResult().isFailure()) {
                response.completeExceptionally(new IOException(
                        "not an HTTP answer", message.decoderResult().cause()));
                return;
            }
            String type = Optional.ofNullable(message.headers().get(HttpHeaderNames.CONTENT_TYPE))
                    .map(value -> value.split(";", 2)[0].strip().toLowerCase(Locale.ROOT))
                    .orElse("");
            byte[] content = new byte[message.content().readableBytes()];
            message.content().readBytes(content);
            response.complete(new Response(message.status().code(), type, content));
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            response.completeExceptionally(new IOException("the connection was closed before the answer was whole"));
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            response.completeExceptionally(cause);
        }
    }
}
