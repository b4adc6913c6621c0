/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.stream.Stream;

import javax.security.auth.x500.X500Principal;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import com.google.common.base.Ticker;
import com.google.common.util.concurrent.Uninterruptibles;

import dev.mailflow.policy.certificate.CertificateLink.Answer;

class RevocationServiceTest {
    private static final RevocationService.Name NAME =
            new RevocationService.Name(new X500Principal("CN=Test CA"), ByteBuffer.allocate(0));

    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final ExecutorService oneThread = Executors.newSingleThreadExecutor();
    private final CountDownLatch end = new CountDownLatch(1);

    @AfterEach
    void stop() {
        end.countDown();
        threads.shutdownNow();
        oneThread.shutdownNow();
    }

    private static RevocationService service(Executor executor, Duration limit) {
        return new RevocationService(NAME, executor, limit, Ticker.systemTicker());
    }

    private Answer never() {
        Uninterruptibles.awaitUninterruptibly(end);
        return Answer.UNKNOWN;
    }

    @Test
    void timeShouldRunFromWhenTheQuestionIsPut() {
        Duration limit = Duration.ofSeconds(2);
        CountDownLatch free = new CountDownLatch(1);
        oneThread.execute(() -> Uninterruptibles.awaitUninterruptibly(free));
        CompletableFuture<Answer> queued = service(oneThread, limit).ask(() -> Answer.GOOD);

        // put after the queued one, so the time of that one would be over with the time of this one
        assertThat(service(threads, limit).ask(this::never)).succeedsWithin(Duration.ofMinutes(1));
        assertThat(queued).isNotDone();
        free.countDown();

        assertThat(queued).succeedsWithin(Duration.ofMinutes(1)).isEqualTo(Answer.GOOD);
    }

    @Test
    void thoseInLineShouldBeLetGoOnceTheServiceIsSilent() {
        RevocationService service = service(threads, Duration.ofMillis(200));
        List<CompletableFuture<Answer>> all =
                Stream.generate(() -> service.ask(this::never)).limit(10).toList();
        for (CompletableFuture<Answer> each : all) {
            assertThat(each).succeedsWithin(Duration.ofMinutes(1)).isEqualTo(Answer.UNKNOWN);
        }
        assertThat(service.ask(() -> Answer.GOOD)).isCompletedWithValue(Answer.UNKNOWN);
    }

    @Test
    void thoseInLineShouldHaveTheirTurn() {
        RevocationService service = service(threads, Duration.ofMinutes(1));
        CountDownLatch first = new CountDownLatch(1);
        for (int i = 0; i < 2; i++) {
            assertThat(service.ask(() -> {
                        Uninterruptibles.awaitUninterruptibly(first);
                        return Answer.GOOD;
                    }))
                    .isNotDone();
        }
        CompletableFuture<Answer> third = service.ask(() -> Answer.GOOD);
        assertThat(third).isNotDone();
        first.countDown();

        assertThat(third).succeedsWithin(Duration.ofMinutes(1)).isEqualTo(Answer.GOOD);
    }

    @Test
    void executorThatIsTooBusyShouldFailTheQuestionAndNotTheService() {
        Executor busyOnce = new Executor() {
            private boolean asked;

            @Override
            public void execute(Runnable task) {
                if (!asked) {
                    asked = true;
                    throw new RejectedExecutionException("busy");
                }
                task.run();
            }
        };
        RevocationService service = service(busyOnce, Duration.ofMinutes(1));

        assertThat(service.ask(() -> Answer.GOOD)).isCompletedExceptionally();
        for (int i = 0; i < 5; i++) {
            assertThat(service.ask(() -> Answer.GOOD)).isCompletedWithValue(Answer.GOOD);
        }
    }
}
