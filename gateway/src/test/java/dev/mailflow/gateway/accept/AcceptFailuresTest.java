/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.accept;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.TimeUnit;

import org.apache.james.metrics.tests.RecordingMetricFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.netty.channel.embedded.EmbeddedChannel;

class AcceptFailuresTest {
    private final RecordingMetricFactory metrics = new RecordingMetricFactory();
    private final AcceptFailures failures = new AcceptFailures(metrics);
    private final EmbeddedChannel smtp = listener("smtp");
    private final EmbeddedChannel imap = listener("imap");
    private final Logger logger = (Logger) LoggerFactory.getLogger(AcceptFailures.class);
    private final ListAppender<ILoggingEvent> log = new ListAppender<>();

    private EmbeddedChannel listener(String server) {
        EmbeddedChannel channel = new EmbeddedChannel(failures.of(server));
        channel.freezeTime();
        return channel;
    }

    @BeforeEach
    void listen() {
        log.start();
        logger.setLevel(Level.INFO);
        logger.addAppender(log);
    }

    @AfterEach
    void close() {
        logger.detachAppender(log);
        logger.setLevel(null);
        smtp.finishAndReleaseAll();
        imap.finishAndReleaseAll();
    }

    private static void fail(EmbeddedChannel channel) {
        channel.pipeline().fireExceptionCaught(new IOException("Too many open files"));
        channel.checkException();
    }

    private void pass(int seconds) {
        List.of(smtp, imap).forEach(channel -> {
            channel.advanceTimeBy(seconds, TimeUnit.SECONDS);
            channel.runScheduledPendingTasks();
        });
    }

    private List<String> told() {
        return log.list.stream().map(ILoggingEvent::getFormattedMessage).toList();
    }

    @Test
    void acceptingShouldPauseForASecond() {
        fail(smtp);
        assertThat(smtp.config().isAutoRead()).isFalse();

        pass(AcceptFailures.PAUSE_SECONDS);
        assertThat(smtp.config().isAutoRead()).isTrue();
    }

    @Test
    void failuresOfAllServersShouldBeToldOnceWithReasonAndRemedy() {
        for (int i = 0; i < 30; i++) {
            fail(smtp);
            fail(imap);
            // at the limit, where one goes another one comes
            smtp.writeInbound("connection");
            pass(1);
        }

        assertThat(told())
                .singleElement()
                .asString()
                .startsWith(
                        "event=connections-not-accepted server=smtp reason=\"Too many open files\" open-files-limit=")
                .contains("ulimit -n");
        assertThat(metrics.countFor(AcceptFailures.METRIC)).isEqualTo(60);
    }

    @Test
    void endShouldBeToldWhenConnectionsWereAcceptedForAWhile() {
        fail(smtp);
        fail(imap);
        smtp.writeInbound("connection");
        pass(AcceptFailures.CALM_SECONDS - 1);
        assertThat(told()).hasSize(1);

        pass(1);

        assertThat(told())
                .last()
                .asString()
                .contains("event=connections-accepted-again")
                .contains("after 2 failed");
        smtp.writeInbound("another");
        assertThat(told()).hasSize(2);

        fail(imap);
        assertThat(told()).hasSize(3).last().asString().contains("server=imap");
    }

    @Test
    void endShouldNotBeToldBeforeAConnectionWasAccepted() {
        fail(smtp);
        pass(AcceptFailures.CALM_SECONDS);
        assertThat(told()).hasSize(1);

        imap.writeInbound("connection");

        assertThat(told()).hasSize(2);
    }

    @Test
    void connectionsAndOtherFailuresShouldGoOn() {
        smtp.writeInbound("connection");
        assertThat(smtp.<String>readInbound()).isEqualTo("connection");

        smtp.pipeline().fireExceptionCaught(new IllegalStateException("a mistake"));
        assertThatThrownBy(smtp::checkException).hasMessage("a mistake");
        assertThat(told()).isEmpty();
    }
}
