/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import com.google.common.base.Ticker;
import com.sun.net.httpserver.HttpServer;

import dev.mailflow.policy.connector.ClientCertificateRule;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.testing.TestCertificates;
import dev.mailflow.policy.testing.TestCertificates.Issued;

class RevocationTest {
    private final TestCertificates.Authority ca = TestCertificates.authority("Revoking CA");
    private final TrustAnchors anchors = new TrustAnchors(Optional.of("file://ca.pem"), List.of(ca.certificate()));
    private final AtomicInteger asked = new AtomicInteger();
    private final CountDownLatch never = new CountDownLatch(1);
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final Revocation revocation = new Revocation(threads, Duration.ofSeconds(15), Duration.ofSeconds(30));

    private byte[] list = {};
    private HttpServer server;
    private String url;

    @BeforeEach
    void start() throws Exception {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(threads);
        server.createContext("/", exchange -> {
            asked.incrementAndGet();
            if (exchange.getRequestURI().getPath().contains("never")) {
                try {
                    never.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            }
            exchange.sendResponseHeaders(200, list.length);
            exchange.getResponseBody().write(list);
            exchange.close();
        });
        server.start();
        url = "http://127.0.0.1:" + server.getAddress().getPort();
    }

    @AfterEach
    void stop() {
        never.countDown();
        server.stop(0);
        threads.shutdownNow();
    }

    private Optional<String> objection(Issued leaf) {
        return objection(leaf, revocation);
    }

    private Optional<String> objection(Issued leaf, Revocation asked) {
        return ClientCertificateRule.ca(DomainPattern.parse("mail.fabrikam.com"), anchors)
                .objectionTo(X509PeerCertificate.of(leaf.chain(), asked), Instant.now());
    }

    @Test
    void revokedCertificateShouldNotBeAcceptedAndItsListReadOnce() throws Exception {
        Issued leaf =
                ca.leaf("mail.fabrikam.com").crl(url + "/revoked-client.crl").issue();
        list = ca.revoke(leaf.certificate()).getEncoded();

        for (int i = 0; i < 5; i++) {
            assertThat(objection(leaf)).hasValueSatisfying(reason -> assertThat(reason)
                    .startsWith("the client's certificate is not trusted: it was revoked on"));
        }
        assertThat(asked).hasValue(1);
    }

    @Test
    void revokedCertificateShouldNotHideBehindAnAuthorityThatNamesNoService() throws Exception {
        TestCertificates.Authority between = ca.intermediate("Between CA");
        Issued leaf = between.leaf("mail.fabrikam.com")
                .crl(url + "/between-client.crl")
                .issue();
        list = between.revoke(leaf.certificate()).getEncoded();

        assertThat(objection(leaf)).isPresent();
    }

    @Test
    void certificateThatIsNotListedShouldBeAccepted() throws Exception {
        Issued leaf =
                ca.leaf("mail.fabrikam.com").crl(url + "/other-client.crl").issue();
        list = ca.revoke(ca.leaf("other.test").issue().certificate()).getEncoded();

        assertThat(objection(leaf)).isEmpty();
        assertThat(asked).hasPositiveValue();
    }

    @Test
    void certificateShouldBeAcceptedWhenNobodyAnswers() {
        Revocation impatient = new Revocation(threads, Duration.ofSeconds(1), Duration.ofSeconds(5));
        Issued nowhere = ca.leaf("mail.fabrikam.com")
                .crl("http://127.0.0.1:1/none-client.crl")
                .issue();
        Issued unanswered =
                ca.leaf("mail.fabrikam.com").crl(url + "/never-client.crl").issue();
        long from = System.nanoTime();

        assertThat(objection(nowhere, impatient)).isEmpty();
        assertThat(objection(unanswered, impatient)).isEmpty();
        assertThat(Duration.ofNanos(System.nanoTime() - from)).isLessThan(Duration.ofSeconds(20));
    }

    @Test
    void serviceOfACertificateThatNobodyVouchesForShouldNotBeAsked() {
        Issued stranger = TestCertificates.authority("Stranger")
                .leaf("mail.fabrikam.com")
                .crl(url + "/stranger.crl")
                .issue();

        assertThat(objection(stranger)).isPresent();
        assertThat(asked).hasValue(0);
    }

    @Test
    void withoutPatienceNobodyShouldWaitAndTheAnswerCountOnceItIsThere() throws Exception {
        Revocation impatient = new Revocation(threads, Duration.ofMinutes(1), Duration.ZERO);
        Issued leaf =
                ca.leaf("mail.fabrikam.com").crl(url + "/revoked-client.crl").issue();
        list = ca.revoke(leaf.certificate()).getEncoded();

        // the service answers only after this test; a busy machine may be slow once, a wait is slow each time
        await().untilAsserted(() -> {
            Issued unanswered = ca.intermediate("Silent CA")
                    .leaf("mail.fabrikam.com")
                    .crl(url + "/never-client.crl")
                    .issue();
            long from = System.nanoTime();
            assertThat(objection(unanswered, impatient)).isEmpty();
            assertThat(Duration.ofNanos(System.nanoTime() - from)).isLessThan(Duration.ofSeconds(1));
        });
        await().untilAsserted(() -> assertThat(objection(leaf, impatient)).isPresent());
    }

    @Test
    void revokedCertificateShouldStaySoWhileItsServiceIsGone() throws Exception {
        AtomicLong now = new AtomicLong();
        AtomicBoolean answering = new AtomicBoolean(true);
        // the JDK keeps a list for half a minute by itself: it is this thread that never comes to asking
        Executor executor = task -> {
            if (answering.get()) {
                task.run();
            }
        };
        Revocation remembering = new Revocation(executor, Duration.ofMinutes(1), Duration.ofMillis(10), new Ticker() {
            @Override
            public long read() {
                return now.get();
            }
        });
        Issued leaf = ca.leaf("mail.fabrikam.com").crl(url + "/gone-client.crl").issue();
        list = ca.revoke(leaf.certificate()).getEncoded();
        assertThat(objection(leaf, remembering)).isPresent();
        answering.set(false);

        now.addAndGet(Duration.ofMinutes(6).toNanos());
        assertThat(objection(leaf, remembering)).isPresent();
        now.addAndGet(Duration.ofDays(2).toNanos());
        assertThat(objection(leaf, remembering)).isEmpty();
    }

    /** Another one each time. */
    private Issued silent(TestCertificates.Authority authority) {
        return authority.leaf("mail.fabrikam.com").ocsp(url + "/never").issue();
    }

    @Test
    void silentServiceShouldNotBeAskedForAWhile() {
        AtomicLong now = new AtomicLong();
        Revocation hasty = new Revocation(threads, Duration.ofMillis(500), Duration.ofMinutes(1), new Ticker() {
            @Override
            public long read() {
                return now.get();
            }
        });
        TestCertificates.Authority authority = ca.intermediate("Silent CA");

        assertThat(objection(silent(authority), hasty)).isEmpty();
        await().atMost(Duration.ofMinutes(1))
                .untilAsserted(() -> assertThat(asked).hasValue(1));
        for (int i = 0; i < 3; i++) {
            assertThat(objection(silent(authority), hasty)).isEmpty();
        }
        assertThat(asked).hasValue(1);

        now.addAndGet(Duration.ofMinutes(6).toNanos());
        assertThat(objection(silent(authority), hasty)).isEmpty();
        await().atMost(Duration.ofMinutes(1))
                .untilAsserted(() -> assertThat(asked).hasValue(2));
        assertThat(objection(silent(authority), hasty)).isEmpty();
        assertThat(asked).hasValue(2);
    }

    @Test
    void serviceThatSpeaksAgainShouldBeBelievedAgain() throws Exception {
        AtomicLong now = new AtomicLong();
        Revocation patient = new Revocation(threads, Duration.ofSeconds(5), Duration.ofMinutes(1), new Ticker() {
            @Override
            public long read() {
                return now.get();
            }
        });
        assertThat(objection(
                        ca.leaf("mail.fabrikam.com")
                                .crl(url + "/never-again.crl")
                                .issue(),
                        patient))
                .isEmpty();
        never.countDown();
        Issued leaf = ca.leaf("mail.fabrikam.com").crl(url + "/again.crl").issue();
        list = ca.revoke(leaf.certificate()).getEncoded();

        // an answer may be late on a busy machine
        await().atMost(Duration.ofMinutes(1)).untilAsserted(() -> {
            now.addAndGet(Duration.ofMinutes(6).toNanos());
            assertThat(objection(leaf, patient)).isPresent();
        });
    }

    @Test
    void silentServiceShouldLeaveThreadsToOthers() throws Exception {
        ExecutorService few = Executors.newFixedThreadPool(3);
        try {
            Revocation shared = new Revocation(few, Duration.ofMinutes(5), Duration.ofSeconds(30));
            TestCertificates.Authority authority = ca.intermediate("Silent CA");
            // more than three threads could be done with in time, for the JDK gives up after 15 s
            for (int i = 0; i < 12; i++) {
                Issued unanswered = silent(authority);
                threads.execute(() -> objection(unanswered, shared));
            }
            await().atMost(Duration.ofMinutes(1))
                    .untilAsserted(() -> assertThat(asked).hasValueGreaterThanOrEqualTo(2));
            Issued leaf = ca.leaf("mail.fabrikam.com").crl(url + "/beside.crl").issue();
            list = ca.revoke(leaf.certificate()).getEncoded();

            assertThat(objection(leaf, shared)).isPresent();
        } finally {
            never.countDown();
            few.shutdownNow();
        }
    }
}
