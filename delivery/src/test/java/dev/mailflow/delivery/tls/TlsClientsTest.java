/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tls;

import static org.assertj.core.api.Assertions.assertThat;

import java.security.GeneralSecurityException;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.testing.TestCertificates;

class TlsClientsTest {
    private final ExecutorService executor = Executors.newSingleThreadExecutor();
    private final TlsClients clients =
            new TlsClients(List.of("TLSv1.3"), executor, Duration.ofSeconds(5), TrustAnchors.jdk(), Clock.systemUTC());

    @AfterEach
    void stop() {
        executor.shutdownNow();
    }

    private static TrustAnchors anchors(TestCertificates.Authority authority) {
        return new TrustAnchors(Optional.of("file://conf/ca.pem"), List.of(authority.certificate()));
    }

    @Test
    void authoritiesShouldBeReadOnce() throws GeneralSecurityException {
        TestCertificates.Authority first = TestCertificates.authority("First CA");
        TestCertificates.Authority second = TestCertificates.authority("Second CA");

        assertThat(clients.trust(TrustAnchors.jdk())).isSameAs(clients.trust(TrustAnchors.jdk()));
        assertThat(clients.trust(anchors(first)))
                .isSameAs(clients.trust(anchors(first)))
                // the file has other content now
                .isNotSameAs(clients.trust(anchors(second)));
    }
}
