/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.accept;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.concurrent.TimeUnit;

import org.apache.james.metrics.api.Metric;
import org.apache.james.metrics.api.MetricFactory;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.inject.Inject;
import com.google.inject.Singleton;
import com.sun.management.UnixOperatingSystemMXBean;

import io.netty.channel.ChannelConfig;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.EventLoop;

/**
 * Connections that the system does not let the servers accept, most likely because the process has as many files open as it
 * may. They wait in the system's backlog, and accepting is tried again every second, as Netty does by itself; but Netty tells
 * of every try, of every server, with a stack trace.
 *
 * <p>Administrators see {@code event=connections-not-accepted} when it begins, {@code event=connections-accepted-again}
 * when connections were accepted for ten seconds without a failure, and the metric {@value #METRIC}.
 */
@Singleton
public final class AcceptFailures {
    /** Failed tries, of all servers. */
    static final String METRIC = "mailflow.connections.not-accepted";

    static final int PAUSE_SECONDS = 1;
    static final int CALM_SECONDS = 10;

    private static final Logger LOGGER = LoggerFactory.getLogger(AcceptFailures.class);

    private final Metric metric;
    private final String limit = openFilesLimit();

    private volatile boolean failing;
    private long failures;
    private long failuresBefore;
    private boolean acceptedSince;
    private boolean calm;

    @Inject
    AcceptFailures(MetricFactory metrics) {
        this.metric = metrics.generate(METRIC);
    }

    /** Found out beforehand: the number of open files cannot be asked for when no file can be opened. */
    private static String openFilesLimit() {
        return ManagementFactory.getOperatingSystemMXBean() instanceof UnixOperatingSystemMXBean unix
                ? Long.toString(unix.getMaxFileDescriptorCount())
                : "unknown";
    }

    /** What looks after the listening sockets of one server. */
    public ChannelHandler of(String server) {
        return new Listener(server);
    }

    private synchronized long failed(String server, IOException failure) {
        metric.increment();
        if (!failing) {
            failing = true;
            failuresBefore = failures;
            LOGGER.warn(
                    "event=connections-not-accepted server={} reason=\"{}\" open-files-limit={}: clients wait, and accepting is"
                            + " tried again every second; where files are short, raise the limit (ulimit -n, LimitNOFILE= of"
                            + " systemd), or lower <connectionLimit> of the servers",
                    server,
                    failure.getMessage(),
                    limit);
        }
        failures++;
        acceptedSince = false;
        calm = false;
        return failures;
    }

    private void accepted() {
        if (failing) {
            acceptedWhileFailing();
        }
    }

    private synchronized void acceptedWhileFailing() {
        acceptedSince = true;
        endIfOver();
    }

    /** @param failuresThen how many there were when the time began */
    private synchronized void calmFor(long failuresThen) {
        if (failures == failuresThen) {
            calm = true;
            endIfOver();
        }
    }

    private void endIfOver() {
        if (failing && calm && acceptedSince) {
            failing = false;
            LOGGER.info(
                    "event=connections-accepted-again: connections are accepted, after {} failed tries",
                    failures - failuresBefore);
        }
    }

    @ChannelHandler.Sharable
    private final class Listener extends ChannelInboundHandlerAdapter {
        private final String server;

        private Listener(String server) {
            this.server = server;
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object connection) {
            accepted();
            context.fireChannelRead(connection);
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable failure) {
            if (!(failure instanceof IOException notAccepted)) {
                context.fireExceptionCaught(failure);
                return;
            }
            EventLoop loop = context.channel().eventLoop();
            ChannelConfig config = context.channel().config();
            if (config.isAutoRead()) {
                config.setAutoRead(false);
                var unused = loop.schedule(() -> config.setAutoRead(true), PAUSE_SECONDS, TimeUnit.SECONDS);
            }
            long now = failed(server, notAccepted);
            var unused = loop.schedule(() -> calmFor(now), CALM_SECONDS, TimeUnit.SECONDS);
        }
    }
}
