/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import java.net.InetSocketAddress;
import java.util.Optional;
import java.util.function.Supplier;

import org.apache.james.protocols.netty.AbstractChannelPipelineFactory;
import org.apache.james.protocols.netty.ChannelHandlerFactory;
import org.apache.james.protocols.netty.ConnectionLimitUpstreamHandler;
import org.apache.james.protocols.netty.ConnectionPerIpLimitUpstreamHandler;
import org.apache.james.protocols.netty.Encryption;
import org.apache.james.protocols.netty.HandlerConstants;
import org.apache.james.protocols.netty.TimeoutHandler;

import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.connection.IpRangeSet;
import dev.mailflow.policy.event.MailFlowEvents;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.socket.SocketChannel;
import io.netty.handler.codec.haproxy.HAProxyMessageDecoder;
import io.netty.handler.stream.ChunkedWriteHandler;
import io.netty.util.concurrent.EventExecutorGroup;

/**
 * What a connection's bytes pass, in this order: on the event loop the connection limits, the PROXY header, TLS and the
 * timeout; then, in order on threads that may block, line framing and the SMTP dialogue.
 *
 * <p>James runs the dialogue on the event loop, where one slow user look-up or queue stops every other
 * connection of that loop. Framing and dialogue share one executor of the group, so a line costs no thread switch between
 * them, and commands of one connection are still handled one after the other. What has been read and waits for that thread is
 * bounded ({@link ReadAhead}).
 */
@ChannelHandler.Sharable
final class SmtpPipeline extends AbstractChannelPipelineFactory<SocketChannel> {

    /**
     * What is configured.
     *
     * @param timeoutSeconds without a byte from the client
     * @param connections at once; 0: any number
     * @param connectionsPerIp at once of one peer; 0: any number
     * @param proxies the peers that must send a PROXY header
     * @param onlyProxies whether nobody else may connect
     */
    record Settings(
            int timeoutSeconds, int connections, int connectionsPerIp, IpRangeSet proxies, boolean onlyProxies) {}

    private final Settings settings;
    private final Supplier<Optional<Encryption>> encryption;
    private final ChannelHandlerFactory framers;
    private final Supplier<ChannelInboundHandlerAdapter> dialogues;
    private final EventExecutorGroup mayBlock;
    private final MailFlowEvents events;
    private final Optional<ConnectionLimitUpstreamHandler> connectionLimit;
    private final Optional<ConnectionPerIpLimitUpstreamHandler> connectionPerIpLimit;

    SmtpPipeline(
            Settings settings,
            Supplier<Optional<Encryption>> encryption,
            ChannelHandlerFactory framers,
            Supplier<ChannelInboundHandlerAdapter> dialogues,
            EventExecutorGroup mayBlock,
            MailFlowEvents events) {
        super(framers, mayBlock);
        this.settings = settings;
        this.encryption = encryption;
        this.framers = framers;
        this.dialogues = dialogues;
        this.mayBlock = mayBlock;
        this.events = events;
        this.connectionLimit = ConnectionLimitUpstreamHandler.forCount(settings.connections());
        this.connectionPerIpLimit = ConnectionPerIpLimitUpstreamHandler.forCount(settings.connectionsPerIp());
    }

    @Override
    protected void initChannel(SocketChannel channel) {
        ChannelPipeline pipeline = channel.pipeline();
        connectionLimit.ifPresent(limit -> pipeline.addLast(HandlerConstants.CONNECTION_LIMIT_HANDLER, limit));
        connectionPerIpLimit.ifPresent(
                limit -> pipeline.addLast(HandlerConstants.CONNECTION_LIMIT_PER_IP_HANDLER, limit));
        pipeline.addLast(HandlerConstants.PROXY_HANDLER, proxyHandler(channel.remoteAddress()));
        encryption
                .get()
                .filter(configured -> configured.supportsEncryption() && !configured.isStartTLS())
                .ifPresent(configured -> pipeline.addLast(HandlerConstants.SSL_HANDLER, configured.sslHandler()));
        pipeline.addLast(HandlerConstants.TIMEOUT_HANDLER, new TimeoutHandler(settings.timeoutSeconds()));
        pipeline.addLast(HandlerConstants.CHUNK_HANDLER, new ChunkedWriteHandler());
        ReadAhead readAhead = new ReadAhead();
        pipeline.addLast(readAhead.loop());
        pipeline.addLast(mayBlock, readAhead.dialogue());
        pipeline.addLast(mayBlock, HandlerConstants.FRAMER, framers.create(pipeline));
        pipeline.addLast(mayBlock, HandlerConstants.CORE_HANDLER, createHandler());
    }

    private ChannelHandler proxyHandler(InetSocketAddress remote) {
        IpAddress peer = IpAddress.of(remote.getAddress());
        return settings.proxies().contains(peer)
                ? new HAProxyMessageDecoder()
                : new ProxyHeaderRefusal(peer, settings.onlyProxies(), events);
    }

    @Override
    protected ChannelInboundHandlerAdapter createHandler() {
        return dialogues.get();
    }
}
