/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import static dev.mailflow.delivery.testing.Connectors.connector;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;

import org.junit.jupiter.api.Test;

import com.sun.net.httpserver.HttpServer;

import dev.mailflow.delivery.RecipientOutcome.Delivered;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.SmartHost;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import dev.mailflow.policy.testing.TestCertificates;

/** Next hops of an authority whose OCSP responder takes connections and says nothing, and those of others. */
class SilentRevocationServiceTest {
    /** More than there are threads for certificates. */
    private static final int HELD_UP = 12;

    private final TestCertificates.Authority silent = TestCertificates.authority("Silent CA");
    private final TestCertificates.Authority healthy = TestCertificates.authority("Healthy CA");

    private OutboundConnector to(ScriptedSmtpPeer peer) {
        TrustAnchors anchors =
                new TrustAnchors(Optional.of("file://both.pem"), List.of(silent.certificate(), healthy.certificate()));
        return connector()
                .to(new SmartHost("localhost", peer.port(), 0, 1))
                .tls(new TlsRequirement(TlsLevel.CA, Optional.empty(), anchors, Set.of(), Optional.empty()))
                .build();
    }

    @Test
    void itShouldNotHoldUpHandshakesWithOthers() throws Exception {
        AtomicInteger asked = new AtomicInteger();
        HttpServer lists = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        List<ScriptedSmtpPeer> heldUp = new ArrayList<>();
        try (var outbound = Outbound.start(
                        Outbound.config().revocationLimit(Duration.ofMinutes(1)).build());
                var responder = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
            byte[] list = healthy.revoke().getEncoded();
            lists.createContext("/", exchange -> {
                asked.incrementAndGet();
                try (exchange) {
                    exchange.sendResponseHeaders(200, list.length);
                    exchange.getResponseBody().write(list);
                }
            });
            lists.start();
            for (int i = 0; i < HELD_UP; i++) {
                ScriptedSmtpPeer peer = ScriptedSmtpPeer.builder()
                        .startTls(silent.leaf("localhost")
                                .ocsp("http://127.0.0.1:" + responder.getLocalPort() + "/")
                                .issue())
                        .start();
                heldUp.add(peer);
                assertThat(outbound.transport().send(to(peer), to(peer).tls(), Outbound.message()))
                        .isNotDone();
            }
            await().untilAsserted(() -> assertThat(heldUp).allSatisfy(peer -> assertThat(peer.sessions())
                    .anySatisfy(session -> assertThat(session.commands()).contains("STARTTLS"))));

            try (var peer = ScriptedSmtpPeer.builder()
                    .startTls(healthy.leaf("localhost")
                            .crl("http://127.0.0.1:" + lists.getAddress().getPort() + "/list.crl")
                            .issue())
                    .start()) {
                assertThat(outbound.send(to(peer))).isInstanceOf(Delivered.class);
            }
            assertThat(asked).hasPositiveValue();
        } finally {
            heldUp.forEach(ScriptedSmtpPeer::close);
            lists.stop(0);
        }
    }
}
