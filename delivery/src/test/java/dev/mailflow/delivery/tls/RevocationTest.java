/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import com.sun.net.httpserver.HttpServer;

import dev.mailflow.policy.certificate.Revocation;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.testing.TestCertificates;

/** A certificate known to be revoked is refused; not knowing is no reason to refuse. */
class RevocationTest {
    private final TestCertificates.Authority ca = TestCertificates.authority("Test CA");
    private final AtomicInteger asked = new AtomicInteger();
    private final CountDownLatch never = new CountDownLatch(1);
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final Revocation revocation = new Revocation(threads, Duration.ofSeconds(5), Duration.ofSeconds(20));
    private byte[] list = new byte[0];
    private HttpServer server;
    private String url;

    @BeforeEach
    void start() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(threads);
        server.createContext("/", exchange -> {
            asked.incrementAndGet();
            try (exchange) {
                if (exchange.getRequestURI().getPath().startsWith("/never")) {
                    never.await(1, TimeUnit.MINUTES);
                }
                exchange.sendResponseHeaders(200, list.length);
                exchange.getResponseBody().write(list);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
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

    private void check(X509Certificate certificate) throws Exception {
        check(certificate, Map.of());
    }

    private void check(X509Certificate certificate, Map<X509Certificate, byte[]> stapled) throws Exception {
        Clock clock = Clock.systemUTC();
        new CertificateTrust(
                        new TrustAnchors(Optional.of("file://ca.pem"), List.of(ca.certificate())), revocation, clock)
                .check(List.of(certificate), stapled);
    }

    @Test
    void revokedCertificateShouldBeRefused() throws Exception {
        var leaf = ca.leaf("mail.fabrikam.com").crl(url + "/revoked.crl").issue();
        list = ca.revoke(leaf.certificate()).getEncoded();

        assertThatThrownBy(() -> check(leaf.certificate()))
                .isInstanceOf(CertificateRefusedException.class)
                .hasMessageContaining("certificate was revoked on");
    }

    @Test
    void certificateThatIsNotListedShouldBeAccepted() throws Exception {
        var leaf = ca.leaf("mail.fabrikam.com").crl(url + "/other.crl").issue();
        list = ca.revoke(ca.leaf("other.test").issue().certificate()).getEncoded();

        check(leaf.certificate());

        assertThat(asked).hasPositiveValue();
    }

    @Test
    void staplesThatSayGoodShouldBeBelievedAndNobodyAsked() throws Exception {
        var leaf = ca.leaf("mail.fabrikam.com").crl(url + "/unread.crl").issue().certificate();

        check(leaf, Map.of(leaf, ca.ocspResponse(leaf, false)));

        assertThat(asked).hasValue(0);
    }

    @Test
    void staplesThatSayRevokedShouldRefuse() {
        var leaf = ca.leaf("mail.fabrikam.com").issue().certificate();

        assertThatThrownBy(() -> check(leaf, Map.of(leaf, ca.ocspResponse(leaf, true))))
                .isInstanceOf(CertificateRefusedException.class)
                .hasMessageContaining("certificate was revoked on");
    }

    @Test
    void staplesOfNobodyShouldNotKeepTheServiceFromBeingAsked() throws Exception {
        var leaf = ca.leaf("mail.fabrikam.com").crl(url + "/forged.crl").issue().certificate();
        list = ca.revoke(leaf).getEncoded();
        byte[] forged = TestCertificates.authority("Forger").ocspResponse(leaf, false);

        for (byte[] staple : List.of(forged, new byte[] {1, 2, 3})) {
            assertThatThrownBy(() -> check(leaf, Map.of(leaf, staple)))
                    .isInstanceOf(CertificateRefusedException.class)
                    .hasMessageContaining("certificate was revoked on");
        }
    }

    @Test
    void certificateShouldBeAcceptedWhenTheServiceIsNotThere() {
        var leaf =
                ca.leaf("mail.fabrikam.com").crl("http://127.0.0.1:1/none.crl").issue();

        assertThatCode(() -> check(leaf.certificate())).doesNotThrowAnyException();
    }

    @Test
    void certificateShouldBeAcceptedInTimeWhenTheServiceDoesNotAnswer() {
        var leaf = ca.leaf("mail.fabrikam.com").crl(url + "/never.crl").issue();
        long from = System.nanoTime();

        assertThatCode(() -> check(leaf.certificate())).doesNotThrowAnyException();
        assertThat(Duration.ofNanos(System.nanoTime() - from)).isLessThan(Duration.ofSeconds(20));
    }
}
